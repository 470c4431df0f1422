#!/bin/sh
# run.sh BUILD - every fuzz target for a while (FUZZ_RUNS inputs each, 300000).
set -e
cd "$1/bin"
for target in *_fuzz; do
  echo "$target"
  "./$target" "--runs=${FUZZ_RUNS:-300000}"
done
