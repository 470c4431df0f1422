-- Settings of the one-off run: load, then compute the reports once.
SET 'execution.runtime-mode' = 'batch';
