#!/usr/bin/env python3
"""Goal: Flink, Spark and Millrace read and write the same warehouse.
Method: a family of tables is made and written by each side; both answer the same queries after each turn of the other, and
VERIFY TABLE finds nothing wrong. The oracle is the other engine.

  engines.py MILLRACE CACHE [--engine flink|spark] [--keep]     (tools/install.sh engines fills CACHE)"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = ("b BOOLEAN, ti TINYINT, si SMALLINT, i INT, f FLOAT, d DOUBLE, m DECIMAL(18, 2), h DECIMAL(30, 5), s STRING, c VARCHAR(20), "
         "da DATE, t3 TIMESTAMP(3), t6 TIMESTAMP(6), bi VARBINARY(8)")
PLAIN = ("CAST({n} % 2 = 0 AS BOOLEAN), CAST({n} AS TINYINT), CAST({n} * 7 AS SMALLINT), {n} * 1000, CAST({n} + 0.5 AS FLOAT), "
         "CAST({n} / 4.0 AS DOUBLE), CAST({n} + 0.25 AS DECIMAL(18, 2)), CAST('{n}000000007.00001' AS DECIMAL(30, 5)), "
         "'text {n}', 'ü{n}', DATE '2024-02-2{n}', TIMESTAMP '2024-01-0{n} 01:02:03.123', TIMESTAMP '1969-12-2{n} 23:59:59.000001', "
         "X'0{n}ff'")
NULLS = ", ".join(["CAST(NULL AS {})".format(t) for t in
                   re.findall(r"\w+ ((?:\w+\(\d+, \d+\))|(?:\w+\(\d+\))|\w+)", TYPES)])


class Shape:
    """A kind of table: how it is made, what is written to it in turns, what is asked."""

    def __init__(self, name, columns, options, turns, key=None, parts=None, alter=None, ask="*"):
        self.name, self.columns, self.options, self.turns = name, columns, options, turns
        self.key, self.parts, self.alter, self.ask = key, parts, alter, ask

    def create(self, table, spark=False):
        options = dict(self.options)
        if spark:
            text = re.sub(r"VARBINARY\(8\)", "BINARY", re.sub(r"TIMESTAMP\(\d\)", "TIMESTAMP_NTZ", self.columns))
            if self.key:
                options["primary-key"] = self.key
            parts = f" PARTITIONED BY ({self.parts})" if self.parts else ""
            given = ", ".join(f"'{k}'='{v}'" for k, v in options.items())
            return f"CREATE TABLE {table} ({text}){parts} TBLPROPERTIES ({given})"
        key = f", PRIMARY KEY ({self.key}) NOT ENFORCED" if self.key else ""
        parts = f" PARTITIONED BY ({self.parts})" if self.parts else ""
        given = ", ".join(f"'{k}'='{v}'" for k, v in options.items())
        return f"CREATE TABLE {table} ({self.columns}{key}){parts} WITH ({given})"

    def select(self, table):
        return f"SELECT {self.ask} FROM {table}"


def plain(*ids, part=None):
    rows = [f"({n}, {PLAIN.format(n=n % 3 + 1)}" + (f", '{part or ('p', 'q')[n % 2]}'" if part != "" else "") + ")" for n in ids]
    rows.append(f"({max(ids) + 100}, {NULLS}" + (", 'p'" if part != "" else "") + ")")
    return "INSERT INTO {t} VALUES " + ", ".join(rows)


SHAPES = [
    Shape("keyed", f"id BIGINT, {TYPES}, p STRING", {"bucket": "2"}, [plain(1, 2, 3, 4), plain(2, 3, 5), plain(1, 6)], "id, p", "p"),
    Shape("dynamic", f"id BIGINT, {TYPES}, p STRING", {"bucket": "-1", "dynamic-bucket.target-row-num": "3"},
          [plain(1, 2, 3, 4), plain(2, 3, 5), plain(1, 6)], "id, p", "p"),
    Shape("added", f"id BIGINT, {TYPES}, p STRING", {"bucket": "-1"}, [plain(1, 2, 3, 4), plain(2, 3, 5), plain(1, 6)], None, "p"),
    Shape("recorded", f"id BIGINT, {TYPES}", {"bucket": "1", "changelog-producer": "lookup"},
          [plain(1, 2, 3, part=""), plain(2, 3, 5, part=""), plain(1, part="")], "id"),
    Shape("partial", "id BIGINT, a INT, b STRING, g INT, c STRING, p STRING",
          {"bucket": "1", "merge-engine": "partial-update", "fields.g.sequence-group": "c"},
          ["INSERT INTO {t} VALUES (1, 1, CAST(NULL AS STRING), 2, 'two', 'p'), (2, CAST(NULL AS INT), 'b', 1, 'one', 'p')",
           "INSERT INTO {t} VALUES (1, CAST(NULL AS INT), 'bb', 1, 'late', 'p'), (2, 22, CAST(NULL AS STRING), 5, 'five', 'p')",
           "INSERT INTO {t} VALUES (3, 3, 'b3', 3, 'three', 'p'), (1, 11, CAST(NULL AS STRING), 7, 'seven', 'p')"], "id"),
    Shape("sums", "id BIGINT, n BIGINT, m DECIMAL(18, 2), s STRING, l STRING",
          {"bucket": "1", "merge-engine": "aggregation", "fields.n.aggregate-function": "sum", "fields.m.aggregate-function": "max",
           "fields.s.aggregate-function": "last_non_null_value", "fields.l.aggregate-function": "listagg"},
          ["INSERT INTO {t} VALUES (1, 10, CAST(1.5 AS DECIMAL(18, 2)), 'a', 'x'), (2, 20, CAST(2.5 AS DECIMAL(18, 2)), CAST(NULL AS STRING), 'y')",
           "INSERT INTO {t} VALUES (1, 5, CAST(0.5 AS DECIMAL(18, 2)), CAST(NULL AS STRING), 'z')",
           "INSERT INTO {t} VALUES (1, 1, CAST(9 AS DECIMAL(18, 2)), 'b', 'w'), (3, 3, CAST(3 AS DECIMAL(18, 2)), 'c', 'v')"], "id"),
    Shape("nested", "id BIGINT, a ARRAY<STRING>, m MAP<STRING, INT>, r ROW<x INT, y STRING>", {"bucket": "1"},
          ["INSERT INTO {t} VALUES (1, ARRAY['u', 'v'], MAP['k', 1], ROW(1, 'y'))",
           "INSERT INTO {t} VALUES (2, ARRAY['w'], MAP['k', 2, 'l', 3], ROW(2, 'z'))",
           "INSERT INTO {t} VALUES (1, ARRAY['changed', 'too'], MAP['k', 7], ROW(3, 'q'))"], "id",
          ask="id, a[1], m['k'], r.x, r.y"),
    Shape("altered", "id BIGINT, i INT, s STRING, gone STRING", {"bucket": "1"},
          ["INSERT INTO {t} VALUES (1, 1, 'a', 'x'), (2, 2, 'b', 'y')",
           "INSERT INTO {t} VALUES (2, 3000000000, 'bb', 2.5)", "INSERT INTO {t} VALUES (3, 3, 'c', 3.5)"], "id",
          alter=["ALTER TABLE {t} MODIFY i BIGINT", "ALTER TABLE {t} RENAME s TO renamed", "ALTER TABLE {t} DROP gone",
                 "ALTER TABLE {t} ADD fresh DOUBLE"]),
]


def normal(value):
    """One text for what engines print in their own ways."""
    if value is None:
        return None
    text = str(value).strip()
    if text.lower() in ("true", "false"):
        return text.lower()
    stamp = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(\.\d+)?", text)
    if stamp:
        return f"{stamp[1]} {stamp[2]}{stamp[3] or ':00'}{(stamp[4] or '').rstrip('0').rstrip('.')}"
    if re.fullmatch(r"-?\d+(\.\d+)?(E-?\d+)?", text):
        return repr(float(text)) if "E" in text else text.rstrip("0").rstrip(".") if "." in text else text
    return text


class Millrace:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def run(self, statements):
        head = (f"CREATE CATALOG lake WITH ('type'='paimon', 'warehouse'='{self.folder}/warehouse'); USE CATALOG lake; "
                "SET 'execution.runtime-mode'='batch'; SET 'table.local-time-zone'='UTC';\n")
        answers = []
        for statement in statements:  # One process each: what is asked is what is on disk.
            done = subprocess.run([self.program, "--data", self.folder + "/data", "--format", "json", "-e", head + statement],
                                  capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"Millrace: {statement}\n{done.stderr}")
            answers.append([list(json.loads(line).values()) for line in done.stdout.splitlines() if line.startswith("{")])
        return answers


class Embedded:
    """Flink or Spark: one process per turn."""

    def __init__(self, name, folder, cache):
        self.name, self.folder, self.cache = name, folder, cache

    def command(self, script):
        if self.name == "spark":
            home = self.cache + "/spark-3.5"
            return [home + "/bin/python", HERE + "/spark_sql.py", script, self.folder + "/warehouse", home + "/paimon-spark.jar"]
        opens = [f"--add-opens=java.base/{p}=ALL-UNNAMED" for p in ("java.util", "java.lang", "java.nio")]
        return ["java", "-Xmx1g", *opens, "-cp", self.cache + "/flink-1.20.3/*", HERE + "/FlinkSql.java", script]

    def run(self, statements):
        if self.name == "flink":
            statements = [f"CREATE CATALOG lake WITH ('type'='paimon', 'warehouse'='{self.folder}/warehouse')", "USE CATALOG lake",
                          *statements]
        script = self.folder + "/script.sql"
        with open(script, "w", encoding="utf-8") as file:
            file.write("\n".join(statements) + "\n")
        done = subprocess.run(self.command(script), capture_output=True, text=True, check=False, timeout=900)
        answers, ended = [], False
        for line in done.stdout.splitlines():
            if line == "#end":
                ended = True
            elif re.fullmatch(r"#\d+", line):
                answers.append([])
            elif answers and line.startswith("["):
                answers[-1].append(json.loads(line))
        if not ended:
            at = statements[len(answers) - 1] if answers else "the start"
            causes = [line for line in done.stderr.splitlines() if "Caused by" in line or "Exception" in line]
            raise RuntimeError(f"{self.name}: {at}\n" + "\n".join(causes[-6:] or done.stderr.splitlines()[-20:]))
        return answers[2:] if self.name == "flink" else answers


class Turns:
    def __init__(self, ours, theirs):
        self.ours, self.theirs, self.problems, self.compared = ours, theirs, [], 0
        self.spark = theirs.name == "spark"

    def their_text(self, statement):
        if not self.spark:
            return statement
        text = re.sub(r"X'([0-9a-f]+)'", r"X'\1'", statement)
        text = text.replace("AS VARBINARY(8)", "AS BINARY").replace("AS TIMESTAMP(3)", "AS TIMESTAMP_NTZ")
        text = text.replace("AS TIMESTAMP(6)", "AS TIMESTAMP_NTZ")
        return re.sub(r"(?<!AS )TIMESTAMP '", "TIMESTAMP_NTZ '", text)

    def compare(self, shapes, prefix, when):
        asked = [shape.select(f"{prefix}_{shape.name}") for shape in shapes]
        ours = self.ours.run(asked)
        theirs = self.theirs.run(asked)
        for shape, mine, others in zip(shapes, ours, theirs):
            rows = [sorted(([normal(v) for v in row] for row in side), key=str) for side in (mine, others)]
            self.compared += len(rows[0])
            if not rows[0] or rows[0] != rows[1]:
                self.problems.append(f"{prefix}_{shape.name} {when}:\n  Millrace {rows[0]}\n  {self.theirs.name} {rows[1]}")
            found = self.ours.run([f"VERIFY TABLE {prefix}_{shape.name} FULL"])[0]
            if found:
                self.problems.append(f"{prefix}_{shape.name} {when}: VERIFY says {found}")

    def play(self):
        shapes = [s for s in SHAPES if not (self.spark and s.name in ("nested", "altered"))]
        table = lambda statement, prefix, shape: statement.replace("{t}", f"{prefix}_{shape.name}")
        self.ours.run([s.create(f"o_{s.name}") for s in shapes] + [table(s.turns[0], "o", s) for s in shapes])
        self.compare(shapes, "o", "as Millrace made it")
        theirs = []
        for shape in shapes:
            theirs += [table(a, "o", shape) for a in shape.alter or []]
            theirs.append(self.their_text(table(shape.turns[1], "o", shape)))
        for shape in shapes:
            theirs.append(shape.create(f"t_{shape.name}", self.spark))
            theirs.append(self.their_text(table(shape.turns[0], "t", shape)))
        self.theirs.run(theirs)
        self.compare(shapes, "o", f"after {self.theirs.name} wrote to it")
        self.compare(shapes, "t", f"as {self.theirs.name} made it")
        ours = [table(s.turns[2], "o", s) for s in shapes]
        for shape in shapes:
            ours += [table(a, "t", shape) for a in shape.alter or []]
            ours += [table(turn, "t", shape) for turn in shape.turns[1:]]
            if shape.key:
                ours.append(f"CALL sys.compact('default.t_{shape.name}')")
        self.ours.run(ours)
        self.compare(shapes, "o", "after Millrace wrote to it again")
        self.compare(shapes, "t", "after Millrace wrote to it and compacted it")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("millrace")
    parser.add_argument("cache")
    parser.add_argument("--engine", choices=["flink", "spark"])
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    failed = False
    for name in [args.engine] if args.engine else ["flink", "spark"]:
        folder = tempfile.mkdtemp(prefix=f"millrace-{name}-")
        turns = Turns(Millrace(args.millrace, folder), Embedded(name, folder, args.cache))
        turns.play()
        print(f"{name}: {turns.compared} rows compared, {len(turns.problems)} differences", flush=True)
        print("\n".join(turns.problems), flush=True)
        failed = failed or bool(turns.problems)
        if not args.keep:
            shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
