#!/usr/bin/env python3
"""Goal: running a script again goes on with it after a kill or a signal, and begins anew after its end, be that good or an SQL error;
two scripts never meet in one job. Nothing is lost or doubled, whatever is dropped, made anew or edited in between.
Method: small scripts over one folder, ended in every way, run again as they were or mended; rows are counted in batch."""
import os
import signal
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
MILLRACE = os.environ.get("MILLRACE", os.path.join(ROOT, "build/millrace"))
# Runs until it is stopped, after telling that what stands before it is done.
ENDLESS = """SELECT 'so far' AS word; SET 'execution.runtime-mode'='streaming'; SET 'table.dml-sync'='true';
CREATE TEMPORARY TABLE ticks (a INT) WITH ('connector'='datagen', 'rows-per-second'='10');
CREATE TEMPORARY TABLE hole (a INT) WITH ('connector'='blackhole'); INSERT INTO hole SELECT a FROM ticks;"""
TWO = "INSERT INTO t VALUES (1), (2); "
MADE = "CREATE TABLE IF NOT EXISTS t (a INT) WITH ('bucket'='-1'); "
ANEW = "DROP TABLE IF EXISTS t; CREATE TABLE t (a INT) WITH ('bucket'='-1'); "


def check(good, text):
    if not good:
        sys.exit(text)


class World:
    """A warehouse, a data folder and scripts in one folder."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        self.head = (f"CREATE CATALOG lake WITH ('type'='paimon', 'warehouse'='{folder}/w'); USE CATALOG lake; "
                     "SET 'execution.runtime-mode'='batch'; ")

    def args(self, sql, how="script.sql"):
        """A file, or the text after -e, or standard input."""
        if how == "-e":
            return ["-e", self.head + sql], None
        if how == "-":
            return ["-f", "-"], self.head + sql
        path = os.path.join(self.folder, how)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.head + sql)
        return ["-f", path], None

    def run(self, sql, how="script.sql", wanted=0, more=()):
        args, text = self.args(sql, how)
        done = subprocess.run([MILLRACE, "--data", self.folder + "/jobs", "--format", "csv", *more, *args], input=text,
                              capture_output=True, text=True, timeout=120)
        check(done.returncode == wanted, f"{sql}\nexit code {done.returncode}, {wanted} wanted\n{done.stdout}{done.stderr}")
        return done.stderr

    def stop(self, sql, how="script.sql", number=signal.SIGKILL):
        """Runs it up to ENDLESS, then sends the signal."""
        args, text = self.args(sql + ENDLESS, how)
        life = subprocess.Popen([MILLRACE, "--data", self.folder + "/jobs", "--format", "csv", *args], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        feeder = threading.Thread(target=lambda: (life.stdin.write(text or ""), life.stdin.close()))
        feeder.start()
        seen = []
        for line in life.stdout:
            seen.append(line)
            if line.strip() == "so far":
                break
        life.send_signal(number)
        errors = life.stderr.read()
        life.wait(60)
        feeder.join()
        life.stdout.close()
        life.stderr.close()
        check(any("so far" in line for line in seen), f"{sql}\nended early: {''.join(seen)}{errors}")

    def count(self, table="t"):
        done = subprocess.run([MILLRACE, "--data", self.folder + "/look", "--format", "csv", "-e",
                               self.head + f"SELECT COUNT(*) FROM {table};"], capture_output=True, text=True, timeout=60)
        check(done.returncode == 0, done.stderr)
        return int(done.stdout.split()[-1])

    def holds(self, rows, what, table="t"):
        there = self.count(table)
        check(there == rows, f"{what}: {there} rows, {rows} wanted")

    def jobs(self):
        return sorted(name for name in os.listdir(self.folder + "/jobs/jobs") if not name.startswith("."))


def ended_by_an_error(world):
    for number, (what, slip) in enumerate({"a typo": "SELECT * FROM tt;", "a row": "SELECT CAST(CONCAT('x', a) AS INT) FROM t;",
                                           "a word": "SELEKT 1;"}.items()):
        for how in (f"error{number}.sql", "-e", "-"):
            world.run(ANEW + TWO + slip, how, wanted=1)
            world.run(ANEW + TWO, how)
            world.holds(2, f"made anew after {what} in {how}")
            world.run(ANEW + TWO + slip, how, wanted=1)
            world.run(MADE + TWO, how)
            world.holds(4, f"inserted again after {what} in {how}")


def ended_well(world):
    for how in ("well.sql", "-e", "-"):
        world.run(ANEW + TWO + TWO, how)
        world.run(MADE + TWO + TWO, how)
        world.holds(8, f"run twice: {how}")
    check(not [name for name in os.listdir(world.folder + "/jobs/jobs") if name.startswith(".script")], "scripts leave files behind")


def stopped(world):
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        for how in (f"stopped{number}.sql", "-e", "-"):
            world.run(ANEW, "drop.sql")
            world.stop(MADE + TWO + TWO, how, number)
            world.stop(MADE + TWO + TWO, how, number)
            world.holds(4, f"stopped by {number} and run again: {how}")
            world.stop(ANEW + TWO + TWO, how, number)
            world.holds(4, f"stopped by {number}, made anew and run again: {how}")


def edited(world):
    """An INSERT that is taken out of a killed script, and put back after a whole run, is a new one."""
    one, other = "INSERT INTO t VALUES (1); ", "INSERT INTO t VALUES (2); "
    world.stop(ANEW + one + other)
    world.run(MADE + other)
    world.holds(2, "the rest of a killed script")
    world.run(MADE + one + other)
    world.holds(4, "an INSERT that was put back")


def meetings(world):
    """The same INSERT in other scripts, other folders, other runs."""
    world.run(ANEW, "drop.sql")
    world.stop(MADE + TWO, "one.sql")
    world.run(MADE + TWO, "two.sql")
    world.run(MADE + TWO, "-e")
    world.run(MADE + TWO + "SELECT 1;", "-e")
    world.run(MADE + TWO, "-")
    world.holds(10, "five scripts")
    for folder in ("a", "b"):
        path = os.path.join(world.folder, folder)
        os.makedirs(path)
        with open(path + "/same.sql", "w", encoding="utf-8") as file:
            file.write(world.head + TWO + (ENDLESS if folder == "a" else ""))
    life = subprocess.Popen([MILLRACE, "--data", world.folder + "/jobs", "--format", "csv", "-f", "same.sql"], cwd=world.folder + "/a",
                            stdout=subprocess.PIPE, text=True)
    while life.stdout.readline().strip() != "so far":
        check(life.poll() is None, "it ended early")
    told = world.run(TWO + ENDLESS, "a/same.sql", wanted=1)
    check("another process" in told, f"two processes, one script: {told}")
    subprocess.run([MILLRACE, "--data", world.folder + "/jobs", "-f", "same.sql"], cwd=world.folder + "/b", check=True, timeout=60)
    life.kill()
    life.communicate()
    world.holds(14, "scripts of one name in two folders")


def names(world):
    """'pipeline.name' is whose job it is: of any text, of one job at a time, of one run when that has finished."""
    source = ("CREATE TEMPORARY TABLE five (a INT) WITH ('connector'='datagen', 'number-of-rows'='5', 'fields.a.kind'='sequence', "
              "'fields.a.start'='1', 'fields.a.end'='5'); SET 'execution.runtime-mode'='streaming'; SET 'table.dml-sync'='true'; ")
    insert = "INSERT INTO t SELECT a FROM five; "
    world.run(ANEW, "drop.sql")
    rows = 0
    for name in ("../../escape", "a/b", "a b", "..", ".", "é" * 300, "batch", "x~2", "job-x"):
        world.run(source + f"SET 'pipeline.name'='{name}'; " + insert, "named.sql")
        rows += 5
        world.holds(rows, f"a job called {name[:20]}")
    check(not os.path.exists(world.folder + "/escape"), "a job's name has left the data folder")
    world.run(source + "SET 'pipeline.name'='x'; " + insert + insert + "SET 'pipeline.name'='x-2'; " + insert, "named.sql")
    world.holds(rows + 15, "the second job of a name, and one of that name")
    # Finished in a script that was killed: another script of the name is another run.
    world.stop(source + "SET 'pipeline.name'='y'; " + insert, "one.sql")
    world.run(source + "SET 'pipeline.name'='y'; " + insert, "two.sql")
    world.holds(rows + 25, "one name in two scripts")
    world.run(source + "SET 'pipeline.name'='y'; " + insert.replace("SELECT a", "SELECT a + 1"), "two.sql")
    world.holds(rows + 30, "an edited statement after its job has finished")


def recreated(world):
    """A streaming job goes on only with the tables it knew."""
    source = "CREATE TABLE IF NOT EXISTS s (a INT) WITH ('bucket'='-1'); "
    follow = ("SET 'execution.runtime-mode'='streaming'; SET 'pipeline.name'='follow'; SET 'table.dml-sync'='false'; "
              "SET 'execution.checkpointing.interval'='10 ms'; INSERT INTO t SELECT a FROM s; STOP JOB 'follow' WITH DRAIN; ")
    fill = "INSERT INTO s VALUES (1), (2), (3); "
    world.run(ANEW + source + fill + follow)
    world.run(MADE + source + fill + follow)
    world.holds(6, "a job that went on")
    told = world.run(MADE + "DROP TABLE s; " + source + fill + follow, wanted=1)
    check("made anew" in told and "--fresh" in told, f"a source that was made anew: {told}")
    world.holds(6, "a source that was made anew")
    world.run(ANEW + "DROP TABLE s; " + source + fill + follow)
    world.holds(3, "all was made anew")
    world.run(ANEW + source + follow)
    world.holds(3, "the target was made anew")
    both = follow.replace("INSERT INTO t SELECT a FROM s", "EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT a FROM s; "
                          "INSERT INTO u SELECT a FROM s; END").replace("'follow'", "'both'")
    made = "CREATE TABLE IF NOT EXISTS u (a INT) WITH ('bucket'='-1'); "
    world.run(ANEW + made + both)
    told = world.run(ANEW + made + both, wanted=1)
    check("/t'" in told and "--fresh" in told, f"one of two targets was made anew: {told}")
    world.run(ANEW + "DROP TABLE u; " + made + both, more=["--fresh"])
    world.holds(3, "--fresh")
    world.holds(3, "--fresh", "u")


def unwritable(world):
    """Where the data folder cannot be written, nothing is inserted."""
    world.run(ANEW, "drop.sql")
    with open(world.folder + "/file", "w", encoding="utf-8"):
        pass
    args, _ = world.args(MADE + TWO)
    done = subprocess.run([MILLRACE, "--data", world.folder + "/file", *args], capture_output=True, text=True, timeout=60)
    check(done.returncode == 1 and world.folder + "/file" in done.stderr, f"a file as data folder: {done}")
    world.holds(0, "a file as data folder")


def created_as(world):
    """CREATE TABLE IF NOT EXISTS ... AS fills the table once, also when it is killed before it has."""
    made = "CREATE TABLE IF NOT EXISTS t AS SELECT 1 AS a UNION ALL SELECT 2; "
    world.stop(made)
    world.stop(made)
    world.holds(2, "a table made of a query, stopped")
    world.run(made, "script.sql")
    world.run(made, "script.sql")
    world.run(made, "other.sql")
    world.holds(2, "a table made of a query, again")
    stream = ("DROP TABLE t; CREATE TEMPORARY TABLE five (a INT) WITH ('connector'='datagen', 'number-of-rows'='5', 'fields.a.kind'='sequence', "
              "'fields.a.start'='1', 'fields.a.end'='5'); SET 'execution.runtime-mode'='streaming'; SET 'table.dml-sync'='true'; "
              "CREATE TABLE IF NOT EXISTS t AS SELECT a FROM five; ")
    world.run(stream)
    world.run(stream.replace("DROP TABLE t; ", ""))
    world.holds(5, "a table made of a stream, again")
    world.run("CREATE TABLE IF NOT EXISTS t (a INT); " + made, "made.sql")
    world.holds(5, "a table that was there")


with tempfile.TemporaryDirectory() as scratch:
    for case in (created_as, ended_by_an_error, ended_well, stopped, edited, meetings, names, recreated, unwritable):
        case(World(os.path.join(scratch, case.__name__)))
        print(f"{case.__name__}: ok", flush=True)
print("PASS")
