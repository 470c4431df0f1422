#!/usr/bin/env python3
"""Goal: the reports over a real bank's books are the same as a stream, as a batch, and by DuckDB over the raw files.
Method: run examples/berka in both modes, the stream with random step sizes; compare every row of every report with
DuckDB's answer computed from the files alone, in SQL that shares nothing with the example's."""
import os
import random
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
MILLRACE = os.environ.get("MILLRACE", os.path.join(ROOT, "build/millrace"))
BERKA = os.environ.get("BERKA", os.path.join(ROOT, "../shared/data/berka"))

REPORTS = {
    "account_balances": "SELECT account_id, district_id, balance, movements FROM account_balances ORDER BY account_id",
    "district_months": "SELECT district_id, name, booked_month, deposits, loans FROM district_months "
                       "ORDER BY district_id, booked_month",
    "overdrawn_clients": "SELECT client_id, account_id, balance FROM overdrawn_clients ORDER BY client_id, account_id",
}

RAW = """
t AS SELECT account_id::INT account_id, "date"::VARCHAR d, "type" = 'PRIJEM' credit,
    amount::DECIMAL(12,2) amount FROM read_csv('{b}/trans.asc', delim=';', header=true, all_varchar=true);
a AS SELECT account_id::INT account_id, district_id::INT district_id
    FROM read_csv('{b}/account.asc', delim=';', header=true, all_varchar=true);
d AS SELECT A1::INT district_id, A2 AS name
    FROM read_csv('{b}/district.asc', delim=';', header=true, all_varchar=true);
l AS SELECT account_id::INT account_id, "date"::VARCHAR d, amount::DECIMAL(12,2) amount
    FROM read_csv('{b}/loan.asc', delim=';', header=true, all_varchar=true);
o AS SELECT client_id::INT client_id, account_id::INT account_id
    FROM read_csv('{b}/disp.asc', delim=';', header=true, all_varchar=true) WHERE "type" = 'OWNER';
"""
RAW_REPORTS = {
    "account_balances": "SELECT account_id, district_id, SUM(IF(credit, amount, -amount)) balance, COUNT(*) movements "
                        "FROM t JOIN a USING (account_id) GROUP BY ALL ORDER BY account_id",
    "district_months":
        "WITH x AS (SELECT account_id, '19' || d[1:2] || '-' || d[3:4] m, amount dep, 0::DECIMAL(12,2) loan FROM t WHERE credit "
        "UNION ALL SELECT account_id, '19' || d[1:2] || '-' || d[3:4], 0, amount FROM l) "
        "SELECT district_id, name, m booked_month, SUM(dep) deposits, SUM(loan) loans "
        "FROM x JOIN a USING (account_id) LEFT JOIN d USING (district_id) GROUP BY ALL ORDER BY district_id, m",
    "overdrawn_clients":
        "SELECT client_id, account_id, SUM(IF(credit, amount, -amount)) balance FROM t JOIN o USING (account_id) "
        "GROUP BY ALL HAVING balance < 0 ORDER BY client_id, account_id",
}


def run(args, **kwargs):
    result = subprocess.run(args, capture_output=True, text=True, timeout=170, **kwargs)
    if result.returncode != 0:
        sys.exit(f"{' '.join(args)}\nexit code {result.returncode}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}")
    return result.stdout


def reports(warehouse, folder):
    catalog = f"CREATE CATALOG lake WITH ('type'='paimon', 'warehouse'='{warehouse}'); USE lake.berka;"
    found = {}
    for name, sql in REPORTS.items():
        found[name] = run([MILLRACE, "--data", folder, "--format", "csv", "-e",
                           f"{catalog} SET 'execution.runtime-mode'='batch'; {sql};"])
    return found


def raw_answers(folder):
    return {name: run([MILLRACE, "--data", folder, "--format", "csv", "-e",
                       "SET 'table.sql-dialect'='duckdb'; " + script(sql)])
            for name, sql in RAW_REPORTS.items()}


def script(sql):
    # csv output is for queries only and one result: the raw tables go in as common table expressions.
    parts = [p for p in RAW.format(b=BERKA).split(";\n") if p.strip()]
    ctes = []
    for part in parts:
        name, body = part.strip().split(" AS ", 1)
        ctes.append(f"{name} AS ({body})")
    if sql.startswith("WITH "):
        return f"WITH {', '.join(ctes)}, {sql[5:]};"
    return f"WITH {', '.join(ctes)} {sql};"


def compare(what, got, expected):
    for name in REPORTS:
        a, b = got[name].strip().split("\n"), expected[name].strip().split("\n")
        if len(a) < 2 and name != "overdrawn_clients":
            sys.exit(f"{what}: {name} is empty")
        if a[1:] != b[1:]:
            different = [(x, y) for x, y in zip(a[1:], b[1:]) if x != y][:5]
            sys.exit(f"{what}: {name} differs: {len(a) - 1} rows, expected {len(b) - 1}; first differences {different}")


def main():
    if not os.path.exists(os.path.join(BERKA, "trans.asc")):
        print(f"SKIP: no data in {BERKA}")
        sys.exit(77)
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        expected = raw_answers(folder)
        print({name: text.count("\n") - 1 for name, text in expected.items()})
        batch = os.path.join(folder, "batch/warehouse")
        run([os.path.join(ROOT, "examples/berka/run.sh"), "batch", BERKA, batch], env={**os.environ, "MILLRACE": MILLRACE})
        compare("batch", reports(batch, folder), expected)
        for number in range(3):
            step, interval = rng.choice([137, 500, 2000, 20000]), rng.choice([50, 200, 1000])
            print(f"stream {number}: steps of {step} rows, checkpoints every {interval} ms")
            warehouse = os.path.join(folder, f"stream{number}/warehouse")
            run([os.path.join(ROOT, "examples/berka/run.sh"), "stream", BERKA, warehouse],
                env={**os.environ, "MILLRACE": MILLRACE, "STEP": str(step), "CHECKPOINT": f"{interval} ms"})
            compare(f"stream with steps of {step}", reports(warehouse, folder), expected)
    print("PASS")


if __name__ == "__main__":
    main()
