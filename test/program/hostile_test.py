#!/usr/bin/env python3
"""Goal: odd scripts, arguments, files and ends of the output are told in one clear sentence, with the right exit code.
Method: run the program on each and look for the sentence; what must work is compared with its output."""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
MILLRACE = os.environ.get("MILLRACE", os.path.join(ROOT, "build/millrace"))
failures = []


def run(args, stdin=None, **more):
    return subprocess.run([MILLRACE, *args], input=stdin, capture_output=True, timeout=60, **more)


def expect(what, args, code=0, out=None, err=None, **more):
    """`out`: all of stdout; `err`: a regular expression to be found in stderr ('' = nothing there)."""
    result = run(args, **more)
    stdout, stderr = result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace")
    good = result.returncode == code and (out is None or stdout == out)
    if err is not None:
        good = good and (stderr == "" if err == "" else re.search(err, stderr) is not None)
    if not good:
        failures.append(f"{what}: exit code {result.returncode}, {code} wanted\n  out: {stdout[:300]!r}\n  err: {stderr[:600]!r}")


def arguments():
    csv = ["--format", "csv"]
    expect("a format that is none", ["--format", "cvs", "-e", "SELECT 1"], 2, "", "must be table, csv.*did you mean 'csv'")
    expect("an option that is none", ["--formt", "csv", "-e", "SELECT 1"], 2, "", "no option '--formt'; did you mean '--format'")
    expect("an option unlike any", ["--zzzzzz"], 2, "", "no option '--zzzzzz'; --help lists them")
    expect("a script without -f", ["report.sql"], 2, "", "'report.sql' stands alone.*-f report.sql")
    expect("an option without its value", ["-e"], 2, "", "-e")
    expect("a definition without a value", ["-D", "A", "-e", "SELECT 1"], 2, "", "NAME=VALUE")
    expect("memory that is none", ["--memory", "lots", "-e", "SELECT 1"], 2, "", "--memory lots")
    expect("nothing to run", ["-e", ""], 0, "", "")
    expect("variables in -e", [*csv, "-D", "N=7", "-e", "SELECT ${N} AS n"], 0, "n\n7\n", "")
    expect("a missing variable in -e", ["-e", "SELECT ${NO_SUCH_NAME}"], 1, "", r"-e:1: variable '\$\{NO_SUCH_NAME\}' is not set")
    expect("the second of two -e fails", [*csv, "-e", "SELECT 1 AS a", "-e", "SELCT"], 1, "a\n1\n", r"-e 2:1:1: .*did you mean 'SELECT'")
    expect("--init that is not there", ["--init", "/no/such.sql", "-e", "SELECT 1"], 1, "", "/no/such.sql.*No such file")
    expect("--version", ["--version"], 0, None, "")
    expect("a script on stdin", [*csv], 0, "a\n1\n", "", stdin=b"SELECT 1 AS a")
    expect("unnamed fields in JSON", ["--format", "json", "-e", "SELECT ROW(1, 'x') AS r"], 0, '{"r":{"f0":1,"f1":"x"}}\n', "")


SCRIPTS = {  # name: (text, exit code, stdout or None, stderr)
    "empty": (b"", 0, "", ""),
    "a comment only": (b"-- nothing\n/* here */", 0, "", ""),
    "semicolons only": (b";;\n ; ", 0, "", ""),
    "an open comment": (b"SELECT 1;\n/* never", 1, None, r":2:1: .*comment is never closed"),
    "an open string": (b"SELECT 'abc", 1, "", r":1:8: .*string literal is never closed"),
    "an open name": (b"SELECT `abc", 1, "", r":1:8: .*quoted name is never closed"),
    "a missing semicolon": (b"SELECT 1 AS a\nSELECT 2", 1, "", r":2:1: .*is a ';' missing before it"),
    "the same word twice": (b"SELECT 1 SELECT 2", 1, "", r":1:10: "),
    "semicolons in strings": (b"SELECT ';' AS a, '--' AS b, '/*' AS c;", 0, "a,b,c\n;,--,/*\n", ""),
    "Windows lines": (b"SELECT 1 AS a;\r\nSELECT 2 AS a;\r\n", 0, "a\n1\na\n2\n", ""),
    "a byte order mark": (b"\xef\xbb\xbfSELECT 1 AS a", 0, "a\n1\n", ""),
    "a zero byte": (b"SELECT 1;\nSELECT\x00 2;", 1, "", r":2: the script is not UTF-8 text: it holds a zero byte"),
    "UTF-16": (b"\xff\xfeS\x00E\x00L\x00", 1, "", "not UTF-8 text"),
    "Latin-1": (b"SELECT 1;\nSELECT 'caf\xe9';", 1, "", r":2: the script is not UTF-8 text: a byte there"),
    "UTF-8 names": ("SELECT 1 AS `naïve ☃`;".encode(), 0, "naïve ☃\n1\n", ""),
    "a slip in the verb": (b"SELCT 1", 1, "", "did you mean 'SELECT'"),
    "a missing table": (b"\nSELECT * FROM nowhere;", 1, "", r":2:15: there is no table 'nowhere'"),
    "20000 brackets": (b"SELECT " + b"(" * 20000 + b"1" + b")" * 20000, 1, "", r":1:1: "),
    "10 MB of a string": (b"SELECT CHAR_LENGTH('" + b"x" * 10_000_000 + b"') AS n", 0, "n\n10000000\n", ""),
    "a line of 100 kB with a mistake": (b"SELECT '" + b"x" * 100_000 + b"' AS a, nope FROM (VALUES (1)) AS t(b)", 1, "",
                                        r"there is no column 'nope'(.|\n){1,300}$"),
    "10000 statements": (b"SET 'table.dml-sync'='true';\n" * 10000 + b"SELECT 1 AS a", 0, "a\n1\n", ""),
    "4000 columns": (b"SELECT " + b", ".join(b"%d AS c%d" % (i, i) for i in range(4000)), 0, None, ""),
    "a variable without an end": (b"SELECT '${' AS a", 0, "a\n${\n", ""),
    "a failing row": (b"SET 'execution.runtime-mode'='batch';\nSELECT\n 10 / x\nFROM (VALUES (2), (0)) AS t(x);", 1, "",
                      r":2:1: .*Division by zero"),
    "names of columns": (b"SELECT COUNT(*), MAX(x) AS m, SUM( x\n + 1 ), x0.y FROM (VALUES (1)) AS t(x), (VALUES (2)) AS x0(y) GROUP BY x0.y", 0,
                         "COUNT(*),m,SUM( x + 1 ),y\n1,1,2,2\n", ""),
    "names of clocks": (b"SELECT CURRENT_DATE IS NULL, CAST('1' AS INT)", 0, "CURRENT_DATE IS NULL,CAST('1' AS INT)\nfalse,1\n", ""),
    "a number of 41 digits": (b"SELECT 12345678901234567890123456789012345678901", 1, "", "41 digits; a DECIMAL holds 38"),
}


def scripts(folder):
    path = os.path.join(folder, "script.sql")
    for what, (text, code, out, err) in SCRIPTS.items():
        with open(path, "wb") as file:
            file.write(text)
        expect(what, ["--format", "csv", "-f", path], code, out, err)
    expect("a folder", ["-f", folder], 1, "", "it is a folder")
    expect("no such script", ["-f", folder + "/none.sql"], 1, "", "none.sql': No such file")


COLUMNS = "id INT, name STRING, amount DECIMAL(10, 2), at_ TIMESTAMP(3)"
RECORDS = {  # name: (format, bytes, options, exit code, stdout, stderr)
    "an empty file": ("csv", b"", "", 0, "", ""),
    "a byte order mark, csv": ("csv", b"\xef\xbb\xbf1,a,1,2024-01-01 00:00:00\n", "", 0, "1,a,1.00,2024-01-01 00:00:00\n", ""),
    "a byte order mark, json": ("json", b'\xef\xbb\xbf{"id":1}\n', "", 0, "1,,,\n", ""),
    "Windows lines": ("csv", b"1,a,1,2024-01-01 00:00:00\r\n2,b,2,2024-01-01 00:00:00\r\n", "", 0,
                      "1,a,1.00,2024-01-01 00:00:00\n2,b,2.00,2024-01-01 00:00:00\n", ""),
    "a zero byte in a text": ("csv", b"1,a\0b,1,\n", "", 0, "1,a\0b,1.00,\n", ""),
    "too few fields": ("csv", b"1,a,1\n", "", 1, None, r"line 1 of .*: it has 3 fields, the table has 4 columns"),
    "too many fields": ("csv", b"1,a,1,,x\n", "", 1, None, "it has 5 fields, the table has 4 columns"),
    "an open quote": ("csv", b'1,"a,1,\n', "", 1, None, "a quoted field has no end"),
    "text behind a quote": ("csv", b'1,"a"b,1,\n', "", 1, None, "text behind the closing quote"),
    "Latin-1": ("csv", b"1,caf\xe9,1,\n", "", 1, None, "field 'name'.*is not a STRING"),
    "a number too great": ("csv", b"99999999999,a,1,\n", "", 1, None, "field 'id': '99999999999' is not an INT"),
    "a decimal too great": ("csv", b"1,a,123456789012.5,\n", "", 1, None, r"'123456789012.5' is not a DECIMAL\(10, 2\)"),
    "a month of 13": ("csv", b"1,a,1,2024-13-01 00:00:00\n", "", 1, None, r"'2024-13-01 00:00:00' is not a TIMESTAMP\(3\)"),
    "a year of 300000": ("csv", b"1,a,1,300000-01-01 00:00:00\n", "", 1, None, "field 'at_'"),
    "a header": ("csv", b"id,name,amount,at_\n1,a,1,\n", "", 1, None, "set 'csv.ignore-first-line'"),
    "another delimiter": ("csv", b"1;a;1;\n", "", 1, None, "it has 1 field, the table has 4 columns"),
    "a line of 10 MB": ("csv", b"1," + b"x" * 10_000_000 + b",x,\n", "", 1, None, "field 'amount': 'x' is not(.|\n){1,600}$"),
    "skipped and counted": ("csv", b"1,a,1,\nx,b,1,\ny\n4,d,4,\n", ", 'csv.ignore-parse-errors'='true'", 0, "1,a,1.00,\n4,d,4.00,\n",
                            r"t: 2 records could not be decoded and were skipped"),
    "json that ends early": ("json", b'{"id":1\n', "", 1, None, "line 1 of .*JSON"),
    "json that is no object": ("json", b"[1,2]\n", "", 1, None, "it is no JSON object"),
    "json of another type": ("json", b'{"id":"x"}\n', "", 1, None, "field 'id': 'x' is not an INT"),
    "two objects in a line": ("json", b'{"id":1}{"id":2}\n', "", 1, None, "more text behind the object"),
    "json 100000 deep": ("json", b'{"id":' + b"[" * 100000 + b"]" * 100000 + b"}\n", "", 1, None, "field 'id'"),
    "a half character": ("json", b'{"name":"\\ud800"}\n', "", 1, None, "field 'name'"),
    "no parquet": ("parquet", b"PAR1 nothing PAR1", "", 1, None, "d.parquet"),
}


def records(folder):
    for what, (kind, data, options, code, out, err) in RECORDS.items():
        path = f"{folder}/d.{kind}"
        with open(path, "wb") as file:
            file.write(data)
        table = f"CREATE TABLE t ({COLUMNS}) WITH ('connector'='filesystem', 'path'='{path}', 'format'='{kind}'{options});"
        for mode in ("batch", "streaming"):
            wanted = out if out is None or mode == "batch" else "".join(f"+I,{line}\n" for line in out.splitlines())
            header = "id,name,amount,at_\n" if mode == "batch" else "op,id,name,amount,at_\n"
            script = f"{table} SET 'execution.runtime-mode'='{mode}'; SET 'sql-client.execution.result-mode'='changelog'; SELECT * FROM t;"
            expect(f"{what}, {mode}", ["--format", "csv", "-e", script], code, None if wanted is None else header + wanted,
                   err if mode == "batch" else err.replace("t: 2", "Job 'query': 2"))


def jobs(folder):
    """A failing job is told once, with its place in the script, its expression, its row and its statement."""
    with open(folder + "/n.csv", "w") as file:
        file.write("10,2\n7,0\n")
    text = (f"CREATE TABLE src (id INT, d INT) WITH ('connector'='filesystem', 'path'='{folder}/n.csv', 'format'='csv');\n"
            "CREATE TABLE snk (q INT) WITH ('connector'='print');\n{}\nINSERT INTO snk\nSELECT id / d FROM src;\n")
    path = folder + "/job.sql"
    for mode in ("SET 'execution.runtime-mode'='batch';", "SET 'table.dml-sync'='true';", "SET 'table.dml-sync'='false';"):
        with open(path, "w") as file:
            file.write(text.replace("{}", mode))
        result = run(["--data", folder + "/data", "-f", path])
        err = result.stderr.decode()
        found = re.findall(r"for the row \(7, 0\): Division by zero: 7 / 0", err)
        if result.returncode != 1 or len(found) != 1 or f"{path}:4:1: " not in err or "id / d" not in err or "INSERT INTO snk" not in err:
            failures.append(f"a failing job, {mode}: {result.returncode} {err}")


def ends(folder):
    """Where output goes may be full, closed or gone; where tables go may be no place at all."""
    with open("/dev/full", "w") as full:
        result = subprocess.run([MILLRACE, "-e", "SELECT 1"], stdout=full, stderr=subprocess.PIPE, timeout=60)
    if result.returncode != 1 or b"No space left" not in result.stderr:
        failures.append(f"a full disk: {result}")
    shell = subprocess.run(["bash", "-c", f'"{MILLRACE}" -e "SELECT * FROM range(1000000)" | head -3; echo ${{PIPESTATUS[0]}}'],
                           capture_output=True, timeout=60)
    if not shell.stdout.endswith(b"\n141\n") or shell.stderr:
        failures.append(f"a reader that leaves: {shell}")
    shell = subprocess.run(["bash", "-c", f'"{MILLRACE}" -e "SELECT 1" >&-; echo $?'], capture_output=True, timeout=60)
    if shell.stdout != b"1\n" or b"Bad file descriptor" not in shell.stderr:
        failures.append(f"a closed stdout: {shell}")
    insert = "SET 'execution.runtime-mode'='batch'; INSERT INTO t VALUES (1);"
    for what, place in {"a place in /proc": "/proc/none/x", "a file as folder": "/dev/null/x"}.items():
        table = f"CREATE TABLE t (a INT) WITH ('connector'='filesystem', 'path'='{place}', 'format'='csv');"
        expect(what, ["--data", folder + "/data", "-e", table + insert], 1, None, place.rsplit("/", 1)[0])
        expect("a warehouse in " + what, ["-e", f"CREATE CATALOG c WITH ('type'='paimon', 'warehouse'='{place}')"], 1, None, place)
    expect("data in /proc", ["--data", "/proc/none", "-e", "CREATE TABLE t (a INT) WITH ('connector'='print');" + insert], 1, None, "/proc/none")


with tempfile.TemporaryDirectory() as scratch:
    arguments()
    scripts(scratch)
    records(scratch)
    jobs(scratch)
    ends(scratch)
if failures:
    sys.exit("\n".join(failures) + f"\n{len(failures)} failed")
print("PASS")
