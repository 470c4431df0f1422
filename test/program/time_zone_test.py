#!/usr/bin/env python3
"""Goal: without 'table.local-time-zone' the system's zone counts; a job whose results depend on the zone resumes in its own only.
Method: run scripts under TZ, stop a job, and run it again under another zone."""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
MILLRACE = os.environ.get("MILLRACE", os.path.join(ROOT, "build/millrace"))
# Runs, then stops with a checkpoint.
JOB = """
CREATE CATALOG lake WITH ('type' = 'paimon', 'warehouse' = '{folder}/lake');
USE CATALOG lake;
CREATE TABLE IF NOT EXISTS t (at_ TIMESTAMP_LTZ(3)) WITH ('bucket' = '-1');
CREATE TABLE IF NOT EXISTS r (d STRING, n BIGINT, PRIMARY KEY (d) NOT ENFORCED) WITH ('bucket' = '1');
{zone}
SET 'execution.runtime-mode' = 'batch';
{insert}
SET 'execution.runtime-mode' = 'streaming';
SET 'pipeline.name' = 'days';
INSERT INTO r SELECT {day}, COUNT(*) FROM t GROUP BY {day};
STOP JOB 'days' WITH DRAIN;
SET 'execution.runtime-mode' = 'batch';
SELECT d, n FROM r ORDER BY d;
"""


def check(good, text):
    if not good:
        sys.exit(text)


def run(zone, args):
    return subprocess.run([MILLRACE, *args], capture_output=True, text=True, timeout=60, env={**os.environ, "TZ": zone})


def job(folder, system_zone, set_zone="", day="DATE_FORMAT(at_, 'yyyy-MM-dd')", insert="INSERT INTO t SELECT TO_TIMESTAMP_LTZ(0, 0);"):
    path = os.path.join(folder, "job.sql")
    with open(path, "w") as file:
        zone = f"SET 'table.local-time-zone' = '{set_zone}';" if set_zone else ""
        file.write(JOB.format(folder=folder, day=day, insert=insert, zone=zone))
    return run(system_zone, ["--data", folder + "/data", "--format", "csv", "-f", path])


result = run("Asia/Tokyo", ["--format", "csv", "-e", "SELECT TO_TIMESTAMP_LTZ(0, 0) AS t"])
check(result.stdout == "t\n1970-01-01 09:00:00\n", f"the system's zone: {result}")

with tempfile.TemporaryDirectory() as scratch:
    result = job(scratch, "America/New_York")
    check(result.stdout == "d,n\n1969-12-31,1\n", f"first run: {result}")
    result = job(scratch, "Asia/Tokyo", insert="")
    for part in ["local time of 'America/New_York'", "zone is 'Asia/Tokyo'", "SET 'table.local-time-zone' = 'America/New_York'"]:
        check(part in result.stderr and result.returncode == 1, f"another zone: '{part}' is not in {result}")
    result = job(scratch, "Asia/Tokyo", "America/New_York")
    check(result.stdout == "d,n\n1969-12-31,2\n", f"the zone of the first run, set: {result}")

with tempfile.TemporaryDirectory() as scratch:  # Results that do not depend on the zone go on in any.
    job(scratch, "America/New_York", day="CAST(CAST(1 AS INT) AS STRING)")
    result = job(scratch, "Asia/Tokyo", day="CAST(CAST(1 AS INT) AS STRING)")
    check(result.stdout == "d,n\n1,2\n", f"no zone asked: {result}")
print("PASS")
