-- Continuous reports: they start on what is there and follow each commit of the load. All queries of a statement set
-- see the same cut of the ODS tables, so that balances and transactions belong together in every output.
SET 'execution.runtime-mode' = 'streaming';
SET 'execution.checkpointing.interval' = '${CHECKPOINT:-2 s}';

SET 'pipeline.name' = 'bank-reports';
EXECUTE STATEMENT SET BEGIN
-- Accounts, customers and branches meet first, and the transactions last: a join remembers both of its sides, so the
-- many rows are remembered once.
INSERT INTO dwd_transactions
SELECT t.transaction_id, t.booked_at, t.kind, t.amount, t.account_id, d.customer_id, d.segment, d.branch_id, d.branch_name, d.city
FROM ods_transactions t JOIN (
  SELECT a.account_id, a.customer_id, c.segment, a.branch_id, b.branch_name, b.city
  FROM ods_accounts a
  JOIN ods_customers c ON c.customer_id = a.customer_id
  JOIN ods_branches b ON b.branch_id = a.branch_id
) AS d ON d.account_id = t.account_id;

INSERT INTO books
SELECT a.accounts, a.opening, t.deposits, t.withdrawals, t.loans, a.balances,
       a.opening + t.deposits - t.withdrawals + t.loans - a.balances AS difference
FROM (
  SELECT COUNT(*) AS accounts, COALESCE(SUM(opening_balance), 0) AS opening, COALESCE(SUM(balance), 0) AS balances
  FROM ods_accounts
) AS a CROSS JOIN (
  SELECT COALESCE(SUM(amount) FILTER (WHERE kind = 'deposit'), 0) AS deposits,
         COALESCE(SUM(amount) FILTER (WHERE kind = 'withdrawal'), 0) AS withdrawals,
         COALESCE(SUM(amount) FILTER (WHERE kind = 'loan'), 0) AS loans
  FROM ods_transactions
) AS t;

-- Movements are added up by account before they meet accounts and customers: few rows to remember.
INSERT INTO crm_report
SELECT a.branch_id, c.segment, COUNT(DISTINCT a.customer_id), COUNT(*), SUM(COALESCE(t.movements, 0)), SUM(a.opening_balance),
       SUM(COALESCE(t.deposits, 0)), SUM(COALESCE(t.withdrawals, 0)), SUM(COALESCE(t.loans, 0)), SUM(a.balance)
FROM ods_accounts a
JOIN ods_customers c ON c.customer_id = a.customer_id
LEFT JOIN (
  SELECT account_id, COUNT(*) AS movements,
         SUM(CASE WHEN kind = 'deposit' THEN amount ELSE 0 END) AS deposits,
         SUM(CASE WHEN kind = 'withdrawal' THEN amount ELSE 0 END) AS withdrawals,
         SUM(CASE WHEN kind = 'loan' THEN amount ELSE 0 END) AS loans
  FROM ods_transactions
  GROUP BY account_id
) AS t ON t.account_id = a.account_id
GROUP BY a.branch_id, c.segment;
END;

SET 'pipeline.name' = 'bank-summaries';
EXECUTE STATEMENT SET BEGIN
INSERT INTO dws_branch
SELECT branch_id, branch_name, COUNT(*), SUM(CASE WHEN kind = 'deposit' THEN amount ELSE 0 END),
       SUM(CASE WHEN kind = 'loan' THEN amount ELSE 0 END)
FROM dwd_transactions GROUP BY branch_id, branch_name;
INSERT INTO dws_segment
SELECT segment, COUNT(*), SUM(CASE WHEN kind = 'deposit' THEN amount ELSE 0 END),
       SUM(CASE WHEN kind = 'loan' THEN amount ELSE 0 END)
FROM dwd_transactions GROUP BY segment;
INSERT INTO dws_day
SELECT CAST(booked_at AS DATE), COUNT(*), SUM(CASE WHEN kind = 'deposit' THEN amount ELSE 0 END),
       SUM(CASE WHEN kind = 'loan' THEN amount ELSE 0 END)
FROM dwd_transactions GROUP BY CAST(booked_at AS DATE);
END;
