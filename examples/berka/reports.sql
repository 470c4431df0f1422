-- What the bank wants to know, kept up to date: the balance of every account, deposits and loans per district (a branch)
-- and month, and clients who owe the bank.
EXECUTE STATEMENT SET BEGIN
INSERT INTO account_balances
SELECT a.account_id, a.district_id, SUM(CASE WHEN t.is_credit THEN t.amount ELSE -t.amount END), COUNT(*)
FROM accounts a JOIN transactions t ON t.account_id = a.account_id
GROUP BY a.account_id, a.district_id;

INSERT INTO district_months
SELECT m.district_id, d.name, m.booked_month, m.deposits, m.loans
FROM (
  SELECT district_id, booked_month, SUM(deposit) AS deposits, SUM(loan) AS loans
  FROM (
    SELECT a.district_id, DATE_FORMAT(t.booked, 'yyyy-MM') AS booked_month, t.amount AS deposit, CAST(0 AS DECIMAL(12, 2)) AS loan
    FROM transactions t JOIN accounts a ON a.account_id = t.account_id
    WHERE t.is_credit
    UNION ALL
    SELECT a.district_id, DATE_FORMAT(l.granted, 'yyyy-MM'), CAST(0 AS DECIMAL(12, 2)), l.amount
    FROM loans l JOIN accounts a ON a.account_id = l.account_id
  ) AS movements
  GROUP BY district_id, booked_month
) AS m LEFT JOIN districts d ON d.district_id = m.district_id;

INSERT INTO overdrawn_clients
SELECT o.client_id, b.account_id, b.balance
FROM (
  SELECT account_id, SUM(CASE WHEN is_credit THEN amount ELSE -amount END) AS balance
  FROM transactions
  GROUP BY account_id
  HAVING SUM(CASE WHEN is_credit THEN amount ELSE -amount END) < 0
) AS b JOIN dispositions o ON o.account_id = b.account_id AND o.type = 'OWNER';
END;
