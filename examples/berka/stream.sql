-- Settings of the continuous run: reports start on empty tables and follow what arrives.
SET 'execution.runtime-mode' = 'streaming';
SET 'execution.checkpointing.interval' = '${CHECKPOINT:-500 ms}';
SET 'table.exec.mini-batch.size' = '${STEP:-2000}';
SET 'pipeline.name' = 'berka-reports';
