SET 'execution.runtime-mode' = 'batch';
SELECT name AS district, booked_month AS `month`, deposits, loans
FROM district_months WHERE booked_month = '1994-03' ORDER BY deposits DESC LIMIT 10;
SELECT COUNT(*) AS accounts, SUM(balance) AS deposits_held, MIN(balance) AS lowest, MAX(balance) AS highest FROM account_balances;
SELECT * FROM overdrawn_clients ORDER BY balance LIMIT 10;
