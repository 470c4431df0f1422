#!/usr/bin/env bash
# Installs what the build and the tests need: Debian packages, DuckDB's library and headers, a Python venv.
#   tools/install.sh [build|test|engines]     'test' adds what only the tests and the comparing benchmarks use, 'engines'
#                                             Flink and Spark besides
# DuckDB and the tests' venv and jars go to ${MILLRACE_CACHE:-~/.cache/millrace}, shared by all checkouts; nothing is fetched twice.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-build}
cache=${MILLRACE_CACHE:-$HOME/.cache/millrace}
version=1.5.6
case $(uname -m) in
  x86_64) arch=x64 ;;
  aarch64) arch=arm64 ;;
  *) echo "install: no DuckDB library for $(uname -m); set DUCKDB_DIR to a folder with include/ and libduckdb.so" >&2; exit 1 ;;
esac

packages=(g++ cmake ninja-build ccache nlohmann-json3-dev libcli11-dev libzstd-dev libdeflate-dev libfmt-dev libedit-dev libsimdjson-dev libxxhash-dev libroaring-dev ca-certificates npm python3-pip python3-venv)
[ "$what" != build ] && packages+=(doctest-dev expect openjdk-17-jdk-headless maven)
missing=()
for p in "${packages[@]}"; do
  case $p in  # Tools that are often there without the Debian package.
    npm) command -v npm >/dev/null && continue ;;
    python3-pip) python3 -m pip --version >/dev/null 2>&1 && continue ;;
    openjdk-17-jdk-headless) command -v javac >/dev/null && continue ;;
    maven) command -v mvn >/dev/null && continue ;;
    python3-venv) python3 -c 'import ensurepip' >/dev/null 2>&1 && continue ;;
  esac
  dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
if [ ${#missing[@]} -gt 0 ]; then
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2>/dev/null; then as_root=(sudo -n)
    elif command -v sudo >/dev/null && [ -t 0 ] && [ -t 2 ]; then as_root=(sudo)  # It asks for the password.
    else as_root=(none); fi
  fi
  if [ "${as_root[*]}" = none ] || ! command -v apt-get >/dev/null; then
    echo "install: these Debian packages are missing, and there is no right to install them here: ${missing[*]}" >&2
    exit 1
  fi
  echo "install: installing the Debian packages ${missing[*]}"
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    echo "install: apt-get cannot install the missing packages ${missing[*]}: $(grep -m 1 '^E:' "$log" || tail -n 1 "$log")" >&2
    rm -f "$log"; exit 1
  fi
  rm -f "$log"
fi

duckdb=${DUCKDB_DIR:-$cache/duckdb-$version-$arch}
if [ ! -e "$duckdb/.done" ] && [ -z "${DUCKDB_DIR:-}" ]; then
  echo "install: fetching DuckDB $version into $duckdb"
  work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
  fetched() { [ "$1" = 0 ] || { echo "install: cannot fetch $2; without a network set DUCKDB_DIR to a folder with include/ and libduckdb.so of $version" >&2; exit 1; }; }
  status=0; (cd "$work" && npm pack --silent "@duckdb/node-bindings-linux-$arch@$version-r.1" >/dev/null && tar xzf duckdb-node-bindings-*.tgz) || status=$?
  fetched $status "@duckdb/node-bindings-linux-$arch from the npm registry"
  # pip builds metadata for a source distribution, hence the build isolation it makes by itself.
  status=0; (cd "$work" && python3 -m pip download -q --disable-pip-version-check --no-deps --no-binary duckdb "duckdb==$version" && tar xzf "duckdb-$version.tar.gz") || status=$?
  fetched $status "duckdb $version from PyPI"
  rm -rf "$duckdb"; mkdir -p "$duckdb/include/third_party"
  source="$work/duckdb-$version/external/duckdb"
  cp "$work/package/libduckdb.so" "$duckdb/"
  cp -r "$source/src/include/." "$duckdb/include/"
  cp -r "$source/extension/parquet/include" "$duckdb/include/parquet_extension"
  for p in parquet thrift fsst fastpforlib re2 utf8proc mbedtls zstd concurrentqueue; do
    cp -r "$source/third_party/$p" "$duckdb/include/third_party/"
  done
  cp "$source/LICENSE" "$duckdb/"
  touch "$duckdb/.done"
fi

if [ "$what" != build ]; then
  venv=$cache/venv
  if [ ! -e "$venv/.pypaimon-2.1.0" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check pypaimon==2.1.0
    touch "$venv/.pypaimon-2.1.0"
  fi
  jars=$cache/paimon-java-1.4.2  # Versions: the pom.
  if [ ! -e "$jars/.done" ]; then
    mvn -q -B -f test/interop/java/pom.xml dependency:copy-dependencies -DoutputDirectory="$jars"
    touch "$jars/.done"
  fi
  python3 test/continuous/prepare.py "$cache" || echo "install: no tables of TPC-H and TPC-DS; their tests are skipped" >&2
fi

if [ "$what" = engines ]; then
  flink=$cache/flink-1.20.3  # Versions: the pom.
  if [ ! -e "$flink/.done" ]; then
    mvn -q -B -f test/interop/engines/pom.xml dependency:copy-dependencies -DoutputDirectory="$flink"
    touch "$flink/.done"
  fi
  spark=$cache/spark-3.5
  if [ ! -e "$spark/.done" ]; then
    python3 -m venv "$spark"
    "$spark/bin/python" -m pip install -q --disable-pip-version-check pyspark==3.5.6
    mvn -q -B dependency:copy -Dartifact=org.apache.paimon:paimon-spark-3.5:0.9.0 -DoutputDirectory="$spark" -Dmdep.stripVersion=true
    mv "$spark/paimon-spark-3.5.jar" "$spark/paimon-spark.jar"
    touch "$spark/.done"
  fi
fi
