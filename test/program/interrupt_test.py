#!/usr/bin/env python3
"""Goal: Ctrl-C ends whatever runs, soon, with exit code 130; scripts are read as editors write them.
Method: start long statements, send SIGINT after a moment, measure; run odd script files."""
import os
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
MILLRACE = os.environ.get("MILLRACE", os.path.join(ROOT, "build/millrace"))
SOURCE = "CREATE TABLE g (a INT) WITH ('connector'='datagen', 'rows-per-second'='1000'); "
SINK = "CREATE TABLE b (a BIGINT) WITH ('connector'='blackhole'); "
LONG = {
    "batch query": "SET 'execution.runtime-mode'='batch'; SELECT COUNT(*) FROM range(100000000000) AS a;",
    "batch join": "SET 'execution.runtime-mode'='batch'; SELECT SUM(a.range * b.range) FROM range(1000000) AS a, range(1000000) AS b;",
    "DuckDB's query": "SET 'table.sql-dialect'='duckdb'; SELECT COUNT(*) FROM range(100000000000) AS a;",
    "batch insert": SINK + "SET 'execution.runtime-mode'='batch'; INSERT INTO b SELECT * FROM range(100000000000) AS a;",
    "streaming query": SOURCE + "SELECT COUNT(*) FROM g;",
    "job": SOURCE + SINK + "INSERT INTO b SELECT a FROM g;",
    "job that is waited for": SOURCE + SINK + "SET 'table.dml-sync'='true'; INSERT INTO b SELECT a FROM g;",
}


def check(good, text):
    if not good:
        sys.exit(text)


def run(args):
    return subprocess.run([MILLRACE, *args], capture_output=True, text=True, timeout=60)


def interrupts(folder):
    for what, sql in LONG.items():
        process = subprocess.Popen([MILLRACE, "--data", folder + "/data", "-e", sql], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.7)
        check(process.poll() is None, f"{what}: it ended by itself")
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            sys.exit(f"{what}: SIGINT does not end it")
        print(f"{what}: ended {time.monotonic() - start:.2f} s after SIGINT")
        check(process.returncode == 130, f"{what}: exit code {process.returncode}")


def scripts(folder):
    for what, text in {"Windows lines": b"SELECT 1 AS a;\r\nSELECT 2 AS b;\r\n", "a byte order mark": b"\xef\xbb\xbfSELECT 1 AS a; SELECT 2 AS b",
                       "no last newline": b"SELECT 1 AS a;\n-- two\nSELECT 2 AS b"}.items():
        path = folder + "/script.sql"
        with open(path, "wb") as file:
            file.write(text)
        result = run(["--format", "csv", "-f", path])
        check(result.stdout == "a\n1\nb\n2\n" and result.returncode == 0, f"a script with {what}: {result}")
    result = run(["-f", folder])
    check(result.returncode == 1 and "folder" in result.stderr, f"a folder as script: {result}")


with tempfile.TemporaryDirectory() as scratch:
    interrupts(scratch)
    scripts(scratch)
print("PASS")
