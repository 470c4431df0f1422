-- Full load of the dimensions, then the transactions in date order. The wild values are tamed here:
-- '?' and '' become NULL, YYMMDD a date of the 20th century, and a birth number gives date and sex
-- (women have 50 added to the month).
EXECUTE STATEMENT SET BEGIN
INSERT INTO districts
SELECT A1, A2, A3, A4, CAST(NULLIF(A12, '?') AS DECIMAL(5, 2)), CAST(NULLIF(A15, '?') AS INT) FROM district_file;
INSERT INTO accounts
SELECT account_id, district_id, frequency, TO_DATE('19' || opened, 'yyyyMMdd') FROM account_file;
INSERT INTO clients
SELECT client_id,
       TO_DATE('19' || SUBSTRING(birth_number, 1, 2)
                 || LPAD(CAST(MOD(CAST(SUBSTRING(birth_number, 3, 2) AS INT), 50) AS STRING), 2, '0')
                 || SUBSTRING(birth_number, 5, 2), 'yyyyMMdd'),
       CASE WHEN CAST(SUBSTRING(birth_number, 3, 2) AS INT) > 50 THEN 'F' ELSE 'M' END,
       district_id
FROM client_file;
INSERT INTO dispositions SELECT disp_id, client_id, account_id, type FROM disposition_file;
INSERT INTO loans
SELECT loan_id, account_id, TO_DATE('19' || granted, 'yyyyMMdd'), amount, duration, status FROM loan_file;
INSERT INTO orders
SELECT order_id, account_id, bank_to, account_to, amount, NULLIF(TRIM(k_symbol), '') FROM order_file;
END;

INSERT INTO transactions
SELECT trans_id, account_id, TO_DATE('19' || booked, 'yyyyMMdd'), type = 'PRIJEM', amount, NULLIF(TRIM(k_symbol), '')
FROM transaction_file;
