-- The same report as a batch query over the lake, in plain joins, against what was exported. Every check says PASS or FAIL.
SET 'execution.runtime-mode' = 'batch';
RESET 'pipeline.name';
CREATE TEMPORARY VIEW batch_report AS
SELECT m.branch_id, m.segment, m.customers, m.accounts, COALESCE(t.movements, 0) AS movements, m.opening,
       COALESCE(t.deposits, 0) AS deposits, COALESCE(t.withdrawals, 0) AS withdrawals, COALESCE(t.loans, 0) AS loans, m.balances
FROM (
  SELECT a.branch_id, c.segment, COUNT(DISTINCT a.customer_id) AS customers, COUNT(*) AS accounts,
         SUM(a.opening_balance) AS opening, SUM(a.balance) AS balances
  FROM ods_accounts a JOIN ods_customers c ON c.customer_id = a.customer_id
  GROUP BY a.branch_id, c.segment
) AS m LEFT JOIN (
  SELECT a.branch_id, c.segment, COUNT(*) AS movements,
         COALESCE(SUM(t.amount) FILTER (WHERE t.kind = 'deposit'), 0) AS deposits,
         COALESCE(SUM(t.amount) FILTER (WHERE t.kind = 'withdrawal'), 0) AS withdrawals,
         COALESCE(SUM(t.amount) FILTER (WHERE t.kind = 'loan'), 0) AS loans
  FROM ods_transactions t
  JOIN ods_accounts a ON a.account_id = t.account_id
  JOIN ods_customers c ON c.customer_id = a.customer_id
  GROUP BY a.branch_id, c.segment
) AS t ON t.branch_id = m.branch_id AND t.segment = m.segment;

SELECT 'exported report' AS `check`, COUNT(*) AS differences,
       CASE WHEN COUNT(*) = 0 AND (SELECT COUNT(*) FROM crm_export) > 0 THEN 'PASS' ELSE 'FAIL' END AS result
FROM ((SELECT * FROM batch_report EXCEPT SELECT * FROM crm_export)
      UNION ALL (SELECT * FROM crm_export EXCEPT SELECT * FROM batch_report)) AS differing;
SELECT 'summaries' AS `check`, COUNT(*) AS totals,
       CASE WHEN MIN(deposits) = MAX(deposits) AND MIN(loans) = MAX(loans) AND COUNT(deposits) = 5 THEN 'PASS' ELSE 'FAIL' END AS result
FROM (
  SELECT SUM(deposits) AS deposits, SUM(loans) AS loans FROM dws_branch
  UNION ALL SELECT SUM(deposits), SUM(loans) FROM dws_segment
  UNION ALL SELECT SUM(deposits), SUM(loans) FROM dws_day
  UNION ALL SELECT SUM(deposits), SUM(loans) FROM crm_export
  UNION ALL SELECT SUM(amount) FILTER (WHERE kind = 'deposit'), (SELECT SUM(amount) FROM ods_loans) FROM ods_transactions
) AS totals;
SELECT 'rows' AS `check`, (SELECT COUNT(*) FROM ods_accounts) AS accounts, t.transactions,
       CASE WHEN t.transactions = ${BANK_TRANSACTIONS:-1000000} AND t.transactions = d.transactions THEN 'PASS' ELSE 'FAIL' END AS result
FROM (SELECT COUNT(*) AS transactions FROM ods_transactions) AS t, (SELECT COUNT(*) AS transactions FROM dwd_transactions) AS d;
-- The report itself, from the CRM's database; REPORT_COLUMNS for narrow terminals.
SELECT ${REPORT_COLUMNS:-b.branch_name AS branch, r.segment, r.accounts, r.movements, r.deposits, r.loans, r.balances}
FROM crm_export r JOIN ods_branches b ON b.branch_id = r.branch_id
ORDER BY r.balances DESC LIMIT 12;
