"""kill -9 cases of the store: writers of the same tables and a compactor beside them, all killed now and then."""
import glob
import json
import os
import re
import signal
import time

from lives import Life, check, life_seconds
from script_cases import Lake, sequence

TABLES = {
    "keyed": "(id BIGINT, v BIGINT, who INT, PRIMARY KEY (id) NOT ENFORCED) WITH ('bucket'='2', ",
    "dedicated": "(id BIGINT, v BIGINT, who INT, PRIMARY KEY (id) NOT ENFORCED) WITH ('bucket'='-1', 'write-only'='true', ",
    "vectors": "(id BIGINT, v BIGINT, who INT, PRIMARY KEY (id) NOT ENFORCED) WITH ('bucket'='1', 'deletion-vectors.enabled'='true', ",
    "plain": "(id BIGINT, v BIGINT, who INT) WITH ('bucket'='-1', 'deletion-vectors.enabled'='true', "}
# Old snapshots go while they are read and compacted, but not before a killed writer is back.
KEPT = "'snapshot.num-retained.min'='40', 'snapshot.num-retained.max'='60', 'snapshot.time-retained'='1 s')"


class Worker:
    """A script that is started again and again, each life with its own end, until it ends by itself."""

    def __init__(self, args, rng):
        self.args, self.rng, self.life, self.lives, self.done = args, rng, None, 0, False

    def step(self, mortal, accepted):
        """Starts it, kills it when its time is up, takes its end. `accepted`: errors that are no failure."""
        if self.life is None:
            self.life, self.lives = Life(self.args), self.lives + 1
            self.until = time.monotonic() + (life_seconds(self.rng) if mortal else 120)
        if self.life.process.poll() is None and time.monotonic() < self.until:
            return
        code = self.life.end(0, kill=True)
        refused = code == 1 and accepted and re.search(accepted, self.life.errors)
        check(code in (0, -signal.SIGKILL) or refused, f"{' '.join(self.args)}\nexit code {code}\n{self.life.errors[-3000:]}")
        self.done = code == 0 or self.life.ended_well()
        self.life = None


def files_in(folder):
    return {os.path.relpath(path, folder) for path in glob.glob(folder + "/**/*", recursive=True) if os.path.isfile(path)}


def files_that_are_named(lake, table, folder):
    """The paths within a table's folder of all that its snapshots need: commit groups keep some."""
    named = {os.path.relpath(path, folder) for kept in ("snapshot", "schema") for path in glob.glob(f"{folder}/{kept}/*")}
    for path in glob.glob(folder + "/snapshot/snapshot-*"):
        with open(path, encoding="utf-8") as file:
            snapshot = json.load(file)
        named |= {f"manifest/{snapshot[key]}" for key in
                  ("baseManifestList", "deltaManifestList", "changelogManifestList", "indexManifest") if snapshot.get(key)}

        def column(name, of):
            return [row[0] for row in lake.query(f"SELECT {name} FROM `{table}${of}` /*+ OPTIONS('scan.snapshot-id'='{snapshot['id']}') */")]

        named |= {f"manifest/{name}" for name in column("file_name", "manifests")}
        named |= {f"index/{name}" for name in column("file_name", "table_indexes")}
        named |= {os.path.relpath(name.removeprefix("file:"), folder) for name in column("file_path", "files")}
    return named


def case_store(folder, rng, kills):
    """Two writers, and a compactor that sorts, compacts, deletes and expires: nothing acknowledged is lost, nothing is there
    twice, and after the removal of orphans the disk holds what the last snapshot names and no more."""
    lake, rows, keys = Lake(folder), 24_000, 5_000
    lake.query(" ".join(f"CREATE TABLE {name} {columns}{KEPT};" for name, columns in TABLES.items()) + " SHOW TABLES")

    def writer(who):
        inserts = "\n".join(f"INSERT INTO {name} SELECT (id % {rows if name == 'plain' else keys}) * 2 + {who}, id, {who} FROM numbers;"
                            for name in TABLES)
        return Worker(lake.args(f"writer{who}", sequence("numbers", rows, 12_000)
                                + f"SET 'execution.checkpointing.interval'='{rng.choice([20, 50, 90])} ms';\n"
                                + f"EXECUTE STATEMENT SET BEGIN\n{inserts} END;"), rng)

    def upkeep():
        calls = []
        for name in rng.sample(list(TABLES), len(TABLES)):
            sort = ", order_strategy => 'order', order_by => 'who, id'" if name == "plain" and rng.random() < 0.5 else ""
            calls.append(f"CALL sys.compact(`table` => '{name}', compact_strategy => '{rng.choice(['full', 'minor'])}'{sort});")
        delete = "DELETE FROM plain WHERE id % 7 = 0;\n" if rng.random() < 0.3 else ""
        name = f"upkeep{time.monotonic_ns()}"
        return Worker(lake.args(name, "SET 'execution.runtime-mode'='batch';\n" + delete + "\n".join(calls)), rng)

    writers, compactor, repaired, orphans = [writer(0), writer(1)], upkeep(), 0, 0
    while any(not worker.done for worker in writers):
        for worker in writers:
            if not worker.done:
                worker.step(mortal=worker.lives < min(kills // 3, 40), accepted=None)
        compactor.step(mortal=True, accepted="Cannot commit .*Nothing was changed")
        if compactor.life is None:
            compactor, repaired = upkeep(), repaired + 1
        time.sleep(0.005)
    if compactor.life:
        compactor.life.end(0, kill=True)
    time.sleep(1)  # Orphans are older than a second.
    before = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    time.sleep(1)
    lake.query("DELETE FROM plain WHERE id % 7 = 0; SELECT 1")
    for name in TABLES:
        where = " WHERE id % 7 <> 0" if name == "plain" else ""
        wanted = (f"SELECT (n % {rows if name == 'plain' else keys}) * 2 + who AS id, MAX(n) AS v, who FROM range({rows}) AS r(n), "
                  f"(VALUES (0), (1)) AS w(who) GROUP BY 1, 3")
        got = lake.query(f"SELECT COUNT(*), COUNT(DISTINCT id), SUM(v), SUM(who), SUM(id * v) FROM {name}")
        want = lake.query(f"SELECT COUNT(*), COUNT(DISTINCT id), SUM(v), SUM(who), SUM(id * v) FROM ({wanted}) AS w{where}")
        check(got == want, f"{name}: {got}, {want} wanted")
        found = lake.query(f"VERIFY TABLE `{name}` FULL")
        check(not found, f"VERIFY TABLE {name}:\n" + "\n".join(" ".join(row) for row in found))
        lake.query(f"CALL sys.expire_snapshots(`table` => '{name}', retain_max => 1, retain_min => 1)")
        at = f"{folder}/warehouse/default.db/{name}"
        before_removal = files_in(at)
        lake.query(f"SET 'table.local-time-zone'='UTC'; CALL sys.remove_orphan_files(`table` => '{name}', older_than => '{before}')")
        there, named = files_in(at), files_that_are_named(lake, name, at)
        orphans += len(before_removal - there)
        check(not named - there, f"{name}: files are missing: {sorted(named - there)}")
        check(not there - named, f"{name}: orphans are left: {sorted(there - named)}")
    return f"{writers[0].lives} + {writers[1].lives} lives of writers, {repaired} of the compactor, {orphans} orphans"


STORE_CASES = {"store": case_store}
