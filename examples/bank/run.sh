#!/usr/bin/env bash
# The bank's day: its books flow into the lake, reports follow, the CRM's database follows them; then everything is checked.
#   BANK_TRANSACTIONS (1000000), BANK_ACCOUNTS (100000), BANK_CUSTOMERS (60000), BANK_SEED (42), BANK_FORMAT (rows | debezium-json)
#   BANK_RATE: transactions a second (0: as fast as they can be made; what the reports cannot take up at once then waits)
#   BANK_MEMORY: limit of all memory, such as 1GB (default: 80% of the machine's)
#   BANK_FOLDER: where the lake goes (default: a folder that is removed afterwards). A run that was killed goes on when it
#   is started again with the same folder; after a run that ended, use another.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
millrace=${MILLRACE:-$here/../../build/millrace}
if [ ! -x "$millrace" ]; then echo "run.sh: there is no $millrace; make build makes it, MILLRACE names another" >&2; exit 1; fi
export BANK_TRANSACTIONS=${BANK_TRANSACTIONS:-1000000} BANK_ACCOUNTS=${BANK_ACCOUNTS:-100000}
if [ -n "${BANK_FOLDER:-}" ]; then
  folder=$BANK_FOLDER
else
  folder=$(mktemp -d "${TMPDIR:-/tmp}/millrace-bank-XXXXXX")
  trap 'rm -rf "$folder"' EXIT
fi
mkdir -p "$folder"
export WAREHOUSE=$folder/warehouse REPORT=$folder/report.db
scripts=() memory=()
if [ -n "${BANK_MEMORY:-}" ]; then memory=(--memory "$BANK_MEMORY"); fi
for name in tables reports export load drain compare; do scripts+=(-f "$here/$name.sql"); done
# Shows how it goes, checks every output, and ends with the verdict.
python3 "$here/watch.py" "$millrace" "${memory[@]}" --data "$folder/jobs" "${scripts[@]}"
