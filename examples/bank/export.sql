-- The CRM's database follows the report: rows are replaced and deleted by key. With each output comes the check of its books:
-- transfers stay within the bank, so opening balances, deposits, withdrawals and loans add up to the balances.
SET 'pipeline.name' = 'bank-export';
EXECUTE STATEMENT SET BEGIN
INSERT INTO crm_export SELECT * FROM crm_report;
INSERT INTO exported
SELECT COALESCE(SUM(movements), 0), COALESCE(SUM(opening), 0), COALESCE(SUM(deposits), 0), COALESCE(SUM(withdrawals), 0),
       COALESCE(SUM(loans), 0), COALESCE(SUM(balances), 0),
       COALESCE(SUM(opening + deposits - withdrawals + loans - balances), 0) AS difference
FROM crm_report;
END;
