-- More kinds of sinks than the example has: files, a table with a log, a plain append-only table.
CREATE TABLE IF NOT EXISTS logged_accounts (account_id BIGINT, balance DECIMAL(18, 2), PRIMARY KEY (account_id) NOT ENFORCED)
WITH ('bucket' = '2', 'changelog-producer' = 'input', 'log.system' = 'local');
CREATE TABLE IF NOT EXISTS logged_totals (one INT, accounts BIGINT, balances DECIMAL(38, 2), PRIMARY KEY (one) NOT ENFORCED)
WITH ('bucket' = '1');
CREATE TABLE IF NOT EXISTS copied_transactions (transaction_id BIGINT, kind STRING, amount DECIMAL(18, 2)) WITH ('bucket' = '-1');
CREATE TEMPORARY TABLE exported_transactions (transaction_id BIGINT, kind STRING, amount DECIMAL(18, 2))
WITH ('connector' = 'filesystem', 'path' = '${EXPORT}', 'format' = 'csv');

SET 'pipeline.name' = 'copies';
SET 'execution.checkpointing.interval' = '${COPY_CHECKPOINT}';
EXECUTE STATEMENT SET BEGIN
INSERT INTO logged_accounts SELECT account_id, balance FROM ods_accounts;
INSERT INTO copied_transactions SELECT transaction_id, kind, amount FROM ods_transactions WHERE MOD(transaction_id, 2) = 0;
INSERT INTO copied_transactions SELECT transaction_id, kind, amount FROM ods_transactions WHERE MOD(transaction_id, 2) = 1;
INSERT INTO exported_transactions SELECT transaction_id, kind, amount FROM ods_transactions;
END;
SET 'pipeline.name' = 'logged-totals';
INSERT INTO logged_totals SELECT 1, COUNT(*), SUM(balance) FROM logged_accounts;
