#!/usr/bin/env bash
# Measures: every *_bench program of the sources, cold start, and the bank's demo. Prints a table per program and, last,
# one JSON object of the whole-program figures. Keep a result: bench/run.sh | tee bench/results/NAME.txt
#   BENCH_TRANSACTIONS (1000000)
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}
echo "machine: $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg), commit $(git rev-parse --short HEAD 2>/dev/null || echo none)"
mapfile -t benches < <(find src -name '*_bench.cc' -exec basename {} .cc \; | sort)
cmake --build "$build" -j "$(nproc)" --target millrace "${benches[@]}" >/dev/null
for bench in "${benches[@]}"; do
  echo; echo "== $bench"
  "$build/bin/$bench"
done

echo; echo "== whole program"
started=$(date +%s%N)
for _ in 1 2 3 4 5 6 7 8 9 10; do "$build/millrace" -e "SELECT 1" >/dev/null; done
cold_ms=$((($(date +%s%N) - started) / 10000000))
export BANK_TRANSACTIONS=${BENCH_TRANSACTIONS:-1000000}
demo=$(MILLRACE=$build/millrace examples/bank/run.sh | tail -n 8)
echo "$demo"
echo "$demo" | awk -v cold="$cold_ms" -v n="$BANK_TRANSACTIONS" '
  / transactions\/s/ { seconds = $1; rate = $3 }
  /peak memory/ { memory = $3; cpu = $6 }
  END { printf "{\"cold_start_ms\": %s, \"demo_transactions\": %s, \"demo_seconds\": %s, \"demo_transactions_per_second\": %s, \"demo_peak_mb\": %s, \"demo_cpu_seconds\": %s}\n",
        cold, n, seconds, rate, memory == "" ? "null" : memory, cpu == "" ? "null" : cpu }'
