-- The bank: all that it has, then its transactions. One statement set, so that a transaction and the balances that it
-- changes are committed together. Commits are frequent, for the reports to follow.
SET 'pipeline.name' = 'bank-load';
SET 'table.dml-sync' = 'true';
SET 'execution.checkpointing.interval' = '${LOAD_CHECKPOINT:-200 ms}';
EXECUTE STATEMENT SET BEGIN
INSERT INTO ods_branches SELECT * FROM bank_branches;
INSERT INTO ods_customers SELECT * FROM bank_customers;
INSERT INTO ods_accounts SELECT * FROM bank_accounts;
INSERT INTO ods_transactions SELECT * FROM bank_transactions;
INSERT INTO ods_loans SELECT * FROM bank_loans;
INSERT INTO made SELECT COUNT(*) FROM bank_transactions;
END;
