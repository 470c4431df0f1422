#!/usr/bin/env python3
"""Goal: a job whose state is many times the memory that it may hold gives the same rows, leaves no temporary file however it ends,
and stops with one clear sentence when the disk is full.
Method: group the bank's transactions by their number, so that state grows with each; with a small limit, look at the process's
open files, kill it, refuse it disk space (a limit on file sizes), and start it again; compare with batch."""
import glob
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
MILLRACE = os.environ.get("MILLRACE", os.path.join(ROOT, "build/millrace"))
TRANSACTIONS = 150_000
SCRIPT = f"""
CREATE CATALOG lake WITH ('type' = 'paimon', 'warehouse' = '${{WAREHOUSE}}');
USE CATALOG lake; CREATE DATABASE IF NOT EXISTS d; USE d;
CREATE TEMPORARY TABLE bank (transaction_id BIGINT, account_id BIGINT, counter_account BIGINT, kind STRING, amount DECIMAL(18, 2),
  booked_at TIMESTAMP(3)) WITH ('connector' = 'bank', 'table' = 'transactions', 'transactions' = '{TRANSACTIONS}', 'seed' = '5');
CREATE TABLE IF NOT EXISTS totals (transaction_id BIGINT, amount DECIMAL(38, 2), least STRING, n BIGINT,
  PRIMARY KEY (transaction_id) NOT ENFORCED) WITH ('bucket' = '1');
"""
JOB = """
SET 'memory.state-limit' = '${LIMIT}';
SET 'execution.checkpointing.interval' = '${CHECKPOINT}';
SET 'table.dml-sync' = 'true';
SET 'table.exec.mini-batch.size' = '2000';
INSERT INTO totals SELECT transaction_id, SUM(amount), MIN(kind), COUNT(*) FROM bank GROUP BY transaction_id;
"""
LOOK = """
SET 'execution.runtime-mode' = 'batch';
SELECT COUNT(*), SUM(amount), MIN(transaction_id), MAX(transaction_id), MAX(n), COUNT(DISTINCT least) FROM totals;
SELECT COUNT(*), SUM(amount), MIN(transaction_id), MAX(transaction_id), 1, COUNT(DISTINCT kind) FROM bank;
"""


def check(good, text):
    if not good:
        sys.exit(text)


class Place:
    """A folder with the scripts, a warehouse and the jobs' data."""

    def __init__(self, folder):
        self.folder = folder
        for name, text in (("script", SCRIPT), ("job", JOB), ("look", LOOK)):
            with open(f"{folder}/{name}.sql", "w", encoding="utf-8") as file:
                file.write(text)

    def start(self, names, limit="1 mb", checkpoint="100 ms", file_bytes=None):
        def confine():
            if file_bytes:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # Then the system call fails instead.
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        args = [MILLRACE, "--data", self.folder + "/data", "--format", "csv"]
        for name in names:
            args += ["-f", f"{self.folder}/{name}.sql"]
        return subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=confine,
                                env={**os.environ, "WAREHOUSE": self.folder + "/lake", "LIMIT": limit, "CHECKPOINT": checkpoint})

    def run(self, *args, **more):
        process = self.start(*args, **more)
        out, errors = process.communicate(timeout=150)
        return process.returncode, out, errors

    def compare(self):
        code, out, errors = self.run(["script", "look"])
        lines = [line for line in out.splitlines() if line[:1].isdigit()]
        check(code == 0 and len(lines) == 2 and lines[0] == lines[1], f"totals differ from the bank's: {out}{errors}")
        check(lines[0].startswith(f"{TRANSACTIONS},"), f"rows are missing: {out}")

    def temporary_files(self):
        return [name for name in glob.glob(self.folder + "/data/tmp/**", recursive=True, include_hidden=True) if os.path.isfile(name)]


def spilled_bytes(process):
    """Room on disk of the nameless file that the process has open."""
    total = 0
    for link in glob.glob(f"/proc/{process.pid}/fd/*"):
        try:
            if "/data/tmp/" in os.readlink(link) and "(deleted)" in os.readlink(link):
                total += os.stat(link).st_blocks * 512
        except OSError:
            pass  # Closed in between.
    return total


def wait_for_spill(process, megabytes):
    most = 0
    while process.poll() is None and most < megabytes << 20:
        most = max(most, spilled_bytes(process))
        time.sleep(0.01)
    return most


def whole_run(place):
    process = place.start(["script", "job"])
    most = wait_for_spill(process, 1 << 20)  # Until it ends.
    out, errors = process.communicate(timeout=150)
    check(process.returncode == 0, f"exit code {process.returncode}: {out}{errors}")
    check(most > 8 << 20, f"state of 15 MB and more went to disk with {most} bytes only")
    check(not place.temporary_files(), "a temporary file is left behind")
    place.compare()
    return f"{most >> 20} MB of state on disk"


def killed(place):
    for megabytes in (2, 6):
        process = place.start(["script", "job"])
        check(wait_for_spill(process, megabytes) >= megabytes << 20, "it did not go to disk")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        check(not place.temporary_files(), "a temporary file is left behind after kill -9")
    code, out, errors = place.run(["script", "job"])
    check(code == 0, f"it does not go on: {out}{errors}")
    place.compare()
    return "killed twice with state on disk"


def full_disk(place):
    code, out, errors = place.run(["script", "job"], checkpoint="1 h", file_bytes=6 << 20)
    check(code == 1, f"exit code {code} without room on disk: {out}{errors}")
    for part in ("stopped at step", "temporary file in", place.folder + "/data/tmp", "File too large", "memory limit"):
        check(part in errors, f"the message lacks '{part}': {errors}")
    check(not place.temporary_files(), "a temporary file is left behind")
    code, out, more = place.run(["script", "job"])
    check(code == 0, f"it does not go on: {out}{more}")
    place.compare()
    return errors.strip().splitlines()[0][:200]


def main():
    for case in (whole_run, killed, full_disk):
        with tempfile.TemporaryDirectory() as folder:
            print(f"{case.__name__}: {case(Place(folder))}", flush=True)


if __name__ == "__main__":
    main()
