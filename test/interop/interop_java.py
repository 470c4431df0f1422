#!/usr/bin/env python3
"""interop_java.py - the same tables made by this program and by Apache Paimon's Java library, read and compared by both.

    interop_java.py PEER CLASSES JARS [--seed N] [--cases N] [--case N] [--rows N] [--keep]

PEER is interop_peer, CLASSES the compiled java/interop, JARS the folder of Paimon's jars. Each case (cases.py) becomes
two tables with the same changes: `o<N>` made by us, `j<N>` made by Java. Then
  - schema, snapshots, files with statistics and keys of both, as Java reads them, are equal;
  - rows of a scan, rows for one key and the change stream by snapshot are equal, whoever made and whoever reads;
  - Java goes on writing ours and compacts it, we go on writing Java's and compact it: equal again;
  - the makers do the same to their own: equal again.
Prints what differs, and a summary; exit code 1 when something does.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

import cases


class Peer:
    """A process that answers requests, a line of JSON each."""

    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        encoding="utf-8")

    def ask(self, do, **request):
        self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended while doing '{do}' (exit code {self.process.wait()})")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self.name}, doing '{do}' on {request.get('table')}: {answer['error']}")
        return answer["result"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


def in_order(rows):
    return sorted(rows, key=lambda row: json.dumps(row))


def shortened(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else text[:300] + "..."


class Comparison:
    def __init__(self, case, ours, java):
        self.case, self.ours, self.java = case, ours, java
        self.differences = []
        self.identifier = 0

    def same(self, what, expected, found):
        if expected == found:
            return
        place, a, b = self.first_difference(expected, found)
        self.differences.append(f"{what}{place}: expected {shortened(a)}, found {shortened(b)}")

    def first_difference(self, a, b, path=""):
        if isinstance(a, dict) and isinstance(b, dict):
            for key in sorted(set(a) | set(b)):
                if a.get(key) != b.get(key):
                    return self.first_difference(a.get(key), b.get(key), f"{path}.{key}")
        if isinstance(a, list) and isinstance(b, list):
            for i in range(min(len(a), len(b))):
                if a[i] != b[i]:
                    return self.first_difference(a[i], b[i], f"{path}[{i}]")
            return f"{path} ({len(a)} and {len(b)} entries)", a[len(b):], b[len(a):]
        return path, a, b

    def both(self, ours, java, do, **request):
        """The same request on table o<N> and j<N>: by us and by Java where they are the same."""
        ours.ask(do, table=f"o{self.case.number}", **request)
        java.ask(do, table=f"j{self.case.number}", **request)

    def change(self, ours, java, rows):
        self.identifier += 1
        self.both(ours, java, "write", user="one", identifier=self.identifier, rows=rows)

    def compact(self, ours, java):
        self.identifier += 1
        self.both(ours, java, "compact", user="one", identifier=self.identifier,
                  dynamic={"write-only": "false", "compaction.min.file-num": "2"})

    def look(self, stage):
        number = self.case.number
        key = self.case.some_key()
        metadata = {table: self.metadata(table) for table in (f"o{number}", f"j{number}")}
        self.same(f"{stage}, metadata", metadata[f"j{number}"], metadata[f"o{number}"])
        answers = {}
        for reader in (self.java, self.ours):
            for table in (f"j{number}", f"o{number}"):
                who = f"{'Java' if reader is self.java else 'we'} read {'Java' if table[0] == 'j' else 'our'}'s table"
                answers[who] = {"rows": self.scan(reader, table),
                                f"rows where {key[0]} = {key[1]!r}": self.scan(reader, table, equal=key),
                                "changes": self.changes(reader.ask("changes", table=table))}
        truth = next(iter(answers.values()))
        for who, answer in answers.items():
            self.same(f"{stage}, {who}", truth, answer)
        return len(truth["rows"])

    def metadata(self, table):
        found = {what: self.java.ask(what, table=table) for what in ("schema", "snapshots", "files")}
        files = found["files"] + [file for snapshot in found["snapshots"]
                                  for file in snapshot["delta"] + snapshot["changelog"]]
        for file in files:
            if not self.case.keyed:
                del file["sequence"]  # Java leaves gaps when it spills the rows of many buckets.
            if self.case.factors["types"] == "floats":  # We widen a bound of zero to both zeros.
                for bound in ("min", "max"):
                    file["valueStats"][bound] = file["valueStats"][bound].replace("00000080", "00000000")
        if not self.case.keyed:  # Java rewrites the smallest files first, we the oldest.
            for snapshot in found["snapshots"]:
                snapshot["delta"] = in_order(snapshot["delta"])
        factors = self.case.factors
        if (factors["option"] == "small files" or factors["engine"] == "first-row" or
                factors["changelog"] == "lookup" or factors["vectors"] == "on"):
            return found["schema"]  # What is compacted when follows from the sizes of files.
        return found

    def scan(self, reader, table, **request):
        """Java tells of each row whether it was +I or +U, which means nothing in a batch scan."""
        rows = reader.ask("read", table=table, **request)
        self.same(f"kinds of {table}'s rows", [], [row for row in rows if row[0] not in ("+I", "+U")])
        return in_order([row[1:] for row in rows])

    def changes(self, by_snapshot):
        """Commit by commit; COMPACT snapshots between them have no changes."""
        if self.case.factors["engine"] == "first-row":  # Java tells of a +U that was the first row as such.
            for rows in by_snapshot.values():
                for row in rows:
                    row[0] = row[0].replace("+U", "+I")
        return [in_order(by_snapshot[id]) for id in sorted(by_snapshot, key=int) if by_snapshot[id]]


def run_case(case, ours, java, rows):
    comparison = Comparison(case, ours, java)
    found = 0
    try:
        definition = case.definition()
        comparison.both(ours, java, "create", **definition)
        # With deletion vectors small commits on top of a large one: so that rows are marked, not files merged.
        later = rows // 5 if case.factors["vectors"] == "on" else rows
        for count in (rows, later, later):
            comparison.change(ours, java, case.batch(count))
        comparison.look("after three commits")
        if case.factors["schema"] != "none":
            comparison.both(ours, java, "alter", **case.change_schema())
            comparison.look("under the new schema")
        comparison.change(java, ours, case.batch(later))
        if case.keyed and case.factors["vectors"] == "on":
            comparison.look("written on by the other")
            comparison.change(ours, java, case.batch(later))
            comparison.change(java, ours, case.batch(later))
        comparison.compact(java, ours)
        comparison.look("written on and compacted by the other")
        comparison.change(ours, java, case.batch(later))
        comparison.compact(ours, java)
        found = comparison.look("compacted by the maker")
    except RuntimeError as failure:
        comparison.differences.append(str(failure))
    return comparison.differences, found


def check_deleted(ours, java, rows):
    """Tables without a key, with deleted rows: whoever compacts them, both read what is left."""
    bad = 0
    shapes = [(bucket, partition) for bucket in ("1", "2") for partition in ("none", "text")]
    for number, (bucket, partition) in enumerate(shapes):
        case = cases.Case(900 + number, {"engine": "append", "bucket": bucket, "changelog": "none", "vectors": "on",
                                         "schema": "none", "partition": partition, "key": "bigint", "types": "texts",
                                         "option": "none"})
        table = f"d{case.number}"
        count, identifier = 0, iter(range(1, 1000))
        try:
            ours.ask("create", table=table, **case.definition())
            for who, compactor in enumerate((ours, java, ours)):
                for _ in range(4):
                    ours.ask("write", table=table, user="w", identifier=next(identifier), rows=case.batch(rows))
                    count += rows
                count -= ours.ask("delete", table=table, user="d", identifier=next(identifier), every=3)
                expected = in_order([row[1:] for row in java.ask("read", table=table)])
                compactor.ask("compact", table=table, user=f"c{who}", identifier=next(identifier),
                              dynamic={"write-only": "false", "compaction.min.file-num": "2"})
                stored = sum(file["rows"] for file in java.ask("files", table=table))
                found = [in_order([row[1:] for row in reader.ask("read", table=table)]) for reader in (ours, java)]
                if found != [expected, expected] or stored != count or len(expected) != count:
                    bad += 1
                    print(f"{case}, compacted by {compactor.name}: {count} rows expected, {len(expected)} before, "
                          f"{[len(each) for each in found]} after, {stored} stored")
        except RuntimeError as failure:
            bad += 1
            print(f"{case}: {failure}")
    print(f"deleted rows: {len(shapes)} tables compacted in turns, {bad} differ")
    return bad


def check_hashes(ours, java):
    """Bucket hashes of keys of every atomic type, NULLs among them, and of several columns at once."""
    random_ = random.Random(7)
    columns = [column for group in list(cases.TYPES.values()) + list(cases.KEYS.values()) for column in group
               if isinstance(column[0], str)]
    bad = 0
    for chosen in [[column] for column in columns] + [random_.sample(columns, 4) for _ in range(20)]:
        types = [kind for kind, _ in chosen]
        rows = [[make(random_) if "NOT NULL" in kind else cases.maybe_null(make, random_) for kind, make in chosen]
                for _ in range(100)]
        expected, found = java.ask("hash", types=types, rows=rows), ours.ask("hash", types=types, rows=rows)
        wrong = [i for i in range(len(rows)) if expected[i] != found[i]]
        if wrong:
            bad += 1
            print(f"bucket hash of {types}: row {rows[wrong[0]]}: Java has {expected[wrong[0]]}, we {found[wrong[0]]}")
    print(f"bucket hashes: {len(columns)} types and 20 groups of 4, {bad} differ")
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("peer")
    parser.add_argument("classes")
    parser.add_argument("jars")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=1000, help="only so many; the first show most pairs of features")
    parser.add_argument("--case", type=int, help="only this one")
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--keep", action="store_true", help="leave the tables and print where they are")
    arguments = parser.parse_args()
    scratch = tempfile.mkdtemp(prefix="millrace-interop-")
    warehouse = f"{scratch}/warehouse"
    ours = Peer("Millrace", [arguments.peer, warehouse])
    java = Peer("Paimon Java", ["java", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
                                f"{arguments.classes}:{arguments.jars}/*", "interop.Peer", f"file:{warehouse}",
                                f"{scratch}/java"])
    family = cases.cover(arguments.seed)[:arguments.cases]
    bad, total = 0, 0
    try:
        wrong = 0
        if arguments.case is None:
            wrong = check_hashes(ours, java) + check_deleted(ours, java, arguments.rows)
        for number, factors in enumerate(family):
            if arguments.case is not None and number != arguments.case:
                continue
            case = cases.Case(number, factors)
            differences, rows = run_case(case, ours, java, arguments.rows)
            total += rows
            if differences:
                bad += 1
                print(case)
                for difference in differences[:6]:
                    print(f"  {difference}", flush=True)
    finally:
        ours.close()
        java.close()
        if arguments.keep:
            print(scratch)
        else:
            shutil.rmtree(scratch)
    print(f"seed {arguments.seed}: {len(family)} tables written by both, {bad} differ; {total} rows in them at last")
    missing = ", ".join(f"{factor} {value}" for factor, value in sorted(cases.NOT_YET))
    print(f"not in this program yet: {missing or 'nothing'}")
    sys.exit(1 if bad or wrong else 0)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    main()
