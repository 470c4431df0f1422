#!/usr/bin/env python3
"""paimon_tables.py - tables cross the border between this program and Apache Paimon's Python client.

    paimon_tables.py PROGRAM ours     pypaimon reads what we wrote
    paimon_tables.py PROGRAM theirs   we read what pypaimon wrote, go on writing and compact; it reads the result

PROGRAM is interop_tables. Prints what differs; exit code 1 when something does.
"""
import datetime
import decimal
import json
import os
import shutil
import subprocess
import sys
import tempfile

import pyarrow
from pypaimon import CatalogFactory, Schema


def text_of(value):
    """A value as the C++ half writes it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        if value.tzinfo:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(value, datetime.time):
        return value.strftime("%H:%M:%S.%f")
    return str(value)


def same(expected, found):
    """Texts are equal up to the zeros that a fraction of a second may end with."""
    if expected is None or found is None:
        return expected is found
    if ":" in expected and "." in expected:
        return expected.rstrip("0") == found.rstrip("0")
    return expected == found


def read_with_paimon(catalog, name):
    builder = catalog.get_table(name).new_read_builder()
    splits = builder.new_scan().plan().splits()
    table = builder.new_read().to_arrow(splits)
    columns = [[text_of(value) for value in column.to_pylist()] for column in table.columns]
    return [list(row) for row in zip(*columns)]


def compare(what, expected, found, key):
    expected, found = sorted(expected, key=key), sorted(found, key=key)
    wrong = 0
    if [key(row) for row in expected] != [key(row) for row in found]:
        missing = {key(row) for row in expected} - {key(row) for row in found}
        extra = {key(row) for row in found} - {key(row) for row in expected}
        print(f"{what}: {len(expected)} rows expected, {len(found)} found; missing {sorted(missing)[:5]}, "
              f"not expected {sorted(extra)[:5]}")
        return False
    for wanted, row in zip(expected, found):
        for index, (a, b) in enumerate(zip(wanted, row)):
            if not same(a, b):
                wrong += 1
                if wrong <= 5:
                    print(f"{what}: row {key(row)} column {index}: expected {a!r}, found {b!r}")
    print(f"{what}: {len(found)} rows, {wrong} values differ")
    return wrong == 0


def run(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)} failed: {done.stderr}")
    return done.stdout


def check_ours(program, warehouse):
    run(program, "write", warehouse)
    catalog = CatalogFactory.create({"warehouse": warehouse})
    good = True
    for name in ("pk_one", "pk_two", "pk_text", "pk_part", "pk_dynamic", "pk_dynamic_part", "pk_vectors",
                 "pk_vectors_part", "append_any", "append_part", "append_deleted", "append_deleted_two",
                 "append_compacted", "append_compacted_two", "append_indexed"):
        with open(f"{warehouse}/expected-{name}.json", encoding="utf-8") as file:
            expected = json.load(file)
        found = read_with_paimon(catalog, f"db.{name}")
        good &= compare(name, expected, found, key=lambda row: int(row[0]))
    return good


def check_theirs(program, warehouse):
    catalog = CatalogFactory.create({"warehouse": warehouse})
    catalog.create_database("db", True)
    fields = [("id", pyarrow.int64()), ("name", pyarrow.string()), ("dt", pyarrow.string()),
              ("amount", pyarrow.decimal128(18, 2))]
    good = True
    for name, keys, partitions, options in (
            ("py_pk", ["id"], [], {"bucket": "1"}),
            ("py_pk_two", ["dt", "id"], ["dt"], {"bucket": "2"}),
            ("py_dynamic", ["id"], [], {"bucket": "-1", "dynamic-bucket.target-row-num": "120"}),
            ("py_dynamic_part", ["dt", "id"], ["dt"], {"bucket": "-1", "dynamic-bucket.target-row-num": "70"}),
            ("py_append", [], [], {}),
            ("py_append_part", [], ["dt"], {"bucket": "2", "bucket-key": "id"})):
        schema = Schema.from_pyarrow_schema(
            pyarrow.schema([pyarrow.field(field, kind, nullable=field not in keys + partitions)
                            for field, kind in fields]),
            partition_keys=partitions, primary_keys=keys, options=options)
        catalog.create_table(f"db.{name}", schema, False)
        table = catalog.get_table(f"db.{name}")
        model = {}

        def write(ids, word):
            rows = [(i, f"{word}-{i}", f"d{i % 2}", decimal.Decimal(i % 100).quantize(decimal.Decimal("0.01")))
                    for i in ids]
            for row in rows:
                model[row[0]] = [text_of(value) for value in row]
            builder = table.new_batch_write_builder()
            writer, commit = builder.new_write(), builder.new_commit()
            writer.write_arrow(pyarrow.Table.from_pydict(
                {field: [row[index] for row in rows] for index, (field, _) in enumerate(fields)},
                schema=table_schema(fields, keys + partitions)))
            commit.commit(writer.prepare_commit())
            writer.close()
            commit.close()

        write(range(0, 300), "first")
        write(range(200, 400) if keys else range(300, 400), "second")
        folder = f"{warehouse}/db.db/{name}"
        found = [json.loads(line) for line in run(program, "read", folder).splitlines()]
        good &= compare(f"{name} read by us", model.values(), found, key=lambda row: int(row[0]))
        run(program, "extend", folder)
        for i in list(range(1000, 1100)) + (list(range(0, 50)) if keys else []):
            model[i] = [str(i), f"millrace-{i}", f"d{i % 2}", f"{i % 100}.00"]
        if keys:
            for i in range(50, 60):
                del model[i]
        good &= compare(f"{name} extended by us", model.values(),
                        read_with_paimon(catalog, f"db.{name}"), key=lambda row: int(row[0]))
        write(range(20, 30) if keys else range(2000, 2010), "third")
        found = [json.loads(line) for line in run(program, "read", folder).splitlines()]
        good &= compare(f"{name} extended again by pypaimon", model.values(), found,
                        key=lambda row: int(row[0]))
    return good


def table_schema(fields, required):
    return pyarrow.schema([pyarrow.field(name, kind, nullable=name not in required)
                           for name, kind in fields])


def main():
    program, direction = os.path.abspath(sys.argv[1]), sys.argv[2]
    warehouse = tempfile.mkdtemp(prefix="millrace-interop-")
    try:
        good = (check_ours if direction == "ours" else check_theirs)(program, warehouse)
    finally:
        if not os.environ.get("KEEP_WAREHOUSE"):
            shutil.rmtree(warehouse)
        else:
            print(warehouse)
    sys.exit(0 if good else 1)


main()
