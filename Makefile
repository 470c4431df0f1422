# The commands of the house. Each installs what it needs first; a second run with nothing changed takes seconds.
.PHONY: help build test test-interop test-continuous demo bench bench-store bench-stream soak fuzz format clean install asan tsan
JOBS ?= $(shell nproc)

help:  ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install:
	@tools/install.sh build

build: install  ## Build build/millrace (release)
	@cmake --preset release -DMILLRACE_TESTS=OFF > build.log.tmp 2>&1 || { cat build.log.tmp; rm -f build.log.tmp; exit 1; }; rm -f build.log.tmp
	@cmake --build build -j $(JOBS)

test:  ## Build and run every test
	@tools/install.sh test
	@cmake --preset release -DMILLRACE_TESTS=ON > build.log.tmp 2>&1 || { cat build.log.tmp; rm -f build.log.tmp; exit 1; }; rm -f build.log.tmp
	@cmake --build build -j $(JOBS)
	@ctest --test-dir build --output-on-failure -j $(JOBS)

test-interop:  ## Write and read one warehouse with Flink and Spark in turns (ENGINE=flink|spark)
	@tools/install.sh engines
	@cmake --preset release -DMILLRACE_TESTS=ON > build.log.tmp 2>&1 || { cat build.log.tmp; rm -f build.log.tmp; exit 1; }; rm -f build.log.tmp
	@cmake --build build -j $(JOBS) --target millrace
	@python3 test/interop/engines/engines.py build/millrace "$${MILLRACE_CACHE:-$$HOME/.cache/millrace}" $(if $(ENGINE),--engine $(ENGINE))

test-continuous:  ## Keep TPC-H's and TPC-DS's queries up to date, compare with batch after each of 20 steps (SEED=1, STEPS=20, ONLY=3,64)
	@tools/install.sh test
	@python3 test/continuous/prepare.py
	@cmake --preset release -DMILLRACE_TESTS=ON > build.log.tmp 2>&1 || { cat build.log.tmp; rm -f build.log.tmp; exit 1; }; rm -f build.log.tmp
	@cmake --build build -j $(JOBS) --target tpc_continuous
	@build/bin/tpc_continuous --steps $(or $(STEPS),20) --seed $(or $(SEED),1) $(if $(ONLY),--only $(ONLY)) "$${MILLRACE_CACHE:-$$HOME/.cache/millrace}/tpc-1.5.5"

demo: build  ## Run the bank: books flow in, reports stay up to date
	@examples/bank/run.sh

bench: build  ## Measure; prints a table and JSON
	@bench/run.sh

bench-store:  ## Measure the store beside Paimon Java and plain Parquet (ROWS=5000000, REPS=3, BUCKETS=1, ONLY=W1,W4)
	@tools/install.sh test
	@cmake --preset release -DMILLRACE_TESTS=ON > build.log.tmp 2>&1 || { cat build.log.tmp; rm -f build.log.tmp; exit 1; }; rm -f build.log.tmp
	@cmake --build build -j $(JOBS) --target store_bench store_bench_java
	@python3 bench/store/run.py --rows $(or $(ROWS),5000000) --reps $(or $(REPS),3) --buckets $(or $(BUCKETS),1) $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json $(JSON))

bench-stream:  ## Measure continuous queries: first output, latency, throughput beyond memory, restart (ROWS=1000000,10000000,100000000, MEMORY=1GB, STATE_ROWS=20000000, ONLY=latency)
	@tools/install.sh test
	@cmake --preset release -DMILLRACE_TESTS=ON > build.log.tmp 2>&1 || { cat build.log.tmp; rm -f build.log.tmp; exit 1; }; rm -f build.log.tmp
	@cmake --build build -j $(JOBS) --target millrace continuous_bench
	@python3 bench/stream/run.py $(if $(ROWS),--rows $(ROWS)) $(if $(MEMORY),--memory $(MEMORY)) $(if $(STATE_ROWS),--state-rows $(STATE_ROWS)) $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json $(JSON))

soak:  ## Random operations on tables, then kill pipelines for a quarter of an hour (OPERATIONS=20000, KILLS=200, SEED=...)
	@tools/install.sh test
	@cmake --preset release -DMILLRACE_TESTS=ON > build.log.tmp 2>&1 || { cat build.log.tmp; rm -f build.log.tmp; exit 1; }; rm -f build.log.tmp
	@cmake --build build -j $(JOBS) --target millrace table_test
	@MILLRACE_OPERATIONS=$(or $(OPERATIONS),20000) build/bin/table_test -tc="Random operations*,Damage*,whichever operation*,*survives a failure*"
	@MILLRACE=$(CURDIR)/build/millrace python3 test/crash/crash_test.py --kills $(or $(KILLS),200) $(if $(SEED),--seed $(SEED))

fuzz:  ## Damage the input of every decoder (FUZZ_RUNS=300000 inputs of each)
	@tools/install.sh test
	@cmake --preset release -DMILLRACE_TESTS=ON > build.log.tmp 2>&1 || { cat build.log.tmp; rm -f build.log.tmp; exit 1; }; rm -f build.log.tmp
	@cmake --build build -j $(JOBS) --target fuzz_targets
	@test/fuzz/run.sh build

asan tsan:  ## Build and run the unit tests under a sanitizer
	@tools/install.sh test
	@cmake --preset $@ >/dev/null && cmake --build build-$@ -j $(JOBS) && TSAN_OPTIONS="suppressions=$(CURDIR)/tools/tsan.supp $$TSAN_OPTIONS" ctest --test-dir build-$@ -L unit --output-on-failure -j $(JOBS)

format:  ## Format the sources
	@git ls-files 'src/*.h' 'src/*.cc' | xargs clang-format -i

clean:  ## Remove what was built
	@rm -rf build build-asan build-tsan build-dev
