-- What the lake, the files and the database hold against what the bank says, computed without any of them.
SET 'execution.runtime-mode' = 'batch';
CREATE TEMPORARY VIEW wide AS
SELECT t.transaction_id, t.booked_at, t.kind, t.amount, t.account_id, a.customer_id, c.segment, a.branch_id, b.branch_name, b.city
FROM bank_transactions t JOIN bank_accounts a ON a.account_id = t.account_id
JOIN bank_customers c ON c.customer_id = a.customer_id JOIN bank_branches b ON b.branch_id = a.branch_id;
CREATE TEMPORARY VIEW report AS
SELECT a.branch_id, c.segment, COUNT(DISTINCT a.customer_id) AS customers, COUNT(*) AS accounts,
       SUM(COALESCE(t.movements, 0)) AS movements, SUM(a.opening_balance) AS opening, SUM(COALESCE(t.deposits, 0)) AS deposits,
       SUM(COALESCE(t.withdrawals, 0)) AS withdrawals, SUM(COALESCE(t.loans, 0)) AS loans, SUM(a.balance) AS balances
FROM bank_accounts a JOIN bank_customers c ON c.customer_id = a.customer_id
LEFT JOIN (SELECT account_id, COUNT(*) AS movements, SUM(CASE WHEN kind = 'deposit' THEN amount ELSE 0 END) AS deposits,
                  SUM(CASE WHEN kind = 'withdrawal' THEN amount ELSE 0 END) AS withdrawals,
                  SUM(CASE WHEN kind = 'loan' THEN amount ELSE 0 END) AS loans
           FROM bank_transactions GROUP BY account_id) AS t ON t.account_id = a.account_id
GROUP BY a.branch_id, c.segment;
