#!/usr/bin/env python3
"""run.py - the store benchmark: the same workloads by this program, Paimon's Java library and plain Parquet, side by side.

    bench/store/run.py [--rows N] [--reps R] [--buckets B] [--only W1,W2,...] [--engines ours,java,limit]
                       [--folder F] [--json FILE] [--build FOLDER]

Each workload runs in a process of its own, so that its peak memory is its own; README.md says what each does. Prints a
line per result as it comes, then a table, then one JSON object with the ratios. Rates by CPU second depend less on what
else the machine does than rates by the clock.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# Workload -> (times Java's rate, share of the limit named) that is wanted.
GOALS = {
    "W1": (4, None), "W2": (4, None), "W2b": (5, None), "W3": (12, None), "W3p": (15, None), "W3c": (None, 0.9),
    "W4": (4, None), "W6-input": (4, None), "W6-lookup": (10, None), "W6-full-compaction": (10, None),
    "W6r-input": (4, None), "W6r-lookup": (4, None), "W6r-full-compaction": (4, None), "W7-aggregation": (5, None),
    "W7-partial-update": (5, None), "W8": (None, 0.9), "W8-scan": (None, 0.9),
}
P50_GOALS_MS = {"W5f": 2.0, "W5l": 0.015}
# The plain-Parquet step that bounds a workload.
LIMITS = {"W1": "L-sort", "W2": "L-sort", "W2b": "L-sort", "W3": "L-scan", "W3p": "L-scan-2cols", "W3c": "L-scan",
          "W3cp": "L-scan-2cols", "W4": "L-rewrite", "W8": "L-append", "W8-scan": "L-scan",
          "W8-scan-2cols": "L-scan-2cols"}


class Runner:
    def __init__(self, options):
        self.options = options
        self.results = {"ours": {}, "java": {}, "limit": {}}

    def folder(self, engine):
        return os.path.join(self.options.folder, engine)

    def command(self, engine, workload, arguments):
        words = [workload, f"folder={self.folder(engine)}"] + [f"{k}={v}" for k, v in arguments.items()]
        if engine == "java":
            classes = os.path.join(self.options.build, "bench", "store", "java")
            jars = os.environ.get("MILLRACE_CACHE", os.path.expanduser("~/.cache/millrace")) + "/paimon-java-1.4.2/*"
            return ["java", "-Xmx8g", "-cp", f"{classes}:{jars}", "bench.Bench"] + words
        return [os.path.join(self.options.build, "bin", "store_bench")] + words

    def run(self, workload, engines=("ours", "java"), label=None, **arguments):
        given = {"rows": self.options.rows, "reps": self.options.reps, "buckets": self.options.buckets, **arguments}
        for engine in engines:
            if engine not in self.options.engines:
                continue
            done = subprocess.run(self.command(engine, workload, given), capture_output=True, text=True, check=False)
            if done.returncode != 0:
                failure = done.stderr.strip().splitlines()
                print(f"{engine} {workload}: failed: {failure[0] if failure else 'no message'}", flush=True)
                continue
            for line in done.stdout.splitlines():
                result = json.loads(line)
                name = label or result["workload"]
                self.results[engine][name] = result
                rate = result.get("not_available") or f"{result['rows_per_s']:,} rows/s, {result['rows_per_cpu_s']:,}" \
                    f" rows per CPU second, {result['max_rss_mb']} MB"
                print(f"{engine:5} {name:20} {rate}", flush=True)
        self.check_sums(label or workload)

    def check_sums(self, name):
        """Two programs that read the same table must have seen the same values."""
        found = {engine: results[name] for engine, results in self.results.items() if "checksum" in results.get(name, {})}
        seen = {(result["rows"], result["checksum"]) for result in found.values()}
        if name == "W5f" and len({rows for rows, _ in seen}) > 1:
            return  # One of them ran into the time limit.
        if len(seen) > 1:
            sys.exit(f"{name}: rows and checksums differ: {seen}")

    def copy_tables(self, source, target):
        for engine in ("ours", "java"):
            base = os.path.join(self.folder(engine), "default.db")
            for rep in range(self.options.reps):
                if os.path.isdir(f"{base}/{source}{rep}"):
                    shutil.copytree(f"{base}/{source}{rep}", f"{base}/{target}{rep}", dirs_exist_ok=True)

    def wipe(self):
        shutil.rmtree(self.options.folder, ignore_errors=True)

    def keyed_tables(self, wanted):
        if not any(wanted(w) for w in ("W1", "W2", "W2b", "W3", "W3p", "W3c", "W4", "W5f", "W5l")):
            return
        self.run("W1")
        self.copy_tables("t", "b")
        if wanted("W2") or wanted("W5f") or wanted("W5l"):
            self.run("W2")
            if wanted("W5f"):
                self.run("W5f", cap_s=20)
            if wanted("W5l"):
                self.run("W5l")
        if any(wanted(w) for w in ("W2b", "W3", "W3p", "W3c", "W4")):
            self.run("W2b", table="b")
            self.run("W3", table="b")
            self.run("W3p", table="b")
            self.run("W4", table="b")
            self.run("W3c", table="b")
            self.run("W3cp", table="b")
        self.wipe()

    def everything(self):
        def wanted(name):
            return not self.options.only or name in self.options.only
        rows = self.options.rows
        if wanted("GEN"):
            self.run("GEN")
        if "limit" in self.options.engines:
            self.limit()
        self.keyed_tables(wanted)
        if wanted("W6"):
            for mode in ("input", "lookup", "full-compaction"):
                self.run("W6", mode=mode, rows=rows // 5)
                self.wipe()
        if wanted("W7"):
            for mode in ("aggregation", "partial-update"):
                self.run("W7", mode=mode, rows=rows * 2 // 5, keys=rows // 10)
                self.wipe()
        if wanted("W8"):
            self.run("W8")
            self.wipe()

    def limit(self):
        done = subprocess.run([os.path.join(self.options.build, "bin", "store_bench"), "LIMIT",
                               f"folder={self.folder('limit')}", f"rows={self.options.rows}",
                               f"reps={self.options.reps}"], stdout=subprocess.PIPE, text=True, check=True)
        for line in done.stdout.splitlines():
            result = json.loads(line)
            self.results["limit"][result["workload"]] = result
            print(f"limit {result['workload']:20} {result['rows_per_s']:,} rows/s", flush=True)
        self.wipe()


def ratio(a, b, field):
    return round(a[field] / b[field], 2) if a and b and field in a and b.get(field) else None


def summary(results):
    lines = {}
    names = list(dict.fromkeys(list(results["java"]) + list(results["ours"])))
    for name in names:
        ours, java = results["ours"].get(name), results["java"].get(name)
        limit = results["limit"].get(LIMITS.get(name))
        if ours and "not_available" in ours:
            lines[name] = {"ours": None, "java": java and java["rows_per_s"], "why": ours["not_available"]}
            continue
        line = {"ours": ours and ours["rows_per_s"], "java": java and java["rows_per_s"],
                "times_java": ratio(ours, java, "rows_per_s"), "times_java_by_cpu": ratio(ours, java, "rows_per_cpu_s"),
                "share_of_limit": ratio(ours, limit, "rows_per_s"),
                "share_of_limit_by_cpu": ratio(ours, limit, "rows_per_cpu_s"),
                "peak_mb": ours and ours["max_rss_mb"], "java_peak_mb": java and java["max_rss_mb"]}
        if name in P50_GOALS_MS:
            line.update({"p50_ms": ours and ours.get("p50_ms"), "java_p50_ms": java and java.get("p50_ms"),
                         "goal_p50_ms": P50_GOALS_MS[name]})
        goal = GOALS.get(name, (None, None))
        line.update({"goal_times_java": goal[0], "goal_share_of_limit": goal[1]})
        lines[name] = line
    return lines


def text(value, form="{:,}"):
    return "-" if value is None else form.format(value)


def print_table(lines):
    head = f"{'workload':20} {'Millrace/s':>11} {'Java/s':>10} {'x Java':>7} {'by CPU':>7} {'goal':>5} " \
           f"{'of limit':>8} {'by CPU':>6} {'goal':>5} {'MB':>6} {'Java MB':>8}"
    print(head)
    for name, line in lines.items():
        if line["ours"] is None:
            print(f"{name:20} {'n/a':>11} {text(line['java']):>10}   {line.get('why', '')}"[:160])
            continue
        print(f"{name:20} {text(line['ours']):>11} {text(line['java']):>10} {text(line['times_java'], '{}'):>7} "
              f"{text(line['times_java_by_cpu'], '{}'):>7} {text(line['goal_times_java'], '{}'):>5} "
              f"{text(line['share_of_limit'], '{}'):>8} {text(line['share_of_limit_by_cpu'], '{}'):>6} "
              f"{text(line['goal_share_of_limit'], '{}'):>5} {text(line['peak_mb']):>6} {text(line['java_peak_mb']):>8}"
              + (f"   p50 {line['p50_ms']:.3f} ms, Java {text(line['java_p50_ms'], '{}')} ms, "
                 f"goal {line['goal_p50_ms']} ms" if line.get("p50_ms") is not None else ""))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--buckets", type=int, default=1)
    parser.add_argument("--only", type=lambda words: words.split(","), default=[])
    parser.add_argument("--engines", type=lambda words: words.split(","), default=["ours", "java", "limit"])
    parser.add_argument("--folder", default="/tmp/millrace-store-bench")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--json")
    runner = Runner(parser.parse_args())
    with open("/proc/loadavg", encoding="ascii") as file:
        load = " ".join(file.read().split()[:3])
    print(f"{runner.options.rows:,} rows, {runner.options.buckets} bucket(s), {runner.options.reps} run(s) each, "
          f"{os.cpu_count()} cores, load {load}", flush=True)
    runner.wipe()
    runner.everything()
    lines = summary(runner.results)
    print()
    print_table(lines)
    record = {"rows": runner.options.rows, "buckets": runner.options.buckets, "load_before": load, "workloads": lines,
              "limit": {name: found["rows_per_s"] for name, found in runner.results["limit"].items()}}
    print(json.dumps(record))
    if runner.options.json:
        with open(runner.options.json, "w", encoding="utf-8") as file:
            json.dump({"summary": record, "results": runner.results}, file, indent=1)


main()
