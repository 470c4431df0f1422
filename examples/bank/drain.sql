-- Let each job read all that is there, then stop it: first those that others read from.
STOP JOB 'bank-reports' WITH DRAIN;
STOP JOB 'bank-summaries' WITH DRAIN;
STOP JOB 'bank-export' WITH DRAIN;
