#!/usr/bin/env bash
# The script of 2022, whole: table_store_2022.sh [RUNS]. Prints wall seconds, CPU seconds and peak memory of each run, start included.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
millrace=${MILLRACE:-$here/../build/millrace}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for ((i = 0; i < ${1:-5}; i++)); do
  rm -rf "$folder"/*
  python3 - "$millrace" --data "$folder/data" -D "WAREHOUSE=$folder/warehouse" -f "$here/../examples/table_store_2022/script.sql" <<'PY'
import os, resource, subprocess, sys, time
load, start = os.getloadavg()[0], time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
wall, used = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{wall:.2f} s wall, {used.ru_utime + used.ru_stime:.2f} s CPU, {used.ru_maxrss // 1024} MB peak, load before {load:.1f}")
PY
done
