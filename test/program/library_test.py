#!/usr/bin/env python3
"""Goal: the example programs of docs/library.md do what they print, run again they change nothing, and SQL sees their tables.
Method: each is run twice over one folder; then millrace reads the same warehouse."""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
MILLRACE = os.environ.get("MILLRACE", os.path.join(ROOT, "build/millrace"))
EXAMPLES = os.environ.get("EXAMPLES", os.path.join(ROOT, "build/bin"))
ORDERS = """customer 4: 100 orders, 495499.00
customer 7: 0 orders, 0.00
"""
FOLLOW = """  +I bread 20
  +I cake 2
  +I salt 5
sales
  -U bread 20
  +U bread 17
  -D cake 2
at the till
  bread: 17
  cake: sold out
  salt: 5
"""
SQL = """CREATE CATALOG lake WITH ('type'='paimon', 'warehouse'='{folder}'); USE CATALOG lake; USE shop;
SET 'execution.runtime-mode'='batch';
SELECT COUNT(*) AS orders, SUM(CASE WHEN state = 'shipped' THEN 1 ELSE 0 END) AS shipped, MAX(id) AS last FROM orders;
SELECT * FROM stock ORDER BY article;"""
SEEN = """orders,shipped,last
9000,5000,9999
article,pieces
bread,17
salt,5
"""


def run(command, wanted):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    # Buckets are followed one after the other: lines of one commit come in any order of keys.
    if done.returncode != 0 or by_block(done.stdout) != by_block(wanted):
        sys.exit(f"{command}\nexit code {done.returncode}\n{done.stdout}{done.stderr}\nwanted\n{wanted}")


def by_block(text):
    blocks, block = [], []
    for line in text.splitlines():
        if not line.startswith("  "):
            blocks.append(sorted(block))
            block = []
            blocks.append([line])
        else:
            block.append(line)
    return blocks + [sorted(block)]


with tempfile.TemporaryDirectory() as folder:
    for _ in range(2):
        run([EXAMPLES + "/example_orders", folder], ORDERS)
        run([EXAMPLES + "/example_follow", folder], FOLLOW)
    run([MILLRACE, "--format", "csv", "--data", folder + "/data", "-e", SQL.format(folder=folder)], SEEN)
