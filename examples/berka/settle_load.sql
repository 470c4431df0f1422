-- The load is bounded: wait for it, and let the reports run beside it under their own name.
RESET 'pipeline.name';
SET 'table.dml-sync' = 'true';
