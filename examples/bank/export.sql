-- The CRM's database follows the report: rows are replaced and deleted by key.
SET 'pipeline.name' = 'bank-export';
INSERT INTO crm_export SELECT * FROM crm_report;
