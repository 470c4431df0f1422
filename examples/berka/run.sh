#!/usr/bin/env bash
# The books of a real bank: run.sh [stream|batch] BERKA_FOLDER [WAREHOUSE]
# In 'stream' the reports are continuous queries that follow the tables while they are loaded.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mode=${1:-stream}
export BERKA=${2:?usage: run.sh stream|batch BERKA_FOLDER [WAREHOUSE]}
export WAREHOUSE=${3:-$(mktemp -d)/warehouse}
millrace=${MILLRACE:-$here/../../build/millrace}
data=$(dirname "$WAREHOUSE")/.millrace
f() { for name in "$@"; do printf -- '-f\n%s\n' "$here/$name.sql"; done; }
case $mode in
  stream) mapfile -t scripts < <(f tables stream reports settle_load load drain show) ;;
  batch) mapfile -t scripts < <(f tables batch load reports show) ;;
  *) echo "run.sh: '$mode' is neither stream nor batch" >&2; exit 2 ;;
esac
exec "$millrace" --data "$data" "${scripts[@]}"
