-- The books of a Czech bank, 1993: the files as they are, and the lake tables that they go into.
--   BERKA      folder of the .asc files
--   WAREHOUSE  folder of the lake
CREATE CATALOG lake WITH ('type' = 'paimon', 'warehouse' = '${WAREHOUSE}');
USE CATALOG lake;
CREATE DATABASE IF NOT EXISTS berka;
USE berka;

CREATE TEMPORARY TABLE account_file (
  account_id INT, district_id INT, frequency STRING, opened STRING
) WITH ('connector' = 'filesystem', 'path' = '${BERKA}/account.asc', 'format' = 'csv',
        'csv.field-delimiter' = ';', 'csv.ignore-first-line' = 'true');

CREATE TEMPORARY TABLE client_file (
  client_id INT, birth_number STRING, district_id INT
) WITH ('connector' = 'filesystem', 'path' = '${BERKA}/client.asc', 'format' = 'csv',
        'csv.field-delimiter' = ';', 'csv.ignore-first-line' = 'true');

CREATE TEMPORARY TABLE disposition_file (
  disp_id INT, client_id INT, account_id INT, type STRING
) WITH ('connector' = 'filesystem', 'path' = '${BERKA}/disp.asc', 'format' = 'csv',
        'csv.field-delimiter' = ';', 'csv.ignore-first-line' = 'true');

-- A12 and A15 hold '?' for unknown: read as text, made numbers below.
CREATE TEMPORARY TABLE district_file (
  A1 INT, A2 STRING, A3 STRING, A4 INT, A5 INT, A6 INT, A7 INT, A8 INT, A9 INT, A10 DECIMAL(5, 1), A11 INT,
  A12 STRING, A13 DECIMAL(5, 2), A14 INT, A15 STRING, A16 INT
) WITH ('connector' = 'filesystem', 'path' = '${BERKA}/district.asc', 'format' = 'csv',
        'csv.field-delimiter' = ';', 'csv.ignore-first-line' = 'true');

CREATE TEMPORARY TABLE loan_file (
  loan_id INT, account_id INT, granted STRING, amount DECIMAL(12, 2), duration INT, payments DECIMAL(12, 2), status STRING
) WITH ('connector' = 'filesystem', 'path' = '${BERKA}/loan.asc', 'format' = 'csv',
        'csv.field-delimiter' = ';', 'csv.ignore-first-line' = 'true');

CREATE TEMPORARY TABLE order_file (
  order_id INT, account_id INT, bank_to STRING, account_to STRING, amount DECIMAL(12, 2), k_symbol STRING
) WITH ('connector' = 'filesystem', 'path' = '${BERKA}/order.asc', 'format' = 'csv',
        'csv.field-delimiter' = ';', 'csv.ignore-first-line' = 'true');

CREATE TEMPORARY TABLE transaction_file (
  trans_id INT, account_id INT, booked STRING, type STRING, operation STRING, amount DECIMAL(12, 2),
  balance DECIMAL(12, 2), k_symbol STRING, bank STRING, account STRING
) WITH ('connector' = 'filesystem', 'path' = '${BERKA}/trans.asc', 'format' = 'csv',
        'csv.field-delimiter' = ';', 'csv.ignore-first-line' = 'true');

CREATE TABLE IF NOT EXISTS districts (
  district_id INT, name STRING, region STRING, inhabitants INT, unemployment_95 DECIMAL(5, 2), crimes_95 INT,
  PRIMARY KEY (district_id) NOT ENFORCED
) WITH ('bucket' = '1', 'changelog-producer' = 'input');
CREATE TABLE IF NOT EXISTS accounts (
  account_id INT, district_id INT, frequency STRING, opened DATE,
  PRIMARY KEY (account_id) NOT ENFORCED
) WITH ('bucket' = '1', 'changelog-producer' = 'input');
CREATE TABLE IF NOT EXISTS clients (
  client_id INT, birth_date DATE, sex STRING, district_id INT,
  PRIMARY KEY (client_id) NOT ENFORCED
) WITH ('bucket' = '1', 'changelog-producer' = 'input');
CREATE TABLE IF NOT EXISTS dispositions (
  disp_id INT, client_id INT, account_id INT, type STRING,
  PRIMARY KEY (disp_id) NOT ENFORCED
) WITH ('bucket' = '1', 'changelog-producer' = 'input');
CREATE TABLE IF NOT EXISTS loans (
  loan_id INT, account_id INT, granted DATE, amount DECIMAL(12, 2), duration INT, status STRING,
  PRIMARY KEY (loan_id) NOT ENFORCED
) WITH ('bucket' = '1', 'changelog-producer' = 'input');
CREATE TABLE IF NOT EXISTS orders (
  order_id INT, account_id INT, bank_to STRING, account_to STRING, amount DECIMAL(12, 2), purpose STRING,
  PRIMARY KEY (order_id) NOT ENFORCED
) WITH ('bucket' = '1', 'changelog-producer' = 'input');
-- Facts: never changed, only added.
CREATE TABLE IF NOT EXISTS transactions (
  trans_id INT, account_id INT, booked DATE, is_credit BOOLEAN, amount DECIMAL(12, 2), purpose STRING
) WITH ('bucket' = '-1');

CREATE TABLE IF NOT EXISTS account_balances (
  account_id INT, district_id INT, balance DECIMAL(38, 2), movements BIGINT,
  PRIMARY KEY (account_id) NOT ENFORCED
) WITH ('bucket' = '1');
CREATE TABLE IF NOT EXISTS district_months (
  district_id INT, name STRING, booked_month STRING, deposits DECIMAL(38, 2), loans DECIMAL(38, 2),
  PRIMARY KEY (district_id, booked_month) NOT ENFORCED
) WITH ('bucket' = '1');
CREATE TABLE IF NOT EXISTS overdrawn_clients (
  client_id INT, account_id INT, balance DECIMAL(38, 2),
  PRIMARY KEY (client_id, account_id) NOT ENFORCED
) WITH ('bucket' = '1');
