"""kill -9 cases of scripts that hold more than one long job: batch INSERTs, DROP and CREATE, statement sets over tables with logs,
statements that are edited and started afresh, two jobs over the same tables."""
import csv
import os
import signal
import threading
import time

from lives import LAST_WORD, Life, check, life_seconds, run


class Lake:
    """A warehouse in a folder, and scripts over it."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        self.head = (f"CREATE CATALOG lake WITH ('type'='paimon', 'warehouse'='{folder}/warehouse'); USE CATALOG lake; "
                     "SET 'table.dml-sync'='true';\n")

    def args(self, name, sql, *more):
        path = f"{self.folder}/{name}.sql"
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.head + sql + f"\nSELECT '{LAST_WORD}' AS word;\n")
        return ["--data", f"{self.folder}/jobs-{name}", *more, "-f", path]

    def query(self, sql):
        """Rows of a batch query, as texts."""
        lines = run(["--data", self.folder + "/look", "--format", "csv", "-e",
                     self.head + "SET 'execution.runtime-mode'='batch'; " + sql + ";"])
        return [tuple(row) for row in list(csv.reader(lines))[1:]]

    def look(self, sql, looks):
        """The rows of many looks in one process; they may be refused while half a checkpoint has no way around it."""
        path = f"{self.folder}/look-{threading.get_ident()}.sql"
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.head + "SET 'execution.runtime-mode'='batch';\n" + (sql + ";\n") * looks)
        life = Life(["--data", path + ".data", "--format", "csv", "-f", path])
        code = life.end()
        check(code == 0 or "half a checkpoint" in life.errors, f"a look: exit code {code}: {life.errors}")
        return [tuple(row) for row in csv.reader(life.lines)]


def sequence(name, rows, rate=0):
    """A table that counts from 0."""
    speed = f"'rows-per-second'='{rate}', " if rate else ""
    return (f"CREATE TEMPORARY TABLE {name} (id BIGINT) WITH ('connector'='datagen', {speed}'number-of-rows'='{rows}', "
            f"'fields.id.kind'='sequence', 'fields.id.start'='0', 'fields.id.end'='{rows - 1}');\n")


def live(args, rng, done, kills, seconds=None):
    """One life; a random one while there are kills left. Whether it has come to its end, and whether nobody can tell."""
    life = Life(args)
    code = life.end((seconds or life_seconds)(rng) if done < kills else None, kill=True)
    check(code in (0, -signal.SIGKILL), f"{' '.join(args)}\nexit code {code}\n{life.errors[-3000:]}")
    check(code == 0 or not life.errors, f"a killed life complains: {life.errors}")
    return code == 0, code != 0 and life.ended_well()


def case_batch_script(folder, rng, kills):
    """Killed anywhere, a script of batch INSERTs over tables kept and made anew inserts each row once in each of its runs."""
    lake = Lake(folder)
    rows = 5000
    script = sequence("numbers", rows) + f"""SET 'execution.runtime-mode'='batch';
DROP TABLE IF EXISTS staged; CREATE TABLE staged (id BIGINT, v BIGINT, PRIMARY KEY (id) NOT ENFORCED) WITH ('bucket'='2');
INSERT INTO staged SELECT id, id * 2 FROM numbers;
CREATE TABLE IF NOT EXISTS kept (id BIGINT, v BIGINT) WITH ('bucket'='-1');
CREATE TABLE IF NOT EXISTS logged (id BIGINT, v BIGINT) WITH ('bucket'='-1', 'log.system'='local');
INSERT INTO kept SELECT id, v FROM staged;
INSERT INTO kept VALUES (-1, 0);
INSERT INTO logged SELECT id, v FROM staged;
INSERT INTO kept VALUES (-1, 0);
DROP TABLE staged; CREATE TABLE staged (id BIGINT, v BIGINT, PRIMARY KEY (id) NOT ENFORCED) WITH ('bucket'='2', 'changelog-producer'='input');
INSERT INTO staged SELECT id, id * 3 FROM numbers;
EXECUTE STATEMENT SET BEGIN INSERT INTO kept SELECT id, 0 FROM staged WHERE id < 10; INSERT INTO logged SELECT id, 0 FROM staged WHERE id < 10; END;
"""
    args = lake.args("batch", script)
    wanted = "; ".join(f"""SELECT '{t}', COUNT(*), SUM(v), COUNT(DISTINCT id) FROM {t}""" for t in ("staged", "kept", "logged"))
    done, whole = 0, 0
    while done < kills:
        unsure = False
        for _ in range(1 + rng.randrange(3)):
            done += 1
            ended, perhaps = live(args, rng, done, kills + 1, lambda r: r.uniform(0.02, 1.2))
            unsure = unsure or perhaps or ended
            if ended or perhaps:
                break
        ended_before = ended
        if not ended_before:
            run(args)
        sums = {}
        for part in wanted.split("; "):
            name, *numbers = lake.query(part)[0]
            sums[name] = [int(number) for number in numbers]
        total = rows * (rows - 1) // 2
        check(sums["staged"] == [rows, 3 * total, rows], f"staged: {sums['staged']}")
        runs = sums["logged"][0] // (rows + 10)
        check(runs in ((whole + 1, whole + 2) if unsure and not ended_before else (whole + 1,)), f"after {whole} whole runs: {sums}")
        check(sums["logged"] == [runs * (rows + 10), runs * 2 * total, rows], f"{runs} runs: logged {sums['logged']}")
        check(sums["kept"] == [runs * (rows + 12), runs * 2 * total, rows + 1], f"{runs} runs: kept {sums['kept']}")
        whole = runs
    # Whoever reads the log sees the same.
    follow = ("SET 'execution.runtime-mode'='streaming'; SET 'table.dml-sync'='false'; SET 'pipeline.name'='follow'; "
              "CREATE TEMPORARY TABLE shown (n BIGINT, v BIGINT) WITH ('connector'='print'); "
              "INSERT INTO shown SELECT COUNT(*), SUM(v) FROM logged; STOP JOB 'follow' WITH DRAIN;")
    lines = [line for line in run(lake.args("follow", follow)) if "+I" in line or "+U" in line]
    n, v = lines[-1][lines[-1].index("[") + 1:-1].split(", ")
    check([int(n), int(v)] == [whole * (rows + 10), whole * 2 * rows * (rows - 1) // 2], f"by its log: {lines[-1]}")
    return f"{done} kills, {whole} whole runs"


def case_logged_set(folder, rng, kills):
    """Two tables with logs, written by one statement set that is killed now and then, are equal in every step that a follower reads."""
    lake = Lake(folder)
    rows = 20_000
    tables = "".join(f"CREATE TABLE IF NOT EXISTS {t} (id BIGINT, v BIGINT) WITH ('bucket'='-1', 'log.system'='local');\n" for t in ("x", "y"))
    writer = lake.args("writer", tables + sequence("numbers", rows, 6000) + f"""SET 'execution.checkpointing.interval'='{rng.choice([20, 80, 300])} ms';
SET 'execution.runtime-mode'='streaming'; EXECUTE STATEMENT SET BEGIN
INSERT INTO x SELECT id, id FROM numbers; INSERT INTO y SELECT id, id FROM numbers; END;""")
    reader = lake.args("reader", tables + f"""SET 'execution.runtime-mode'='streaming'; SET 'pipeline.name'='compare';
SET 'execution.checkpointing.interval'='{rng.choice([30, 100])} ms';
CREATE TEMPORARY TABLE shown (n BIGINT, difference BIGINT) WITH ('connector'='print', 'print-identifier'='step');
INSERT INTO shown SELECT a.n, a.v - b.v FROM (SELECT COUNT(*) AS n, SUM(v) AS v FROM x) AS a, (SELECT COUNT(*) AS m, SUM(v) AS v FROM y) AS b;""")
    done, lines, reading, until = 0, [], None, 0.0
    ended = False
    last = 0
    while not ended or last < rows:
        if reading is None:
            reading, until = Life(reader), time.monotonic() + (life_seconds(rng) + 0.3 if not ended else 3)
        if not ended:
            ended, perhaps = live(writer, rng, done, kills)
            ended = ended or perhaps
            done += 0 if ended else 1
        if time.monotonic() > until or ended:
            if ended:
                time.sleep(1.5)
            check(reading.process.poll() is None, f"the reader: {reading.errors}")
            reading.end(0, kill=True)
            check(not reading.errors, f"the reader: {reading.errors}")
            lines += reading.lines
            done += 1
            reading = None
            shown = [line for line in lines if "[" in line and ("+I" in line or "+U" in line)]
            last = int(shown[-1].split("[")[1].split(",")[0]) if shown else 0
            check(done < 60 + 2 * kills, f"it never ends: {last} of {rows}")
    if reading is not None:
        reading.end(0, kill=True)
    shown = 0
    for line in lines:
        if "[" not in line:
            continue
        n, difference = line[line.index("[") + 1:-1].split(", ")
        check(difference in ("0", "null", "NULL") and (difference == "0" or n == "0"), f"the tables differ: {line}")
        shown += 1
    check(shown > 0, "nothing was shown")
    total = rows * (rows - 1) // 2
    for table in ("x", "y"):
        check(lake.query(f"SELECT COUNT(*), SUM(v), COUNT(DISTINCT id) FROM {table}") == [(str(rows), str(total), str(rows))], table)
    return f"{done} kills, {shown} lines"


def case_edited(folder, rng, kills):
    """A statement set that is killed, edited and started with --fresh, time and again: the last one's rows are there, nobody waits for
    those before, named and unnamed, in tables with logs and without."""
    lake = Lake(folder)
    rows = 2000
    tables = "".join(f"CREATE TABLE IF NOT EXISTS {t} (id BIGINT, v BIGINT, PRIMARY KEY (id) NOT ENFORCED) "
                     f"WITH ('bucket'='1', 'changelog-producer'='input'{log});\n"
                     for t, log in (("a", ""), ("b", ""), ("c", ", 'log.system'='local'"), ("d", ", 'log.system'='local'")))
    tables += sequence("numbers", rows, 4000) + "SET 'execution.checkpointing.interval'='1 ms'; SET 'execution.runtime-mode'='streaming';\n"

    def script(version):
        sets = ""
        for pair, name in (("ab", "SET 'pipeline.name'='named';"), ("cd", "RESET 'pipeline.name';")):
            sets += name + "EXECUTE STATEMENT SET BEGIN " + "".join(
                f"INSERT INTO {t} SELECT id, id + {version} FROM numbers; " for t in pair) + "END;\n"
        return tables + sets

    done = 0
    for version in range(max(2, kills // 2)):
        for _ in range(1 + rng.randrange(2)):
            live(lake.args("edited", script(version), *(["--fresh"] if rng.random() < 0.8 or _ == 0 else [])), rng, 0, 1,
                 lambda r: r.uniform(0.1, 1.3))
            done += 1
    version = 1000
    run(lake.args("edited", script(version), "--fresh"))
    wanted = (str(rows), str(rows * (rows - 1) // 2 + version * rows))
    for table in "abcd":
        check(lake.query(f"SELECT COUNT(*), SUM(v) FROM {table}") == [wanted], f"{table} in batch")
    for pair in ("ab", "cd"):
        follow = ("SET 'execution.runtime-mode'='streaming'; SET 'table.dml-sync'='false'; SET 'pipeline.name'='follow'; "
                  "CREATE TEMPORARY TABLE shown (n BIGINT, v BIGINT, w BIGINT) WITH ('connector'='print'); "
                  f"INSERT INTO shown SELECT COUNT(*), SUM(x.v), SUM(y.v) FROM {pair[0]} AS x JOIN {pair[1]} AS y ON x.id = y.id; "
                  "STOP JOB 'follow' WITH DRAIN;")
        lines = [line for line in run(lake.args("follow" + pair, follow)) if "+I" in line or "+U" in line]
        check(lines and tuple(lines[-1][lines[-1].index("[") + 1:-1].split(", ")) == (wanted[0], wanted[1], wanted[1]),
              f"{pair} by a follower: {lines[-1:]}, {wanted} wanted")
    return f"{done} lives"


def case_two_sets(folder, rng, kills):
    """Two statement sets in two processes write the same two tables; both are killed now and then. Whoever reads both tables sees
    whole checkpoints of each, in batch and following."""
    lake = Lake(folder)
    rows = 25_000
    tables = "".join(f"CREATE TABLE IF NOT EXISTS {t} (id BIGINT, who INT) WITH ('bucket'='-1');\n" for t in ("x", "y"))

    def writer(who):
        order = ("x", "y") if who == 0 else ("y", "x")
        return lake.args(f"writer{who}", tables + sequence("numbers", rows, 5000) + f"""SET 'execution.checkpointing.interval'='{rng.choice([5, 15, 40])} ms';
SET 'execution.runtime-mode'='streaming'; EXECUTE STATEMENT SET BEGIN
INSERT INTO {order[0]} SELECT id, {who} FROM numbers; INSERT INTO {order[1]} SELECT id, {who} FROM numbers; END;""")

    per_table = "(SELECT {0} FROM x WHERE who = {1}) - (SELECT {0} FROM y WHERE who = {1})"
    differences = "SELECT " + ", ".join(per_table.format("COALESCE(SUM(id), 0)", who) + f" AS d{who}" for who in (0, 1))
    looked, looking, problems = [0], [True], []

    def look():
        while looking[0] and not problems:
            for row in lake.look(differences, 20):
                if row[0] == "d0":
                    continue
                looked[0] += 1
                if row != ("0", "0"):
                    problems.append(f"a batch query saw the tables differ: {row}")

    run(lake.args("tables", tables))
    follow = Life(lake.args("follow", tables + """SET 'execution.runtime-mode'='streaming';
CREATE TEMPORARY TABLE shown (who INT, d BIGINT) WITH ('connector'='print', 'print-identifier'='step');
INSERT INTO shown SELECT a.who, a.s - b.s FROM (SELECT who, SUM(id) AS s FROM x GROUP BY who) AS a
  JOIN (SELECT who, SUM(id) AS s FROM y GROUP BY who) AS b ON a.who = b.who;"""))
    thread = threading.Thread(target=look)
    thread.start()
    try:
        args, running, done, lives = [writer(0), writer(1)], {0: None, 1: None}, 0, 0
        while running:
            for who in list(running):
                if running[who] is None:
                    running[who] = (Life(args[who]), time.monotonic() + (life_seconds(rng) + 0.2 if done < kills else 240))
                    lives += 1
                life, until = running[who]
                if life.process.poll() is None and time.monotonic() < until:
                    continue
                code = life.end(0, kill=True)
                check(code in (0, -signal.SIGKILL), f"writer {who}: exit code {code}\n{life.errors}")
                done += code != 0
                if code == 0 or life.ended_well():
                    del running[who]
                else:
                    running[who] = None
            time.sleep(0.005)
    finally:
        looking[0] = False
        thread.join()
        time.sleep(0.5)
        alive = follow.process.poll() is None
        follow.end(0, kill=True)
    check(not problems, "; ".join(problems))
    check(alive, f"the follower has ended: {follow.errors}")
    shown = [line for line in follow.lines if "[" in line]
    for line in shown:
        check(line.endswith(", 0]"), f"a follower saw the tables differ: {line}")
    wanted = (str(2 * rows), str(rows * (rows - 1)))
    for table in ("x", "y"):
        check(lake.query(f"SELECT COUNT(*), SUM(id) FROM {table}") == [wanted], f"{table}: {wanted} wanted")
    check(looked[0] > 5, f"only {looked[0]} looks")
    return f"{done} kills, {looked[0]} looks, {len(shown)} lines"


def case_first_open(folder, rng, kills):
    """A serving database is whole from the moment it can be seen: killed then, the next life goes on with it."""
    lake = Lake(folder)
    for n in range(kills):
        path = f"{folder}/serving-{n}.db"
        args = lake.args(f"first-{n}", "SET 'execution.runtime-mode'='batch';\n" + sequence("numbers", 10)
                         + f"""CREATE TEMPORARY TABLE shown (id BIGINT, PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector'='jdbc', 'url'='jdbc:duckdb:{path}', 'table-name'='shown'); INSERT INTO shown SELECT id FROM numbers;""")
        life = Life(args)
        while life.process.poll() is None and not os.path.exists(path):
            pass
        code = life.end(0, kill=True)
        check(code in (0, -signal.SIGKILL), f"exit code {code}\n{life.errors[-3000:]}")
        run(args)
    return f"{kills} kills"


SCRIPT_CASES = {"batch-script": case_batch_script, "logged-set": case_logged_set, "edited": case_edited, "two-sets": case_two_sets,
                "first-open": case_first_open}
