-- A bank's warehouse: the bank's own tables as it changes them, and the lake tables that they and the reports go into.
--   WAREHOUSE  folder of the lake          REPORT  file of the database that the CRM reads
--   BANK_TRANSACTIONS, BANK_ACCOUNTS, BANK_CUSTOMERS, BANK_SEED, BANK_RATE, BANK_FORMAT  what the bank is like
CREATE CATALOG lake WITH ('type' = 'paimon', 'warehouse' = '${WAREHOUSE}');
USE CATALOG lake;
CREATE DATABASE IF NOT EXISTS bank;
USE bank;

CREATE TEMPORARY TABLE bank_branches (branch_id INT, branch_name STRING, city STRING)
WITH ('connector' = 'bank', 'table' = 'branches', 'transactions' = '${BANK_TRANSACTIONS:-1000000}',
      'accounts' = '${BANK_ACCOUNTS:-100000}', 'customers' = '${BANK_CUSTOMERS:-60000}', 'seed' = '${BANK_SEED:-42}',
      'rate' = '${BANK_RATE:-0}', 'format' = '${BANK_FORMAT:-rows}');
CREATE TEMPORARY TABLE bank_customers (customer_id BIGINT, customer_name STRING, segment STRING, home_branch INT, since DATE)
WITH ('connector' = 'bank', 'table' = 'customers', 'transactions' = '${BANK_TRANSACTIONS:-1000000}',
      'accounts' = '${BANK_ACCOUNTS:-100000}', 'customers' = '${BANK_CUSTOMERS:-60000}', 'seed' = '${BANK_SEED:-42}',
      'rate' = '${BANK_RATE:-0}', 'format' = '${BANK_FORMAT:-rows}');
CREATE TEMPORARY TABLE bank_accounts (
  account_id BIGINT, customer_id BIGINT, branch_id INT, opening_balance DECIMAL(18, 2), balance DECIMAL(18, 2),
  updated_at TIMESTAMP(3), PRIMARY KEY (account_id) NOT ENFORCED)
WITH ('connector' = 'bank', 'table' = 'accounts', 'transactions' = '${BANK_TRANSACTIONS:-1000000}',
      'accounts' = '${BANK_ACCOUNTS:-100000}', 'customers' = '${BANK_CUSTOMERS:-60000}', 'seed' = '${BANK_SEED:-42}',
      'rate' = '${BANK_RATE:-0}', 'format' = '${BANK_FORMAT:-rows}');
CREATE TEMPORARY TABLE bank_transactions (
  transaction_id BIGINT, account_id BIGINT, counter_account BIGINT, kind STRING, amount DECIMAL(18, 2), booked_at TIMESTAMP(3))
WITH ('connector' = 'bank', 'table' = 'transactions', 'transactions' = '${BANK_TRANSACTIONS:-1000000}',
      'accounts' = '${BANK_ACCOUNTS:-100000}', 'customers' = '${BANK_CUSTOMERS:-60000}', 'seed' = '${BANK_SEED:-42}',
      'rate' = '${BANK_RATE:-0}', 'format' = '${BANK_FORMAT:-rows}');
CREATE TEMPORARY TABLE bank_loans (
  loan_id BIGINT, account_id BIGINT, transaction_id BIGINT, amount DECIMAL(18, 2), granted_at TIMESTAMP(3))
WITH ('connector' = 'bank', 'table' = 'loans', 'transactions' = '${BANK_TRANSACTIONS:-1000000}',
      'accounts' = '${BANK_ACCOUNTS:-100000}', 'customers' = '${BANK_CUSTOMERS:-60000}', 'seed' = '${BANK_SEED:-42}',
      'rate' = '${BANK_RATE:-0}', 'format' = '${BANK_FORMAT:-rows}');

-- ODS: the bank's tables, change by change.
CREATE TABLE IF NOT EXISTS ods_branches (branch_id INT, branch_name STRING, city STRING, PRIMARY KEY (branch_id) NOT ENFORCED)
WITH ('bucket' = '1', 'changelog-producer' = 'input');
CREATE TABLE IF NOT EXISTS ods_customers (
  customer_id BIGINT, customer_name STRING, segment STRING, home_branch INT, since DATE,
  PRIMARY KEY (customer_id) NOT ENFORCED
) WITH ('bucket' = '1', 'changelog-producer' = 'input');
CREATE TABLE IF NOT EXISTS ods_accounts (
  account_id BIGINT, customer_id BIGINT, branch_id INT, opening_balance DECIMAL(18, 2), balance DECIMAL(18, 2),
  updated_at TIMESTAMP(3), PRIMARY KEY (account_id) NOT ENFORCED
) WITH ('bucket' = '2', 'changelog-producer' = 'input');
CREATE TABLE IF NOT EXISTS ods_transactions (
  transaction_id BIGINT, account_id BIGINT, counter_account BIGINT, kind STRING, amount DECIMAL(18, 2), booked_at TIMESTAMP(3)
) WITH ('bucket' = '-1');
CREATE TABLE IF NOT EXISTS ods_loans (
  loan_id BIGINT, account_id BIGINT, transaction_id BIGINT, amount DECIMAL(18, 2), granted_at TIMESTAMP(3)
) WITH ('bucket' = '-1');

-- DWD: each transaction with what is known about its account, customer and branch.
CREATE TABLE IF NOT EXISTS dwd_transactions (
  transaction_id BIGINT, booked_at TIMESTAMP(3), kind STRING, amount DECIMAL(18, 2), account_id BIGINT,
  customer_id BIGINT, segment STRING, branch_id INT, branch_name STRING, city STRING,
  PRIMARY KEY (transaction_id) NOT ENFORCED
) WITH ('bucket' = '2', 'changelog-producer' = 'input');

-- DWS: summaries.
CREATE TABLE IF NOT EXISTS dws_branch (
  branch_id INT, branch_name STRING, movements BIGINT, deposits DECIMAL(38, 2), loans DECIMAL(38, 2),
  PRIMARY KEY (branch_id, branch_name) NOT ENFORCED
) WITH ('bucket' = '1');
CREATE TABLE IF NOT EXISTS dws_segment (
  segment STRING, movements BIGINT, deposits DECIMAL(38, 2), loans DECIMAL(38, 2), PRIMARY KEY (segment) NOT ENFORCED
) WITH ('bucket' = '1');
CREATE TABLE IF NOT EXISTS dws_day (
  booked_on DATE, movements BIGINT, deposits DECIMAL(38, 2), loans DECIMAL(38, 2), PRIMARY KEY (booked_on) NOT ENFORCED
) WITH ('bucket' = '1');
CREATE TABLE IF NOT EXISTS crm_report (
  branch_id INT, segment STRING, customers BIGINT, accounts BIGINT, movements BIGINT, opening DECIMAL(38, 2),
  deposits DECIMAL(38, 2), withdrawals DECIMAL(38, 2), loans DECIMAL(38, 2), balances DECIMAL(38, 2),
  PRIMARY KEY (branch_id, segment) NOT ENFORCED
) WITH ('bucket' = '1', 'changelog-producer' = 'input', 'log.system' = 'local');

-- What the CRM reads, a table of an embedded database.
CREATE TEMPORARY TABLE crm_export (
  branch_id INT, segment STRING, customers BIGINT, accounts BIGINT, movements BIGINT, opening DECIMAL(38, 2),
  deposits DECIMAL(38, 2), withdrawals DECIMAL(38, 2), loans DECIMAL(38, 2), balances DECIMAL(38, 2),
  PRIMARY KEY (branch_id, segment) NOT ENFORCED
) WITH ('connector' = 'jdbc', 'url' = 'duckdb:${REPORT}', 'table-name' = 'crm_report');
-- Printed while the bank runs: how many transactions it has made so far; and, of the lake and of what was exported, every
-- output of the check of the books. `difference` is 0.00 in each.
CREATE TEMPORARY TABLE made (transactions BIGINT) WITH ('connector' = 'print', 'print-identifier' = 'made');
CREATE TEMPORARY TABLE books (
  accounts BIGINT, opening DECIMAL(38, 2), deposits DECIMAL(38, 2), withdrawals DECIMAL(38, 2), loans DECIMAL(38, 2),
  balances DECIMAL(38, 2), difference DECIMAL(38, 2)
) WITH ('connector' = 'print', 'print-identifier' = 'books');
CREATE TEMPORARY TABLE exported (
  movements BIGINT, opening DECIMAL(38, 2), deposits DECIMAL(38, 2), withdrawals DECIMAL(38, 2), loans DECIMAL(38, 2),
  balances DECIMAL(38, 2), difference DECIMAL(38, 2)
) WITH ('connector' = 'print', 'print-identifier' = 'exported');
