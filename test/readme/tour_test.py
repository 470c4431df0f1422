#!/usr/bin/env python3
"""Goal: the tour in the README does what it says. Method: run its SQL block, compare with its text block."""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
MILLRACE = os.environ.get("MILLRACE", os.path.join(ROOT, "build/millrace"))

readme = open(os.path.join(ROOT, "README.md"), encoding="utf-8").read()
sql = re.search(r"```sql\n(.*?)```", readme, re.S).group(1)
expected = re.search(r"```text\n(.*?)```", readme, re.S).group(1)
with tempfile.TemporaryDirectory() as folder:
    script = os.path.join(folder, "tour.sql")
    with open(script, "w", encoding="utf-8") as file:
        file.write(sql)
    result = subprocess.run([MILLRACE, "--data", folder + "/data", "-D", f"TOUR={folder}/lake", "-f", script],
                            capture_output=True, text=True, timeout=60)
if result.returncode != 0 or result.stdout != expected:
    sys.exit(f"exit code {result.returncode}\n--- expected\n{expected}--- got\n{result.stdout}--- errors\n{result.stderr}")
print("PASS")
