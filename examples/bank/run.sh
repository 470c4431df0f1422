#!/usr/bin/env bash
# The bank's day: its books flow into the lake, reports follow, the CRM's database follows them; then everything is checked.
#   BANK_TRANSACTIONS (1000000), BANK_ACCOUNTS (100000), BANK_CUSTOMERS (60000), BANK_SEED (42), BANK_FORMAT (rows | debezium-json)
#   BANK_FOLDER: where the lake goes (default: a folder that is removed afterwards). A run that was killed goes on when it
#   is started again with the same folder; after a run that ended, use another.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
millrace=${MILLRACE:-$here/../../build/millrace}
export BANK_TRANSACTIONS=${BANK_TRANSACTIONS:-1000000}
if [ -n "${BANK_FOLDER:-}" ]; then
  folder=$BANK_FOLDER
else
  folder=${TMPDIR:-/tmp}/millrace-bank-$$
  trap 'rm -rf "$folder"' EXIT
fi
mkdir -p "$folder"
export WAREHOUSE=$folder/warehouse REPORT=$folder/report.db
scripts=()
for name in tables reports export load drain compare; do scripts+=(-f "$here/$name.sql"); done
timer=()
[ -x /usr/bin/time ] && timer=(/usr/bin/time -f '%M %U %S' -o "$folder/usage")
started=$(date +%s.%N)
status=0
"${timer[@]}" "$millrace" --data "$folder/jobs" "${scripts[@]}" | tee "$folder/output" || status=$?
ended=$(date +%s.%N)

verdict=0
check() { if [ "$2" = 0 ]; then echo "PASS  $1"; else echo "FAIL  $1"; verdict=1; fi; }
# Every state of the books that was ever shown: how many, and how many of them with a difference.
books=$(grep -c '^books.*+[IU]\[' "$folder/output" || true)
wrong=$(grep '^books.*+[IU]\[' "$folder/output" | grep -cv ', 0\.00\]$' || true)
echo
check "the program ended well (exit code $status)" "$status"
check "the books balance in each of $books outputs ($wrong do not)" "$([ "$books" -gt 0 ] && [ "$wrong" = 0 ]; echo $?)"
for name in 'exported report' summaries rows; do
  check "$name equal to batch" "$(grep -q "$name.*PASS" "$folder/output"; echo $?)"
done
awk -v from="$started" -v to="$ended" -v n="$BANK_TRANSACTIONS" 'BEGIN {
  printf "%.1f s, %.0f transactions/s, start and checks included\n", to - from, n / (to - from) }'
if [ -s "$folder/usage" ]; then
  tail -1 "$folder/usage" | awk '{ printf "peak memory %.0f MB, CPU %.1f s\n", $1 / 1024, $2 + $3 }'
fi
exit $verdict
