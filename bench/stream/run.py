#!/usr/bin/env python3
"""run.py - the benchmark of continuous queries: first output, latency, throughput, checkpoints; README.md says what each is.

    bench/stream/run.py [--rows 1000000,10000000] [--queries sums,join2,join5] [--memory 1GB] [--in-memory-most N]
                        [--state-rows N] [--changes N] [--looks N] [--only first,latency,throughput,checkpoint]
                        [--folder F] [--json FILE] [--build FOLDER]

Each measurement runs in a process of its own. Prints a line of each as it comes, then tables, then one JSON object.
"""
import argparse
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PARTS = ("first", "latency", "throughput", "checkpoint")
GOALS = {"first_ms": 50, "latency_ms": 10, "share_of_memory": 0.5, "restart_s": 5}

TABLES = """CREATE CATALOG lake WITH ('type'='paimon', 'warehouse'='{folder}/warehouse'); USE CATALOG lake;
CREATE TABLE facts (k BIGINT, v BIGINT) WITH ('bucket'='-1');
CREATE TABLE dimension (k BIGINT, w BIGINT) WITH ('bucket'='-1');
CREATE TEMPORARY TABLE numbers (id BIGINT) WITH ('connector'='datagen', 'number-of-rows'='1000',
  'fields.id.kind'='sequence', 'fields.id.start'='0', 'fields.id.end'='999');
SET 'execution.runtime-mode'='batch';
INSERT INTO facts SELECT id, MOD(id, 10) FROM numbers;
INSERT INTO dimension SELECT id, MOD(id, 100) FROM numbers;"""
# Filter, join, grouped aggregate, filter, projection.
QUERY = ("SELECT w, s * 2, n FROM (SELECT d.w, SUM(f.v) AS s, COUNT(*) AS n FROM facts AS f JOIN dimension AS d ON f.k = d.k "
         "WHERE f.v >= 0 GROUP BY d.w) AS g WHERE n > 0")


class Shell:
    """The program's shell on a terminal, and when each of its lines came."""

    def __init__(self, program, folder):
        self.lines, (self.terminal, inner) = [], pty.openpty()
        self.process = subprocess.Popen([program, "--data", folder + "/jobs"], stdin=inner, stdout=inner, stderr=inner,
                                        env={**os.environ, "TERM": "dumb"})
        os.close(inner)
        self.more = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        rest = b""
        while True:
            try:
                got = os.read(self.terminal, 65536)
            except OSError:
                return
            now = time.perf_counter()
            *lines, rest = (rest + got).split(b"\n")
            with self.more:
                self.lines += [(now, line.decode(errors="replace").rstrip()) for line in lines]
                self.more.notify_all()

    def send(self, text):
        """Sends one line of statements; how many lines there were before."""
        count, at = len(self.lines), time.perf_counter()
        os.write(self.terminal, (" ".join(text.split("\n")) + "\n").encode())
        return count, at

    def await_line(self, pattern, since, seconds=60):
        """When the first line after `since` came that matches."""
        until, at = time.monotonic() + seconds, since
        with self.more:
            while True:
                for now, line in self.lines[at:]:
                    if re.search(pattern, line):
                        return now
                at = len(self.lines)
                if not self.more.wait(until - time.monotonic()):
                    sys.exit(f"no line like '{pattern}' came:\n" + "\n".join(line for _, line in self.lines[-20:]))

    def run(self, text, pattern):
        self.await_line(pattern, self.send(text)[0])

    def end(self):
        self.process.kill()
        self.process.wait()


def percentiles(values):
    values = sorted(values)
    return {"p50_ms": round(values[len(values) // 2], 2), "p99_ms": round(values[min(len(values) - 1, len(values) * 99 // 100)], 2),
            "of": len(values)}


class Bench:
    def __init__(self, options):
        self.options, self.results = options, {}
        self.program = os.path.join(options.build, "millrace")

    def shell(self):
        shutil.rmtree(self.options.folder, ignore_errors=True)
        os.makedirs(self.options.folder)
        shell = Shell(self.program, self.options.folder)
        shell.run(TABLES.format(folder=self.options.folder) + " SELECT 'ready' AS word;", r"^.*\| *ready|^ready")
        return shell

    def note(self, part, name, result):
        self.results.setdefault(part, {})[name] = result
        print(part, name, json.dumps(result), flush=True)

    def first(self):
        """From the end of the statement's line to the first row that it prints: new queries over tables of 1,000 rows."""
        shell, times = self.shell(), []
        shell.send("SET 'execution.runtime-mode'='streaming';")
        for i in range(self.options.looks):
            before, at = shell.send(f"CREATE TEMPORARY TABLE out{i} (w BIGINT, s BIGINT, n BIGINT) WITH ('connector'='print', "
                                    f"'print-identifier'='out{i}');")
            shell.await_line(r"^Done", before)
            before, at = shell.send(f"SET 'pipeline.name'='job{i}'; INSERT INTO out{i} {QUERY};")
            times.append((shell.await_line(f"out{i}> ", before) - at) * 1e3)
            before, _ = shell.send(f"STOP JOB 'job{i}';")
            shell.await_line("topped|Done", before)
        shell.end()
        self.note("first", "five operators", percentiles(times))

    def latency(self):
        """A row is committed to a table; when does the changed sum come out?"""
        shell, times, whole = self.shell(), [], []
        before, _ = shell.send("CREATE TEMPORARY TABLE out (w BIGINT, s BIGINT, n BIGINT) WITH ('connector'='print', 'print-identifier'='out'); "
                               "SET 'execution.checkpointing.interval'='10 s'; SET 'execution.runtime-mode'='streaming'; "
                               f"INSERT INTO out {QUERY}; SET 'execution.runtime-mode'='batch';")
        shell.await_line("out> ", before)
        time.sleep(0.5)
        snapshots = f"{self.options.folder}/warehouse/default.db/facts/snapshot/snapshot-"
        for i in range(self.options.looks):
            number = 1
            while os.path.exists(f"{snapshots}{number}"):
                number += 1
            before, at = shell.send(f"INSERT INTO facts VALUES ({i % 1000}, 1);")
            while not os.path.exists(f"{snapshots}{number}"):
                time.sleep(0.0001)
            committed = time.perf_counter()
            shown = shell.await_line("out> .U", before)
            times.append(max(0.0, shown - committed) * 1e3)
            whole.append((shown - at) * 1e3)
            shell.await_line("Inserted", before)
        shell.end()
        self.note("latency", "commit to sink", percentiles(times))
        self.note("latency", "statement to sink", percentiles(whole))
        result = self.workload("latency", query="mixed", rows=min(self.options.rows[0], 1_000_000), changes=self.options.changes)
        self.note("latency", "dataflow alone", {key: round(result[key], 4) for key in ("p50_ms", "p99_ms")} | {"of": result["rows"]})

    def workload(self, name, **arguments):
        words = [os.path.join(self.options.build, "bin", "continuous_bench"), name]
        done = subprocess.run(words + [f"{key}={value}" for key, value in arguments.items()], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(words)} {arguments}: {done.stderr}")
        return json.loads(done.stdout)

    def throughput(self):
        for query in self.options.queries:
            best = None
            for rows in self.options.rows:
                batch = self.workload("batch", query=query, rows=rows)
                line = {"batch_rows_per_s": batch["rows_per_s"]}
                if rows <= self.options.in_memory_most:
                    best = self.workload("throughput", query=query, rows=rows)
                    line |= {"in_memory_rows_per_s": best["rows_per_s"], "in_memory_mb": best["max_rss_mb"],
                             "of_batch": round(best["rows_per_s"] / batch["rows_per_s"], 3)}
                limited = self.workload("throughput", query=query, rows=rows, memory=self.options.memory, folder=self.options.folder)
                if limited["rows_out"] != batch["rows_out"]:
                    sys.exit(f"{query}, {rows} rows: {limited['rows_out']} rows came out, batch has {batch['rows_out']}")
                line |= {key: limited[key] for key in ("rows_per_s", "state_mb", "state_on_disk_mb", "resident_mb", "max_rss_mb")}
                if best:
                    line["share_of_memory"] = round(limited["rows_per_s"] / best["rows_per_s"], 3)
                    line["share_by_cpu"] = round(limited["rows_per_cpu_s"] / best["rows_per_cpu_s"], 3)
                self.note("throughput", f"{query} {rows:,}", line)

    def checkpoint(self):
        for query in ("sums", "mixed"):
            result = self.workload("checkpoint", query=query, rows=self.options.state_rows, folder=self.options.folder)
            self.note("checkpoint", query, {key: result[key] for key in
                                            ("rows", "state_mb", "files_mb", "first_s", "first_held_s", "change_s", "change_held_s", "rows_changed", "restart_s")}
                      | {"restart_s_per_gb": round(result["restart_s"] * 1000 / max(1, result["state_mb"]), 2)})

    def tables(self):
        for part, lines in self.results.items():
            columns = list(dict.fromkeys(key for line in lines.values() for key in line))
            print(f"\n| {part} | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
            for name, line in lines.items():
                cells = [line.get(column) for column in columns]
                print(f"| {name} | " + " | ".join("-" if cell is None else f"{cell:,}" for cell in cells) + " |")
        print()


def bytes_of(text):
    number, unit = re.fullmatch(r"(\d+) *(B|KB|MB|GB)?", text.upper()).groups()
    return int(number) << {"B": 0, None: 0, "KB": 10, "MB": 20, "GB": 30}[unit]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = lambda text: [int(part) for part in text.split(",")]
    parser.add_argument("--rows", type=numbers, default=[1_000_000, 10_000_000, 100_000_000])
    parser.add_argument("--queries", type=lambda text: text.split(","), default=["sums", "join2", "join5"])
    parser.add_argument("--memory", type=bytes_of, default=1 << 30)
    parser.add_argument("--in-memory-most", type=int, default=10_000_000, help="rows that are also measured without a limit")
    parser.add_argument("--state-rows", type=int, default=20_000_000, help="for checkpoints: about 2 GB of state")
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--looks", type=int, default=100)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PARTS))
    parser.add_argument("--folder", default="/tmp/millrace-bench-stream")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--json")
    bench = Bench(parser.parse_args())
    for part in PARTS:
        if part in bench.options.only:
            getattr(bench, part)()
    shutil.rmtree(bench.options.folder, ignore_errors=True)
    bench.tables()
    text = json.dumps({"goals": GOALS, "memory": bench.options.memory, **bench.results})
    print(text)
    if bench.options.json:
        with open(bench.options.json, "w", encoding="utf-8") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    main()
