"""The books balance: money moves between accounts, and whatever is joined and added up over the transfers and the balances, every
output ever made shows the same total, which is known."""
import csv
import glob
import os
import re
import shutil
import signal
import threading
from decimal import Decimal

from lives import Life, check, life_seconds, run
from script_cases import Lake, sequence

OPENING = Decimal("1000.00")

# One job writes transfers and balances, from two sources; a second one follows both. Each of its sums is the same in all
# outputs; the last column, the greatest value, changes, so that there are outputs at all.
TABLES = """CREATE TABLE IF NOT EXISTS opening (account BIGINT, opening DECIMAL(18, 2)) WITH ('bucket'='-1');
CREATE TABLE IF NOT EXISTS transfers (id BIGINT, payer BIGINT, payee BIGINT, amount DECIMAL(18, 2)) WITH ('bucket'='-1');
CREATE TABLE IF NOT EXISTS balances (account BIGINT, balance DECIMAL(38, 2), PRIMARY KEY (account) NOT ENFORCED)
WITH ('bucket'='2', 'changelog-producer'='input', {kept});
CREATE TABLE IF NOT EXISTS checked (account BIGINT, balance DECIMAL(38, 2), moved DECIMAL(38, 2), PRIMARY KEY (account) NOT ENFORCED)
WITH ('bucket'='1', 'changelog-producer'='input', {kept});
CREATE TEMPORARY VIEW moves AS
SELECT payer AS account, -amount AS amount FROM transfers UNION ALL SELECT payee, amount FROM transfers;
CREATE TEMPORARY VIEW moved_by AS SELECT account, SUM(amount) AS moved FROM moves GROUP BY account;
CREATE TEMPORARY VIEW held AS SELECT b.account, b.balance, o.opening FROM balances AS b JOIN opening AS o ON o.account = b.account;
"""
PRINTED = """CREATE TEMPORARY TABLE total (n BIGINT, total DECIMAL(38, 2), most DECIMAL(38, 2)) WITH ('connector'='print', 'print-identifier'='total', 'print.with-step'='true');
CREATE TEMPORARY TABLE pairs (n BIGINT, total DECIMAL(38, 2), most DECIMAL(38, 2)) WITH ('connector'='print', 'print-identifier'='pairs', 'print.with-step'='true');
CREATE TEMPORARY TABLE joined (n BIGINT, balance DECIMAL(38, 2), moved DECIMAL(38, 2), difference DECIMAL(38, 2), most DECIMAL(38, 2))
WITH ('connector'='print', 'print-identifier'='joined', 'print.with-step'='true');
CREATE TEMPORARY TABLE branches (branch BIGINT, n BIGINT, balance DECIMAL(38, 2))
WITH ('connector'='print', 'print-identifier'='branches', 'print.with-step'='true');
CREATE TEMPORARY TABLE exported (id BIGINT, payer BIGINT, payee BIGINT, amount DECIMAL(18, 2))
WITH ('connector'='filesystem', 'path'='{folder}/export', 'format'='csv');
"""
READER = """SET 'execution.runtime-mode'='streaming'; SET 'table.dml-sync'='false'; SET 'pipeline.name'='reader';
EXECUTE STATEMENT SET BEGIN
INSERT INTO total SELECT COUNT(*), SUM(balance), MAX(balance) FROM balances;
INSERT INTO pairs SELECT COUNT(*), SUM(a.balance + b.balance), MAX(a.balance + b.balance) FROM balances AS a JOIN balances AS b ON a.account <> b.account;
INSERT INTO joined
SELECT COUNT(*), SUM(b.balance), SUM(b.opening + COALESCE(m.moved, 0)), SUM(ABS(b.balance - b.opening - COALESCE(m.moved, 0))), MAX(m.moved)
FROM held AS b LEFT JOIN moved_by AS m ON m.account = b.account;
INSERT INTO branches SELECT MOD(account, 5), COUNT(*), SUM(balance) FROM held GROUP BY MOD(account, 5);
INSERT INTO checked
SELECT b.account, b.balance, COALESCE(m.moved, 0) FROM balances AS b LEFT JOIN moved_by AS m ON m.account = b.account;
INSERT INTO exported SELECT id, payer, payee, amount FROM transfers;
END;
"""
WRITER = """SET 'table.dml-sync'='true'; SET 'pipeline.name'='writer';
CREATE TEMPORARY VIEW incoming AS SELECT id, MOD(id * 7919 + side, {accounts}) AS payer,
  MOD(id * 7919 + side + 1 + MOD(id * 31, {accounts} - 1), {accounts}) AS payee, CAST(MOD(id * 37 + side, 100) + 1 AS DECIMAL(18, 2)) AS amount
FROM (SELECT id * 2 AS id, 0 AS side FROM east UNION ALL SELECT id * 2 + 1, 1 FROM west);
EXECUTE STATEMENT SET BEGIN
INSERT INTO transfers SELECT id, payer, payee, amount FROM incoming;
INSERT INTO balances
SELECT o.account, o.opening + COALESCE(m.moved, 0) FROM (VALUES {opened}) AS o (account, opening) LEFT JOIN (
  SELECT account, SUM(amount) AS moved FROM (
    SELECT payer AS account, -amount AS amount FROM incoming UNION ALL SELECT payee, amount FROM incoming) AS x GROUP BY account) AS m
ON m.account = o.account;
END;
STOP JOB 'reader' WITH DRAIN;
"""


def transfers_of(rows, accounts):
    """What the two sources send, computed here."""
    for n in range(2 * rows):
        side = n % 2
        payer = (n * 7919 + side) % accounts
        payee = (n * 7919 + side + 1 + n * 31 % (accounts - 1)) % accounts
        yield n, payer, payee, (n * 37 + side) % 100 + 1


class Books:
    """Accounts, two sources of transfers, and the script over them."""

    def __init__(self, folder, rng, rows, rate):
        self.lake, self.rng, self.rows = Lake(folder), rng, rows
        self.accounts = rng.choice([7, 20, 45])
        self.total = self.accounts * OPENING
        kept = "'snapshot.num-retained.min'='30', 'snapshot.num-retained.max'='60'"
        self.tables = TABLES.replace("{kept}", kept)
        run(self.lake.args("opening", self.tables + sequence("numbers", self.accounts)
                           + f"SET 'execution.runtime-mode'='batch'; INSERT INTO opening SELECT id, {OPENING} FROM numbers;"))
        opened = ", ".join(f"({account}, {OPENING})" for account in range(self.accounts))
        checkpoint = rng.choice([15, 40, 120])
        self.script = (f"SET 'execution.checkpointing.interval'='{checkpoint} ms'; SET 'parallelism.default'='4';\n" + self.tables
                       + PRINTED.replace("{folder}", folder) + sequence("east", rows, rate) + sequence("west", rows, rate)
                       + READER + WRITER.replace("{accounts}", str(self.accounts)).replace("{opened}", opened))

    def args(self):
        """Steps of any size, in half of the lives with all state on disk, in half collecting rows for a while; the script
        remains the same one."""
        init = f"{self.lake.folder}/init.sql"
        with open(init, "w", encoding="utf-8") as file:
            file.write(f"SET 'table.exec.mini-batch.size'='{self.rng.choice([2, 9, 50, 400, 100_000])}';\n")
            if self.rng.random() < 0.5:
                file.write("SET 'memory.state-limit'='0 kb';\n")
            if self.rng.random() < 0.3:  # What a job began with stays.
                file.write("SET 'table.optimizer.reuse-sub-plan-enabled'='false';\n")
            if self.rng.random() < 0.5:
                file.write("SET 'table.exec.mini-batch.enabled'='true'; SET 'table.exec.mini-batch.allow-latency'="
                           f"'{self.rng.choice([1, 5, 30])} ms';\n")
        return self.lake.args("books", self.script, "--init", init)

    def look(self):
        """Batch queries over both tables: each sees one checkpoint of the writer, in which the books balance. How many it was."""
        sql = ("SELECT COUNT(*), SUM(b.balance), SUM(ABS(b.balance - o.opening - COALESCE(m.moved, 0))), "
               "(SELECT COALESCE(SUM(amount), 0) FROM moves) FROM balances AS b JOIN opening AS o ON o.account = b.account "
               "LEFT JOIN (SELECT account, SUM(amount) AS moved FROM moves GROUP BY account) AS m ON m.account = b.account")
        path = f"{self.lake.folder}/look.sql"
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.lake.head + self.tables + "SET 'execution.runtime-mode'='batch';\n" + (sql + ";\n") * 10)
        life = Life(["--data", path + ".data", "--format", "csv", "-f", path])
        code = life.end()
        check(code == 0 or "half a checkpoint" in life.errors, f"a look: exit code {code}: {life.errors}")
        rows = [row for row in csv.reader(life.lines) if len(row) == 4 and row[0].isdigit() and row[0] != "0"]
        for row in rows:
            check(int(row[0]) == self.accounts and Decimal(row[1]) == self.total and Decimal(row[2]) == Decimal(row[3]) == 0,
                  f"a batch query saw {row}; {self.accounts} accounts, {self.total}, no difference wanted")
        return len(rows)

    def check_lines(self, lives):
        """Each printed row of the sums, and the branches together after each step, show the known total. How many rows it was."""
        n, pairs = self.accounts, self.accounts * (self.accounts - 1)
        wanted = {"total": [n, self.total], "pairs": [pairs, 2 * (n - 1) * self.total], "joined": [n, self.total, self.total, Decimal("0.00")]}
        shown, steps = dict.fromkeys([*wanted, "branches"], 0), {}
        for life in lives:
            seen = {}
            for line in life:
                found = re.fullmatch(r"(\d+): (\w+)> ([+-][IUD])\[(.*)\]", line)
                if not found or found[2] not in shown:
                    check(not re.match(r"\d+: ", line), f"a broken line: {line}")
                    continue
                step, name, kind, values = int(found[1]), found[2], found[3], found[4].split(", ")
                shown[name] += 1
                if name == "branches":
                    seen.setdefault(step, []).append((kind, tuple(values)))
                    continue
                if values[0] == "0" and set(values[1:]) == {"null"}:
                    continue  # Before the first account.
                check(values[:-1] == [str(value) for value in wanted[name]], f"{line}: {wanted[name]} wanted")
            steps.update(seen)  # A step that a kill has cut is shown again, whole.
        branches = {}
        for step in sorted(steps):
            for kind, (branch, count, balance) in steps[step]:
                if kind in ("-U", "-D"):
                    check(branches.pop(branch, None) == (count, balance), f"step {step}: branch {branch} leaves with {balance} unseen")
                else:
                    check(branch not in branches, f"step {step}: branch {branch} twice")
                    branches[branch] = (count, balance)
            got = sum(int(count) for count, _ in branches.values()), sum(Decimal(balance) for _, balance in branches.values())
            check(got == (n, self.total), f"after step {step} the branches show {got}, {(n, self.total)} wanted")
        check(all(shown.values()), f"never shown: {shown}")
        return sum(shown.values())

    def check_snapshots(self):
        """Each snapshot that there is of what the jobs wrote balances. How many there are."""
        parts = []
        for table in ("balances", "checked"):
            for path in glob.glob(f"{self.lake.folder}/warehouse/default.db/{table}/snapshot/snapshot-*"):
                at = f"{table} /*+ OPTIONS('scan.snapshot-id'='{path.rpartition('-')[2]}') */"
                moved = f"SUM(balance - moved) - {self.total}" if table == "checked" else "0"
                parts.append(f"SELECT COUNT(*), SUM(balance), {moved} FROM {at}")
        found = self.lake.query(" UNION ALL ".join(parts))
        for row in found:
            check(int(row[0]) == self.accounts and Decimal(row[1]) == self.total and Decimal(row[2]) == 0,
                  f"a snapshot shows {row}; {self.accounts} accounts and {self.total} wanted")
        return len(found)

    def check_end(self):
        """All of it is there once."""
        rows = list(transfers_of(self.rows, self.accounts))
        balances = {account: OPENING for account in range(self.accounts)}
        for _, payer, payee, amount in rows:
            balances[payer] -= amount
            balances[payee] += amount
        got = {int(account): Decimal(balance) for account, balance in self.lake.query("SELECT account, balance FROM balances")}
        check(got == balances, f"balances: {got}, {balances} wanted")
        got = {int(a): (Decimal(b), Decimal(m)) for a, b, m in self.lake.query("SELECT account, balance, moved FROM checked")}
        check(got == {a: (b, b - OPENING) for a, b in balances.items()}, f"checked: {got}")
        got = sorted((int(i), int(a), int(b), int(Decimal(c))) for i, a, b, c in self.lake.query("SELECT * FROM transfers"))
        check(got == rows, f"transfers: {len(got)} rows, {len(rows)} wanted")
        found = []
        for path in glob.glob(self.lake.folder + "/export/*"):
            with open(path, newline="", encoding="utf-8") as file:
                found += [row for row in csv.reader(file) if row and row[0].isdigit()]
        got = sorted((int(i), int(a), int(b), int(Decimal(c))) for i, a, b, c in found)
        check(got == rows, f"exported files: {len(got)} rows, {len(rows)} wanted")


def play(books, rng, kills):
    """The lives of one script until it ends, with batch queries beside them; killed at most so often. Lines by life; kills; looks."""
    lives, done, looks, looking, problems = [], 0, [0], [True], []

    def look():
        while looking[0] and not problems:
            try:
                looks[0] += books.look()
            except Exception as problem:  # Told by the main thread.
                problems.append(str(problem))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        while True:
            life = Life(books.args())
            code = life.end(life_seconds(rng) if done < kills else None, kill=True)
            lives.append(life.lines)
            done += code == -signal.SIGKILL
            if code == 0 or life.ended_well():
                break
            check(code == -signal.SIGKILL, f"exit code {code}\n{life.errors[-3000:]}")
            check(not life.errors, f"a killed life complains: {life.errors}")
            check(len(lives) < 20 + 2 * kills, "it never ends")
    finally:
        looking[0] = False
        thread.join()
    check(not problems, "; ".join(problems))
    return lives, done, looks[0]


def case_books(folder, rng, kills):
    """Transfers and balances from two sources, followed by joins and sums that are killed with them: each output balances."""
    os.makedirs(folder)
    wanted, sums, number = max(2, kills // 4), [0, 0, 0, 0], 0
    while sums[0] < wanted:
        number += 1
        books = Books(f"{folder}/{number}", rng, rng.choice([1500, 4000, 7000]), rng.choice([700, 2000]))
        lives, done, looks = play(books, rng, wanted - sums[0])
        rows, snapshots = books.check_lines(lives), books.check_snapshots()
        books.check_end()
        shutil.rmtree(books.lake.folder)
        sums = [a + b for a, b in zip(sums, (done, rows, snapshots, looks))]
    check(min(sums) > 0, f"nothing to compare: {sums}")
    return f"{sums[0]} kills; {sums[1]} printed rows, {sums[2]} snapshots and {sums[3]} looks balance"


BOOKS_CASES = {"books": case_books}
