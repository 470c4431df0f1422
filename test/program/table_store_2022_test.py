#!/usr/bin/env python3
"""Goal: a script of 2022 runs as it was written, and its report and look-ups are right.
Method: run examples/table_store_2022 with fewer rows; export the generated rows by a batch query of their own, and apply them one
by one in Python."""
import csv
import glob
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from decimal import Decimal

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
MILLRACE = os.environ.get("MILLRACE", os.path.join(ROOT, "build/millrace"))
ACCOUNTS, MOVEMENTS = 20_000, 60_000


def run(args):
    result = subprocess.run([MILLRACE, *args], capture_output=True, text=True, timeout=120)
    if result.returncode != 0:
        sys.exit(f"{args}\nexit code {result.returncode}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}")
    return result.stdout


def small(script):
    script, replaced = re.subn(r"'1000000'", f"'{ACCOUNTS}'", script)
    assert replaced == 3, "the script has changed"
    for old, new in (("'3000000'", f"'{MOVEMENTS}'"), ("100000 AS INT", "2000 AS INT"), ("815000", "15000")):
        assert old in script, f"the script has changed: no {old}"
        script = script.replace(old, new)
    return script


def expected_answers(script, folder):
    """Balance and whether it was moved, by account, from the generated rows in their order."""
    sources = "\n".join(re.findall(r"CREATE TEMPORARY TABLE.*?;\n", script, re.S))
    # Generated rows follow from the table's path, so the tables must lie where the script has them.
    head = f"CREATE CATALOG store WITH ('type'='table-store', 'warehouse'='{folder}/other'); USE CATALOG store;\n{sources}"
    state = {}
    for table, moved in (("opening", 0), ("movements", 1)):
        text = run(["--format", "csv", "--data", folder + "/other-data", "-e",
                    head + f"SET 'execution.runtime-mode'='batch'; SELECT account, balance FROM {table};"])
        rows = list(csv.DictReader(io.StringIO(text)))
        assert len(rows) == (MOVEMENTS if moved else ACCOUNTS), (table, len(rows))
        for row in rows:
            state[int(row["account"])] = (Decimal(row["balance"]), moved)
    return state


def tables(output):
    """The cells of every table drawn: a header between two rules, then rows up to a third."""
    found, rules = [], 0
    for line in output.split("\n"):
        if line.startswith("+-"):
            if rules % 3 == 0:
                found.append([])
            rules += 1
        elif line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def main():
    with open(os.path.join(ROOT, "examples/table_store_2022/script.sql"), encoding="utf-8") as file:
        script = small(file.read())
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/script.sql"
        with open(path, "w", encoding="utf-8") as file:
            file.write(script)
        output = run(["--data", folder + "/data", "-D", f"WAREHOUSE={folder}/warehouse", "-f", path])
        state = expected_answers(script, folder)
        assert sorted(state) == list(range(1, ACCOUNTS + 1))

        report = {}
        for account, (balance, moved) in state.items():
            entry = report.setdefault(account // 2000, [0, Decimal(0), Decimal(0), 0])
            entry[0] += 1
            entry[1] += balance
            entry[2] = max(entry[2], balance)
            entry[3] += moved
        expected = [[[str(branch), *(str(value) for value in entry)] for branch, entry in sorted(report.items())]]
        for account in (4711, 15000):
            expected.append([[str(account), str(state[account][0]), f"2022-10-0{1 + state[account][1]} 00:00:00"]])
        found = [table[1:] for table in tables(output)]
        if found != expected:
            sys.exit(f"the report differs\n--- expected\n{expected}\n--- got\n{found}\n{output}")

        # Every change was kept, not only the last of each account.
        kept = 0
        for snapshot in glob.glob(folder + "/warehouse/default.db/balances/snapshot/snapshot-*"):
            with open(snapshot, encoding="utf-8") as file:
                kept += json.load(file).get("changelogRecordCount") or 0
        assert kept == ACCOUNTS + MOVEMENTS, f"{kept} changes kept of {ACCOUNTS + MOVEMENTS}"
    print("PASS")


if __name__ == "__main__":
    main()
