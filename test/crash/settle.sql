STOP JOB 'copies' WITH DRAIN;
STOP JOB 'logged-totals' WITH DRAIN;
