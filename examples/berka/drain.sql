STOP JOB 'berka-reports' WITH DRAIN;
