#!/usr/bin/env python3
"""prepare.py - makes the tables and query texts of TPC-H and TPC-DS for tpc_continuous.

    test/continuous/prepare.py [CACHE]        default: ${MILLRACE_CACHE:-~/.cache/millrace}

DuckDB's own generators, from PyPI, write them to CACHE/tpc-VERSION/{tpch,tpcds}: a Parquet file a
table, a .sql file a query. Nothing is fetched or made twice; nothing of it belongs into the repository.
"""
import glob
import os
import shutil
import subprocess
import sys

VERSION = "1.5.5"  # The newest DuckDB whose generators are on PyPI; Parquet and SQL fit any.
SCALE = {"tpch": 0.01, "tpcds": 0.01}
GENERATOR = {"tpch": "dbgen", "tpcds": "dsdgen"}


def write(suite, extension, folder):
    import duckdb
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.execute(f"LOAD '{extension}'")
    connection.execute(f"CALL {GENERATOR[suite]}(sf={SCALE[suite]})")
    os.makedirs(folder)
    for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
        connection.execute(f"COPY {table} TO '{folder}/{table}.parquet'")
    queries = connection.execute(f"SELECT query_nr, query FROM {suite}_queries()").fetchall()
    for number, text in queries:
        with open(f"{folder}/{number:02}.sql", "w") as file:
            file.write(text)
    print(f"{suite}: {len(queries)} queries in {folder}")


def main():
    if len(sys.argv) > 2 and sys.argv[1] == "--write":
        return write(*sys.argv[2:])
    cache = os.environ.get("MILLRACE_CACHE") or os.path.expanduser("~/.cache/millrace")
    target = os.path.join(sys.argv[1] if len(sys.argv) > 1 else cache, "tpc-" + VERSION)
    if os.path.exists(os.path.join(target, ".done")):
        return
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", target + "/venv"], check=True)
    python = target + "/venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check",
                    f"duckdb=={VERSION}", f"duckdb-extension-tpch=={VERSION}",
                    f"duckdb-extension-tpcds=={VERSION}"], check=True)
    for suite in GENERATOR:
        extension, = glob.glob(f"{target}/venv/lib/**/{suite}.duckdb_extension", recursive=True)
        subprocess.run([python, os.path.abspath(__file__), "--write", suite, extension,
                        f"{target}/{suite}"], check=True)
    shutil.rmtree(target + "/venv")
    open(target + "/.done", "w").close()


if __name__ == "__main__":
    main()
