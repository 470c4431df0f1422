#!/usr/bin/env python3
"""paimon_history.py - tags, older states and system tables, compared with Apache Paimon's Python client.

    paimon_history.py MILLRACE

MILLRACE is the program. Both look at the same tables: each makes tags, both read them; metadata tables are
compared column by column. Prints what differs; exit code 1 when something does.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import pyarrow
from pypaimon import CatalogFactory, Schema

PROBLEMS = []


def check(what, expected, found):
    if expected != found:
        PROBLEMS.append(what)
        print(f"{what}:\n  expected {expected}\n  found    {found}")


class World:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.warehouse = os.path.join(folder, "warehouse")
        self.catalog = CatalogFactory.create({"warehouse": self.warehouse})

    def ours(self, sql):
        """Rows of the last statement, as our program answers."""
        script = (f"CREATE CATALOG lake WITH ('type' = 'paimon', 'warehouse' = '{self.warehouse}'); USE CATALOG lake; "
                  f"SET 'table.local-time-zone' = 'UTC'; SET 'execution.runtime-mode' = 'batch'; {sql}")
        done = subprocess.run([self.program, "--data", os.path.join(self.folder, "data"), "--format", "json", "-e", script],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{sql}\n{done.stdout}{done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def theirs(self, name, options=None, columns=None):
        table = self.catalog.get_table(f"default.{name}")
        if options:
            table = table.copy(options)
        builder = table.new_read_builder()
        if columns:
            builder = builder.with_projection(columns)
        return builder.new_read().to_arrow(builder.new_scan().plan().splits()).to_pylist()


def ordered(rows):
    return sorted(rows, key=lambda row: json.dumps(row, default=str))


def compare_tables(world, name, columns):
    cells = ", ".join(f'CAST("{column}" AS STRING) AS "{column}"' for column in columns)
    ours = world.ours(f"SELECT {cells} FROM `{name}`")
    theirs = [{column: None if row[column] is None else str(row[column]) for column in columns}
              for row in world.theirs(name)]
    check(name, ordered(theirs), ordered(ours))


def write_theirs(world, rows):
    builder = world.catalog.get_table("default.theirs").new_batch_write_builder()
    write, commit = builder.new_write(), builder.new_commit()
    write.write_arrow(pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(
        [pyarrow.field("id", pyarrow.int64(), nullable=False), ("v", pyarrow.string())])))
    commit.commit(write.prepare_commit())
    write.close()
    commit.close()


def main(program):
    folder = tempfile.mkdtemp(prefix="millrace-history-")
    world = World(program, folder)
    world.ours("CREATE TABLE ours (id BIGINT, v STRING, PRIMARY KEY (id) NOT ENFORCED) WITH ('bucket' = '2');"
               "INSERT INTO ours VALUES (1, 'a'), (2, 'a'); INSERT INTO ours VALUES (2, 'b'), (3, 'b');"
               "INSERT INTO ours VALUES (3, 'c');"
               "CREATE TABLE parts (id BIGINT, d STRING) PARTITIONED BY (d);"
               "INSERT INTO parts VALUES (1, 'x'), (2, 'y'); INSERT INTO parts VALUES (3, 'y');")
    schema = Schema.from_pyarrow_schema(pyarrow.schema([pyarrow.field("id", pyarrow.int64(), nullable=False),
                                                        ("v", pyarrow.string())]),
                                        primary_keys=["id"], options={"bucket": "1"})
    world.catalog.create_table("default.theirs", schema, False)
    write_theirs(world, [{"id": 1, "v": "a"}, {"id": 2, "v": "a"}])
    write_theirs(world, [{"id": 2, "v": "b"}])

    # Tags: each makes some on the other's table too; both read what the tag names.
    world.ours("CALL sys.create_tag('ours', 'one', 1); CALL sys.create_tag(`table` => 'default.theirs', tag => 'ours_one', "
               "snapshot_id => 1, time_retained => '7 d');")
    world.catalog.get_table("default.ours").create_tag("theirs_two", 2)
    world.catalog.get_table("default.theirs").create_tag("theirs_kept", 1, time_retained="1d")
    for name, tag in (("ours", "one"), ("ours", "theirs_two"), ("theirs", "ours_one"), ("theirs", "theirs_kept")):
        ours = world.ours(f"SELECT id, v FROM {name} FOR VERSION AS OF '{tag}'")
        check(f"{name} as of {tag}", ordered(world.theirs(name, {"scan.tag-name": tag})), ordered(ours))
    for snapshot in ("1", "2", "3"):
        ours = world.ours(f"SELECT id, v FROM ours /*+ OPTIONS('scan.snapshot-id' = '{snapshot}') */")
        check(f"ours, snapshot {snapshot}", ordered(world.theirs("ours", {"scan.snapshot-id": snapshot})), ordered(ours))
    check("names of tags", sorted(world.catalog.get_table("default.theirs").list_tags()),
          [row["tag_name"] for row in world.ours("SELECT tag_name FROM `theirs$tags` ORDER BY 1")])

    for name in ("ours", "theirs", "parts"):
        compare_tables(world, f"{name}$snapshots",
                       ["snapshot_id", "schema_id", "commit_user", "commit_identifier", "commit_kind", "base_manifest_list",
                        "delta_manifest_list", "total_record_count", "delta_record_count", "watermark"])
        compare_tables(world, f"{name}$options", ["key", "value"])
        compare_tables(world, f"{name}$tags", ["tag_name", "snapshot_id", "schema_id", "record_count"])
        compare_tables(world, f"{name}$files", ["bucket", "file_format", "schema_id", "level", "record_count",
                                                "file_size_in_bytes", "min_sequence_number", "max_sequence_number"])
        compare_tables(world, f"{name}$manifests", ["file_name", "file_size", "num_added_files", "num_deleted_files",
                                                    "schema_id"])
        compare_tables(world, f"{name}$buckets", ["bucket", "record_count", "file_size_in_bytes", "file_count"])
    compare_tables(world, "parts$partitions", ["partition", "record_count", "file_size_in_bytes", "file_count"])

    # What one removes, the other does not see; what one leaves is whole.
    world.ours("CALL sys.delete_tag('ours', 'theirs_two'); CALL sys.rename_tag('ours', 'one', 'first');")
    check("tags left", ["first"], sorted(world.catalog.get_table("default.ours").list_tags()))
    world.catalog.get_table("default.theirs").delete_tag("ours_one")
    world.catalog.get_table("default.ours").rollback_to(2)
    check("after their rollback", ordered(world.theirs("ours")), ordered(world.ours("SELECT id, v FROM ours")))
    world.ours("CALL sys.rollback_to('ours', 'first');")
    check("after our rollback", ordered(world.theirs("ours")), ordered(world.ours("SELECT id, v FROM ours")))
    world.ours("INSERT INTO ours VALUES (7, 'new')")
    check("after going on", ordered(world.theirs("ours")), ordered(world.ours("SELECT id, v FROM ours")))
    for name in ("ours", "theirs", "parts"):
        check(f"VERIFY {name}", [], world.ours(f"VERIFY TABLE {name} FULL"))

    # Statistics and consumers.
    world.ours("ANALYZE TABLE theirs COMPUTE STATISTICS FOR COLUMNS id; CALL sys.reset_consumer('theirs', 'me', 2);")
    check("rows after ANALYZE", ordered(world.theirs("theirs")), ordered(world.ours("SELECT id, v FROM theirs")))
    compare_tables(world, "theirs$consumers", ["consumer_id", "next_snapshot_id"])
    shutil.rmtree(folder)
    print("all as in pypaimon" if not PROBLEMS else f"{len(PROBLEMS)} differences")
    return 1 if PROBLEMS else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
