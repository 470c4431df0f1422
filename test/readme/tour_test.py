#!/usr/bin/env python3
"""Goal: what README and the guide show is what happens. Method: run each SQL block that an output block follows, and compare."""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
MILLRACE = os.environ.get("MILLRACE", os.path.join(ROOT, "build/millrace"))
PAIR = re.compile(r"```sql\n((?:(?!```).)*)```\s*(?:prints\s*)?```text\n(.*?)```", re.S)
failures, ran = [], 0

for page, variable, least in (("README.md", "TOUR", 1), ("docs/guide.md", "GUIDE", 5)):
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        blocks = PAIR.findall(file.read())
    if len(blocks) < least:
        failures.append(f"{page}: {len(blocks)} blocks with an output, at least {least} wanted")
    with tempfile.TemporaryDirectory() as folder:
        for number, (sql, expected) in enumerate(blocks, 1):
            script = os.path.join(folder, f"block{number}.sql")
            with open(script, "w", encoding="utf-8") as file:
                file.write(sql)
            result = subprocess.run([MILLRACE, "--data", f"{folder}/data{number}", "-D", f"{variable}={folder}/place", "-f", script],
                                    capture_output=True, text=True, timeout=60)
            ran += 1
            if result.returncode != 0 or result.stdout != expected:
                failures.append(f"{page}, block {number}: exit code {result.returncode}\n--- expected\n{expected}--- got\n{result.stdout}"
                                f"--- errors\n{result.stderr}")
if failures:
    sys.exit("\n".join(failures))
print(f"PASS {ran} blocks")
