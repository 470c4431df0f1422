#!/usr/bin/env python3
"""Goal: kill -9 at any moment loses and doubles nothing, and no output is ever wrong.
Method: run the bank of examples/bank (and copies.sql) in a process that is killed at random moments and started again over the
same folders until its script ends; then compare every table, exported file and database with the bank's own rows, and every
line ever printed with the states that the bank's books went through. Other cases: kill and start afresh; two processes at once
on one data folder; two processes writing the same tables; batch readers beside the writer; those of script_cases.py
and store_cases.py; and books that must balance in every output (books_case.py).

  crash_test.py [--kills 20] [--seed N] [--case NAME ...] [--keep]"""
import argparse
import csv
import glob
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from decimal import Decimal

from books_case import BOOKS_CASES
from lives import HERE, LAST_WORD, ROOT, Failed, Life, check, life_seconds, run
from script_cases import SCRIPT_CASES
from store_cases import STORE_CASES


class Bank:
    """A folder with a bank's warehouse, and the scripts over it."""

    def __init__(self, folder, rng, transactions, rate):
        self.folder, self.rng = folder, rng
        os.makedirs(folder)
        self.env = {
            "WAREHOUSE": folder + "/warehouse", "REPORT": folder + "/report.db", "EXPORT": folder + "/export",
            "BANK_TRANSACTIONS": str(transactions), "BANK_ACCOUNTS": str(rng.choice([50, 700, 5000])),
            "BANK_CUSTOMERS": "300", "BANK_RATE": str(rate), "BANK_SEED": str(rng.randrange(1 << 30)),
            "BANK_FORMAT": rng.choice(["rows", "rows", "debezium-json"]),
            "LOAD_CHECKPOINT": rng.choice(["20 ms", "50 ms", "150 ms"]), "CHECKPOINT": rng.choice(["30 ms", "100 ms", "300 ms"]),
            "COPY_CHECKPOINT": rng.choice(["30 ms", "100 ms", "300 ms"])}
        with open(os.path.join(ROOT, "examples/bank/tables.sql"), encoding="utf-8") as file:
            tables = file.read()
        # Summaries, which nobody follows, forget their history at once.
        tables, replaced = re.subn(r"WITH \('bucket' = '1'\);",
                                   "WITH ('bucket' = '1', 'snapshot.num-retained.min' = '1', 'snapshot.num-retained.max' = '3');", tables)
        check(replaced == 3, "examples/bank/tables.sql has changed")
        self.tables = folder + "/tables.sql"
        with open(self.tables, "w", encoding="utf-8") as file:
            file.write(tables)
        self.init = folder + "/init.sql"
        last = folder + "/last.sql"
        with open(last, "w", encoding="utf-8") as file:
            file.write(f"SELECT '{LAST_WORD}' AS word;\n")
        example = os.path.join(ROOT, "examples/bank")
        self.scripts = []
        for path in (self.tables, example + "/reports.sql", example + "/export.sql", HERE + "/copies.sql", example + "/load.sql",
                     example + "/drain.sql", HERE + "/settle.sql", example + "/compare.sql", last):
            self.scripts += ["-f", path]

    def args(self, *more):
        """In half of the lives all operator state is on disk, and jobs have another number of threads, in some
        they collect rows for a while; the script remains the same one."""
        threads = self.rng.choice([None, 1, 2, 4, 4])
        with open(self.init, "w", encoding="utf-8") as file:
            file.write("SET 'memory.state-limit' = '0 kb';\n" if self.rng.random() < 0.5 else "")
            file.write(f"SET 'parallelism.default' = '{threads}';\n" if threads else "")
            if self.rng.random() < 0.3:
                file.write("SET 'table.exec.mini-batch.enabled' = 'true'; SET 'table.exec.mini-batch.allow-latency' = "
                           f"'{self.rng.choice([2, 20])} ms';\n")
        return ["--data", self.folder + "/jobs", *more, "--init", self.init, *self.scripts]

    def query(self, sql):
        """Rows of a batch query over the lake and the bank's own tables."""
        path = self.folder + f"/query-{self.rng.randrange(1 << 60)}.sql"
        with open(path, "w", encoding="utf-8") as file, open(self.tables, encoding="utf-8") as tables, \
                open(HERE + "/verify.sql", encoding="utf-8") as views:
            file.write(tables.read() + views.read() + sql + ";\n")
        lines = run(["--data", path + ".data", "--format", "csv", "-f", path], self.env)
        os.remove(path)
        return list(csv.reader(lines))[1:]

    def verify(self, lines):
        env, pairs = self.env, {
            "ods_branches": "SELECT * FROM bank_branches", "ods_customers": "SELECT * FROM bank_customers",
            "ods_accounts": "SELECT * FROM bank_accounts", "ods_transactions": "SELECT * FROM bank_transactions",
            "ods_loans": "SELECT * FROM bank_loans", "dwd_transactions": "SELECT * FROM wide",
            "dws_branch": "SELECT branch_id, branch_name, COUNT(*), SUM(IF(kind = 'deposit', amount, 0)), "
                          "SUM(IF(kind = 'loan', amount, 0)) FROM wide GROUP BY branch_id, branch_name",
            "dws_segment": "SELECT segment, COUNT(*), SUM(IF(kind = 'deposit', amount, 0)), SUM(IF(kind = 'loan', amount, 0)) "
                           "FROM wide GROUP BY segment",
            "dws_day": "SELECT CAST(booked_at AS DATE), COUNT(*), SUM(IF(kind = 'deposit', amount, 0)), "
                       "SUM(IF(kind = 'loan', amount, 0)) FROM wide GROUP BY CAST(booked_at AS DATE)",
            "crm_report": "SELECT * FROM report", "crm_export": "SELECT * FROM report",
            "logged_accounts": "SELECT account_id, balance FROM bank_accounts",
            "logged_totals": "SELECT 1, COUNT(*), SUM(balance) FROM bank_accounts",
            "copied_transactions": "SELECT transaction_id, kind, amount FROM bank_transactions"}
        union = " UNION ALL ".join(
            f"SELECT '{name}' AS name, (SELECT COUNT(*) FROM {name}) AS there, (SELECT COUNT(*) FROM ({sql}) AS x) AS wanted, "
            f"(SELECT COUNT(*) FROM (({sql}) EXCEPT ALL SELECT * FROM {name}) AS m) AS missing, "
            f"(SELECT COUNT(*) FROM (SELECT * FROM {name} EXCEPT ALL ({sql})) AS s) AS surplus" for name, sql in pairs.items())
        for name, there, wanted, missing, surplus in self.query(union):
            check(int(wanted) > 0, f"{name}: nothing to compare")
            check(missing == surplus == "0", f"{name}: {there} rows, {wanted} wanted, {missing} missing, {surplus} too many")
        states = self.query("SELECT transaction_id, kind, amount FROM bank_transactions")
        self.verify_tables()
        self.verify_files(states)
        self.verify_changelog(states)
        self.verify_lines(lines, states)
        results = [line for line in lines if "PASS" in line or "FAIL" in line]
        check(len(results) >= 3 and not any("FAIL" in line for line in results), "\n".join(results))
        return int(env["BANK_TRANSACTIONS"])

    def verify_tables(self):
        """VERIFY finds nothing wrong with any table of the warehouse."""
        tables = sorted(os.path.basename(path) for path in glob.glob(self.folder + "/warehouse/bank.db/*"))
        check(len(tables) >= 9, f"the warehouse holds only {tables}")
        for table in tables:
            found = self.query(f"VERIFY TABLE `{table}` FULL")
            check(not found, f"VERIFY TABLE {table}:\n" + "\n".join(" ".join(row) for row in found))

    def verify_files(self, transactions):
        """The exported files hold each transaction once. Hidden ones are not published."""
        found = []
        for path in glob.glob(self.folder + "/export/*"):
            with open(path, newline="", encoding="utf-8") as file:
                found += [tuple(row) for row in csv.reader(file)]
        wanted = sorted(tuple(row) for row in transactions)
        found = sorted(row for row in found if row[0].isdigit())
        check(found == wanted, f"exported files: {len(found)} rows, {len(set(found))} of them distinct, {len(wanted)} wanted")

    def verify_changelog(self, transactions):
        """Each change of an account is in the table's changelog once: its opening, and two rows per update."""
        kept = 0
        for path in glob.glob(self.folder + "/warehouse/bank.db/ods_accounts/snapshot/snapshot-*"):
            with open(path, encoding="utf-8") as file:
                kept += json.load(file).get("changelogRecordCount") or 0
        wanted = int(self.env["BANK_ACCOUNTS"]) + sum(4 if kind == "transfer" else 2 for _, kind, _ in transactions)
        check(kept == wanted, f"changelog of ods_accounts: {kept} changes, {wanted} wanted")

    def verify_lines(self, lines, transactions):
        """Each printed state of the books and of the export balances, and is one that the bank went through."""
        sums, column = [Decimal(0)] * 3, {"deposit": 0, "withdrawal": 1, "loan": 2}
        states = {tuple(sums)}
        for _, kind, amount in transactions:
            if kind in column:
                sums[column[kind]] += Decimal(amount)
                states.add(tuple(sums))
        shown = {"books": 0, "exported": 0}
        for line in lines:
            name = line.partition("> ")[0]
            if name not in shown:
                continue
            fields = [field.strip() for field in line[line.index("[") + 1:-1].split(",")]
            check(len(fields) == 7 and line.endswith("]"), f"a broken line: {line}")
            check(Decimal(fields[6]) == 0, f"the books do not balance: {line}")
            check(tuple(Decimal(field) for field in fields[2:5]) in states, f"the books were never in this state: {line}")
            shown[name] += 1
        check(all(shown.values()), f"the books were never shown: {shown}")


def case_kill(folder, rng, kills):
    """Kill and start again until the script ends; as many banks as that takes."""
    done, number, told = 0, 0, []
    while done < kills:
        number += 1
        bank = Bank(f"{folder}/bank{number}", rng, rng.choice([3_000, 9_000]), rng.choice([1_000, 3_000, 0]))
        lines, lives = [], 0
        while True:
            lives += 1
            life = Life(bank.args(), bank.env)
            code = life.end(life_seconds(rng) if done < kills else None, kill=True)
            lines += life.lines
            if code == -signal.SIGKILL:
                done += 1
                check(not life.errors, f"a killed life complains: {life.errors}")
            if code == 0 or life.ended_well():
                break
            check(code == -signal.SIGKILL, f"life {lives} of {bank.folder}: exit code {code}\n{life.errors[-3000:]}")
            check(lives < 20 + 2 * kills, "it never ends")
        left = glob.glob(bank.folder + "/jobs/tmp/*") + glob.glob(bank.folder + "/jobs/tmp/.*")
        check(not left, f"temporary files are left: {left}")
        rows = bank.verify(lines)
        told.append(f"{lives} lives, {rows} transactions")
        shutil.rmtree(bank.folder)
    return f"{done} kills; " + "; ".join(told)


def case_fresh(folder, rng, kills):
    """Killed and started with --fresh, again and again; who follows its tables is not stuck with a half checkpoint."""
    bank = Bank(folder + "/bank", rng, 4_000, 0)
    script = ["-f", bank.tables, "-f", os.path.join(ROOT, "examples/bank/load.sql")]
    bank.env["LOAD_CHECKPOINT"] = "1 ms"
    for _ in range(min(kills, 8)):
        life = Life(["--data", bank.folder + "/jobs", "--fresh", *script], bank.env)
        life.end(rng.uniform(0.1, 0.5), kill=True)
    run(["--data", bank.folder + "/jobs", "--fresh", *script], bank.env)
    follow = ("SET 'table.dml-sync'='false'; SET 'pipeline.name'='follow'; INSERT INTO books SELECT COUNT(*), SUM(opening_balance), "
              "SUM(balance), 0, 0, 0, 0 FROM ods_accounts; STOP JOB 'follow' WITH DRAIN;")
    path = bank.folder + "/follow.sql"
    with open(path, "w", encoding="utf-8") as file:
        file.write(follow)
    lines = [line for line in run(["--data", bank.folder + "/jobs", "-f", bank.tables, "-f", path], bank.env) if "books> +" in line]
    wanted = bank.query("SELECT COUNT(*), SUM(opening_balance), SUM(balance) FROM bank_accounts")[0]
    check(lines and lines[-1].split("[")[1].split(", ")[:3] == wanted, f"{wanted} wanted, got {lines[-1:]}")
    return "ok"


def case_two_at_once(folder, rng, _):
    """A second process on the same data folder is told why it cannot, and the first is none the worse, even with --fresh."""
    bank = Bank(folder + "/bank", rng, 12_000, 1_500)
    first = Life(bank.args(), bank.env)
    told = 0
    while not glob.glob(folder + "/bank/jobs/**/job.json", recursive=True) and first.process.poll() is None:
        time.sleep(0.01)  # Until then nobody can tell which of the two is the first.
    for more in ([], ["--fresh"], []):
        time.sleep(rng.uniform(0.2, 0.4))
        if first.process.poll() is not None:
            break
        second = Life(bank.args(*more), bank.env)
        code = second.end()
        check(code == 1 and re.search("another (job or )?process", second.errors), f"the second process: exit code {code}, {second.errors}")
        told += 1
    check(told > 0, "no second process was started in time")
    code = first.end()
    check(code == 0, f"the first process: exit code {code}, {first.errors}")
    bank.verify(first.lines)
    return f"{told} refused"


def case_two_writers(folder, rng, kills):
    """Two processes write the same tables; both are killed now and then."""
    os.makedirs(folder)
    rows = 30_000

    def script(who):
        return f"""CREATE CATALOG lake WITH ('type'='paimon', 'warehouse'='{folder}/warehouse'); USE CATALOG lake;
CREATE TABLE IF NOT EXISTS keyed (id BIGINT, v BIGINT, who INT, PRIMARY KEY (id) NOT ENFORCED) WITH ('bucket'='2');
CREATE TABLE IF NOT EXISTS plain (id BIGINT, v BIGINT, who INT) WITH ('bucket'='-1');
CREATE TEMPORARY TABLE numbers (id BIGINT) WITH ('connector'='datagen', 'rows-per-second'='15000',
  'fields.id.kind'='sequence', 'fields.id.start'='0', 'fields.id.end'='{rows - 1}');
SET 'table.dml-sync'='true'; SET 'execution.checkpointing.interval'='{rng.choice([20, 50, 90])} ms';
EXECUTE STATEMENT SET BEGIN
INSERT INTO keyed SELECT id * 2 + {who}, id, {who} FROM numbers;
INSERT INTO plain SELECT id * 2 + {who}, id, {who} FROM numbers; END;
SELECT '{LAST_WORD}' AS word;"""

    paths, left, lives = [], {0: None, 1: None}, 0
    for who in (0, 1):
        paths.append(f"{folder}/writer{who}.sql")
        with open(paths[who], "w", encoding="utf-8") as file:
            file.write(script(who))
    while left:
        for who in list(left):
            if left[who] is None:
                left[who] = (Life(["--data", f"{folder}/jobs{who}", "-f", paths[who]]),
                             time.monotonic() + (life_seconds(rng) if lives < min(kills, 10) else 120))
                lives += 1
            life, until = left[who]
            if life.process.poll() is None and time.monotonic() < until:
                continue
            code = life.end(0, kill=True)
            if code == 0 or life.ended_well():
                del left[who]
            else:
                check(code == -signal.SIGKILL, f"writer {who}: exit code {code}\n{life.errors}")
                left[who] = None
        time.sleep(0.005)
    sql = (f"CREATE CATALOG lake WITH ('type'='paimon', 'warehouse'='{folder}/warehouse'); USE CATALOG lake; "
           "SET 'execution.runtime-mode'='batch'; ")
    sql += " UNION ALL ".join(f"SELECT COUNT(*), COUNT(DISTINCT id), SUM(v), SUM(who), SUM(id) FROM {t}" for t in ("keyed", "plain"))
    wanted = [2 * rows, 2 * rows, rows * (rows - 1), rows, 2 * rows * (2 * rows - 1) // 2]
    for row in list(csv.reader(run(["--data", folder + "/look", "--format", "csv", "-e", sql + ";"])))[1:]:
        check([int(value) for value in row] == wanted, f"two writers: {row}, {wanted} wanted")
    return f"{lives} lives"


def case_batch_readers(folder, rng, kills):
    """Batch queries beside a writer that is killed now and then see the books balanced, every time."""
    bank = Bank(folder + "/bank", rng, 12_000, 4_000)
    bank.env["LOAD_CHECKPOINT"] = "10 ms"
    args = ["--data", bank.folder + "/jobs", "-f", bank.tables, "-f", os.path.join(ROOT, "examples/bank/load.sql")]
    balance = ("SELECT (SELECT SUM(opening_balance - balance) FROM ods_accounts) + "
               "COALESCE(SUM(CASE kind WHEN 'deposit' THEN amount WHEN 'loan' THEN amount WHEN 'withdrawal' THEN -amount END), 0) "
               "AS difference FROM ods_transactions;\n")
    path = bank.folder + "/look.sql"
    with open(path, "w", encoding="utf-8") as file:
        file.write("SET 'execution.runtime-mode'='batch';\n" + balance * 40)
    run(["--data", bank.folder + "/nobody", "-f", bank.tables], bank.env)
    looked, code, lives = 0, -signal.SIGKILL, 0
    while code == -signal.SIGKILL:
        lives += 1
        life, until = Life(args, bank.env), time.monotonic() + (life_seconds(rng) if lives <= min(kills, 6) else 120)
        while life.process.poll() is None and time.monotonic() < until:
            lines = run(["--data", bank.folder + "/look", "--format", "csv", "-f", bank.tables, "-f", path], bank.env)
            for line in lines:
                if line != "difference" and line not in ("NULL", ""):
                    check(Decimal(line) == 0, f"a batch query saw the books differ by {line}")
                    looked += 1
        code = life.end(0.0 if life.process.poll() is None else None, kill=True)
    check(code == 0, f"the writer: exit code {code}")
    check(looked > 20, f"only {looked} looks")
    return f"{looked} looks, {lives} lives"


def case_end(folder, rng, kills):
    """Killed when the script has just ended, its jobs are forgotten all or not at all: the next run repeats all of it or nothing."""
    os.makedirs(folder)
    tables = [f"t{i}" for i in range(6)]
    path = folder + "/script.sql"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"CREATE CATALOG lake WITH ('type'='paimon', 'warehouse'='{folder}/warehouse'); USE CATALOG lake; "
                   "SET 'table.dml-sync'='true';\n")
        for i, table in enumerate(tables):
            mode = "batch" if i % 2 else "streaming"
            file.write(f"CREATE TABLE IF NOT EXISTS {table} (x INT) WITH ('bucket'='-1'); SET 'execution.runtime-mode'='{mode}';\n"
                       f"INSERT INTO {table} VALUES (1);\n")
        file.write(f"SELECT '{LAST_WORD}' AS word;\n")
    args, runs = ["--data", folder + "/jobs", "-f", path], 0
    for _ in range(min(kills // 2, 40)):
        life = Life(args)
        while life.process.poll() is None and not life.ended_well():
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.012))
        life.end(0, kill=True)
        run(args)
        sql = (f"CREATE CATALOG lake WITH ('type'='paimon', 'warehouse'='{folder}/warehouse'); USE CATALOG lake; "
               "SET 'execution.runtime-mode'='batch'; " + " UNION ALL ".join(f"SELECT COUNT(*) FROM {t}" for t in tables) + ";")
        counts = run(["--data", folder + "/look", "--format", "csv", "-e", sql])[1:]
        check(len(set(counts)) == 1 and int(counts[0]) in (runs + 1, runs + 2), f"after {runs} whole runs: {counts}")
        runs = int(counts[0])
    return f"{runs} whole runs"


CASES = {"kill": case_kill, "fresh": case_fresh, "two-at-once": case_two_at_once, "two-writers": case_two_writers,
         "batch-readers": case_batch_readers, "end": case_end, **SCRIPT_CASES, **STORE_CASES, **BOOKS_CASES}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", random.randrange(1 << 30))))
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--keep", action="store_true", help="leave the folders of a failure")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    failed = False
    for name in options.case or CASES:
        folder, started = tempfile.mkdtemp(prefix="millrace-crash-"), time.monotonic()
        try:
            told = CASES[name](folder + "/x", random.Random(f"{options.seed} {name}"), options.kills)
            print(f"PASS {name}: {told} ({time.monotonic() - started:.1f} s)", flush=True)
        except Failed as failure:
            failed = True
            print(f"FAIL {name} (seed {options.seed}, {folder}): {failure}", flush=True)
        finally:
            if not (failed and options.keep):
                shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
