-- A script as it was written for Flink Table Store 0.2: load a million balances, update them three
-- million times keeping every change, report, look two accounts up.
--
--   flink-1.15.4/bin/sql-client.sh -f script.sql        (with the warehouse's path written in)
--   millrace -D WAREHOUSE=/tmp/warehouse -f script.sql

SET 'sql-client.execution.result-mode' = 'tableau';
SET 'table.dml-sync' = 'true';
SET 'parallelism.default' = '2';

CREATE CATALOG store WITH ('type' = 'table-store', 'warehouse' = '${WAREHOUSE}');
USE CATALOG store;

CREATE TABLE balances (
  account BIGINT,
  balance DECIMAL(18, 2),
  updated TIMESTAMP(3),
  PRIMARY KEY (account) NOT ENFORCED
) WITH (
  'bucket' = '2',
  'changelog-producer' = 'input'
);

CREATE TEMPORARY TABLE opening (
  account BIGINT,
  balance DECIMAL(18, 2)
) WITH (
  'connector' = 'datagen',
  'number-of-rows' = '1000000',
  'rows-per-second' = '100000000',
  'fields.account.kind' = 'sequence',
  'fields.account.start' = '1',
  'fields.account.end' = '1000000',
  'fields.balance.min' = '0',
  'fields.balance.max' = '100000'
);

CREATE TEMPORARY TABLE movements (
  account BIGINT,
  balance DECIMAL(18, 2)
) WITH (
  'connector' = 'datagen',
  'number-of-rows' = '3000000',
  'rows-per-second' = '100000000',
  'fields.account.min' = '1',
  'fields.account.max' = '1000000',
  'fields.balance.min' = '0',
  'fields.balance.max' = '100000'
);

-- The load: bounded, so as a batch.
SET 'execution.runtime-mode' = 'batch';

INSERT INTO balances
SELECT account, balance, TIMESTAMP '2022-10-01 00:00:00' FROM opening;

-- The updates: as a stream, with checkpoints.
SET 'execution.runtime-mode' = 'streaming';
SET 'execution.checkpointing.interval' = '10 s';

INSERT INTO balances
SELECT account, balance, TIMESTAMP '2022-10-02 00:00:00' FROM movements;

SET 'execution.runtime-mode' = 'batch';

-- The report.
SELECT
  CAST(account / 100000 AS INT) AS branch,
  COUNT(*) AS accounts,
  SUM(balance) AS deposits,
  MAX(balance) AS largest,
  COUNT(CASE WHEN updated = TIMESTAMP '2022-10-02 00:00:00' THEN 1 END) AS moved
FROM balances
GROUP BY CAST(account / 100000 AS INT)
ORDER BY branch;

-- Two accounts.
SELECT * FROM balances WHERE account = 4711;
SELECT * FROM balances WHERE account = 815000;
