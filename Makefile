# `make run` starts the gateway on a fresh checkout, `make test` runs every check. Both are quick if nothing has changed.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .stamps
SBOM := dist/sbom
WEB := gateway/web
ORACLE := tests/ortc/oracle
DATAPLANE := sfu/dataplane
ARGS ?=

PACKAGES := gateway sfu protocol tools tests docs/examples
WEB_SOURCES := $(shell find $(WEB)/src $(WEB)/public $(WEB)/index.html $(WEB)/*.ts $(WEB)/tsconfig*.json -type f 2>/dev/null)

RUST_SOURCES := $(shell find $(DATAPLANE)/Cargo.toml $(DATAPLANE)/src -type f 2>/dev/null)
CARGO := cargo
# rustup installs cargo here. Shells that are older than the installation do not know it yet.
export PATH := $(PATH):$(HOME)/.cargo/bin
CORE := --manifest-path $(DATAPLANE)/Cargo.toml --no-default-features --locked --quiet

.PHONY: help run dev test lint types unit virtual-unit real-unit other-unit alone-unit web-check rust-check fuzz wheel wheel-check sbom audit scripts soak mutations interop estimator bench bench-leave bench-watch bench-planes bench-quality bench-bandwidth bench-paths bench-truth bench-core clean lock tools-present format

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

run: $(STAMPS)/runtime $(STAMPS)/dataplane $(STAMPS)/web  ## start the gateway at http://127.0.0.1:8080 (with options: make run ARGS="--port 9000")
	exec $(BIN)/sfu-gateway serve $(ARGS)

dev: $(STAMPS)/dev $(STAMPS)/dataplane  ## install the dependencies of tests, benches and synthetic clients into .venv

# Two checks run at a time, which about halves the time.
test: $(STAMPS)/dev $(STAMPS)/dataplane $(STAMPS)/web $(STAMPS)/oracle $(STAMPS)/chromium $(STAMPS)/firefox $(STAMPS)/coturn $(STAMPS)/prometheus  ## run every check
	$(MAKE) --no-print-directory --jobs 2 real-unit virtual-unit other-unit lint types web-check rust-check wheel-check
	$(MAKE) --no-print-directory alone-unit

# Checks for the tools that every build needs, and says how to get a missing one.
tools-present:
	@tools/prerequisites.sh "$(PYTHON)"

$(STAMPS)/venv: | tools-present
	@mkdir -p $(STAMPS)
	$(PYTHON) -m venv $(VENV) || { echo "error: cannot make a virtual environment; on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

# The versions and checksums of the packet path's dependencies.
$(DATAPLANE)/Cargo.lock: $(DATAPLANE)/Cargo.pins $(DATAPLANE)/Cargo.toml | tools-present
	tools/cargo_lock.sh write

$(STAMPS)/runtime: requirements/runtime.txt pyproject.toml $(STAMPS)/venv | $(DATAPLANE)/Cargo.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# The installation above builds the extension once. After a change of the crate, this target builds it again.
$(STAMPS)/dataplane: $(RUST_SOURCES) $(DATAPLANE)/Cargo.lock $(STAMPS)/runtime
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --quiet --release --locked --skip-install
	@touch $@

$(STAMPS)/dev: requirements/dev.txt $(STAMPS)/runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(STAMPS)/web-modules: $(WEB)/package.json $(WEB)/package-lock.json | tools-present
	@mkdir -p $(STAMPS)
	npm --prefix $(WEB) ci --no-audit --no-fund --loglevel=error
	@touch $@

# The tests compare our matching of media parameters with mediasoup's. They do not need its worker.
$(STAMPS)/oracle: $(ORACLE)/package.json $(ORACLE)/package-lock.json | tools-present
	@mkdir -p $(STAMPS)
	npm --prefix $(ORACLE) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(STAMPS)/web: $(STAMPS)/web-modules $(WEB_SOURCES)
	npm --prefix $(WEB) run --silent build
	@touch $@

lint: $(STAMPS)/dev  ## check style, structure and async pitfalls
	$(BIN)/ruff check $(PACKAGES)
	$(BIN)/ruff format --check $(PACKAGES)
	git ls-files --cached --others --exclude-standard '*.py' | xargs -P 2 -n 150 \
		$(BIN)/flake8-async --enable=ASYNC --startable-in-context-manager=run_endpoint,stay
	$(BIN)/lint-imports
	$(BIN)/python -m tools.check_sizes

types: $(STAMPS)/dev  ## check types with mypy --strict
	$(BIN)/mypy

web-check: $(STAMPS)/web  ## check the browser client's types and run its unit tests
	npm --prefix $(WEB) run --silent check

rust-check: $(STAMPS)/venv $(DATAPLANE)/Cargo.lock  ## check the packet path with clippy (warnings are errors) and run its tests
	$(CARGO) fmt --manifest-path $(DATAPLANE)/Cargo.toml --check
	$(CARGO) clippy $(CORE) --all-targets -- --deny warnings
	PYO3_PYTHON=$(abspath $(BIN))/python $(CARGO) clippy --quiet --locked --manifest-path $(DATAPLANE)/Cargo.toml -- --deny warnings
	$(CARGO) test $(CORE)
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny --manifest-path $(DATAPLANE)/Cargo.toml --offline check --hide-inclusion-graph licenses bans sources; fi

FUZZER := $(DATAPLANE)/fuzz
# The compiler notes which edges of the code an input reaches. These are the options of cargo-fuzz, without a sanitizer.
FUZZ_FLAGS := --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares
FUZZ_SECONDS ?= 120

$(FUZZER)/Cargo.lock: $(FUZZER)/Cargo.pins $(FUZZER)/Cargo.toml | tools-present
	tools/cargo_lock.sh write $(FUZZER)

$(STAMPS)/fuzzer: requirements/fuzz.txt $(STAMPS)/dev
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	@touch $@

# With an explicit target, cargo keeps the options away from build scripts.
fuzz: $(STAMPS)/fuzzer $(STAMPS)/dataplane $(FUZZER)/Cargo.lock  ## look for input that breaks a promise: all targets (FUZZ_SECONDS=120 each), then ten million datagrams (FUZZ_DATAGRAMS=10000000)
	RUSTFLAGS="$(FUZZ_FLAGS)" $(CARGO) build --quiet --release --locked --manifest-path $(FUZZER)/Cargo.toml --target $$(rustc -vV | sed -n 's/host: //p') --target-dir $(FUZZER)/target
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(ARGS)
	FUZZ_DATAGRAMS=$${FUZZ_DATAGRAMS:-10000000} $(CARGO) test $(CORE) --profile fuzz -- --ignored --nocapture million

# The tools for audits and SBOMs have a virtual environment of their own.
AUDIT := $(STAMPS)/audit-venv/bin
$(STAMPS)/audit: requirements/audit.txt | tools-present
	@mkdir -p $(STAMPS)
	$(PYTHON) -m venv $(STAMPS)/audit-venv
	$(AUDIT)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.txt
	@touch $@

$(SBOM)/python.cdx.json: requirements/runtime.txt pyproject.toml $(STAMPS)/audit
	@mkdir -p $(SBOM)
	PYTHONWARNINGS=ignore $(AUDIT)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		--output-format JSON --output-file $@ requirements/runtime.txt

$(SBOM)/page.cdx.json: $(WEB)/package-lock.json | tools-present
	@mkdir -p $(SBOM)
	npm --prefix $(WEB) sbom --sbom-format cyclonedx --package-lock-only --omit dev >$@.new
	@mv $@.new $@

wheel: $(STAMPS)/runtime $(STAMPS)/web $(SBOM)/python.cdx.json $(SBOM)/page.cdx.json  ## build a wheel in dist/, which needs neither Rust nor Node to install
	$(BIN)/maturin build --quiet --release --locked --out dist --sbom-include $(SBOM)/python.cdx.json --sbom-include $(SBOM)/page.cdx.json

# maturin lists the crates that are in the wheel.
sbom: wheel  ## list all that is inside, as CycloneDX: dist/sbom/ has Python packages, npm packages and Rust crates (the wheel has them, too)
	@rm -rf $(SBOM)/wheel
	$(PYTHON) -m zipfile -e "$$(ls -t dist/*.whl | head -1)" $(SBOM)/wheel
	@mv $(SBOM)/wheel/*/sboms/*.cyclonedx.json $(SBOM)/
	@rm -rf $(SBOM)/wheel
	@ls $(SBOM)/*

audit: $(STAMPS)/audit  ## look for known vulnerabilities and forbidden licences in the dependencies, and say what could not be checked
	$(PYTHON) -m tools.audit $(AUDIT)/pip-audit

wheel-check: wheel  ## install the wheel where neither Rust nor Node exists, and try it
	tools/check_wheel.sh "$(PYTHON)" "$$(ls -t $(abspath dist)/*.whl | head -1)"

unit: $(STAMPS)/dev $(STAMPS)/dataplane $(STAMPS)/web $(STAMPS)/oracle $(STAMPS)/chromium $(STAMPS)/firefox $(STAMPS)/coturn $(STAMPS)/prometheus  ## run all Python tests, including those in browsers (some: ARGS="tests/media -k silent")
	$(BIN)/pytest $(ARGS)

# Three parts of the same length or so, each in a process of its own: tests under virtual time, those with browsers,
# emulated networks and many processes, and all others.
VIRTUAL := tests/guarantees tests/harness
REAL := tests/bench tests/browser tests/chaos tests/interop tests/loadtest

virtual-unit: $(STAMPS)/dev $(STAMPS)/dataplane
	$(BIN)/pytest $(ARGS) -o cache_dir=.pytest_cache/virtual $(VIRTUAL)

real-unit: $(STAMPS)/dev $(STAMPS)/dataplane $(STAMPS)/web $(STAMPS)/oracle $(STAMPS)/chromium $(STAMPS)/firefox $(STAMPS)/coturn
	$(BIN)/pytest $(ARGS) -m "not alone" -o cache_dir=.pytest_cache/real $(REAL)

# Those that fail beside other work, for a known reason (docs/paths.md).
alone-unit: $(STAMPS)/dev $(STAMPS)/dataplane $(STAMPS)/web $(STAMPS)/firefox
	$(BIN)/pytest $(ARGS) -m alone -o cache_dir=.pytest_cache/alone $(REAL)

other-unit: $(STAMPS)/dev $(STAMPS)/dataplane $(STAMPS)/web $(STAMPS)/oracle $(STAMPS)/chromium $(STAMPS)/firefox $(STAMPS)/coturn $(STAMPS)/prometheus
	$(BIN)/pytest $(ARGS) $(VIRTUAL:%=--ignore=%) $(REAL:%=--ignore=%)

scripts: $(STAMPS)/dev $(STAMPS)/dataplane  ## run random scripts of many clients for a long time (SCRIPTS=100000)
	SCRIPTS=$${SCRIPTS:-100000} $(BIN)/pytest tests/guarantees/test_random_scripts.py $(ARGS)

soak: $(STAMPS)/dev $(STAMPS)/dataplane  ## attack a gateway while people talk, and write what they notice into docs/security.md (10 minutes; shorter: ARGS="--minutes 5")
	$(BIN)/python -m tools.soak --write docs/security.md $(ARGS)

mutations: $(STAMPS)/dev $(STAMPS)/dataplane  ## break each guarantee on purpose, and write the tests that notice into docs/guarantees.md
	$(BIN)/python -m tools.mutations --write docs/guarantees.md $(ARGS)

# It skips clients whose tools are missing, and says so.
interop: $(STAMPS)/dev $(STAMPS)/dataplane  ## try other people's WebRTC stacks, and write the results into docs/interop.md (about 5 minutes)
	@mkdir -p $(STAMPS)/interop
	$(BIN)/python -m tools.interop --write docs/interop.md $(ARGS)

# Without Janus or Rust it leaves out the parts that need them, and says so.
bench: $(STAMPS)/dev $(STAMPS)/dataplane  ## compare with Janus and with the least possible cost, and write the results into docs/performance.md (about 12 minutes, root)
	@tools/bench/install_janus.sh $(STAMPS)/janus || echo "going on without Janus" >&2
	$(BIN)/python -m tools.bench.beside $(if $(ARGS),$(ARGS),--write docs/performance.md)

bench-core: $(DATAPLANE)/Cargo.lock  ## measure the time in which the packet path makes one copy of a packet, without system calls
	$(CARGO) bench $(CORE)

# Every scenario of the bandwidth estimator with twenty seeds, under virtual time.
estimator: $(STAMPS)/dev $(DATAPLANE)/Cargo.lock  ## check the bandwidth estimator on emulated paths, and write its figures and curves into docs/quality.md (some minutes)
	@mkdir -p $(STAMPS)/estimator
	BANDWIDTH_FIGURES=$(abspath $(STAMPS)/estimator) $(CARGO) test $(CORE) -- --ignored twenty_seeds
	$(BIN)/python -m tools.bench.estimator $(STAMPS)/estimator --write docs/quality.md

bench-planes: $(STAMPS)/dev $(STAMPS)/dataplane  ## compare two planes with one, and write the results into docs/performance.md (some minutes, root)
	$(BIN)/python -m tools.bench.planes --write docs/performance.md $(ARGS)

bench-leave: $(STAMPS)/dev $(STAMPS)/dataplane  ## measure how soon others learn of a leave, and write the results into docs/guarantees.md (some minutes)
	$(BIN)/python -m tools.bench.leave --write docs/guarantees.md $(ARGS)

bench-watch: $(STAMPS)/dev $(STAMPS)/dataplane  ## measure how soon watchers learn of a leave, and what they cost, and write the results into docs/guarantees.md (some minutes)
	$(BIN)/python -m tools.bench.watch --write docs/guarantees.md $(ARGS)

# Without Janus, Go or npm it leaves out the servers that need them, and says so.
bench-quality: $(STAMPS)/dev $(STAMPS)/dataplane $(STAMPS)/web $(STAMPS)/chromium $(STAMPS)/firefox  ## measure calls of real browsers on bad networks, and write the results into docs/quality.md, then bench-bandwidth (two hours, root)
	@tools/bench/install_janus.sh $(STAMPS)/janus || echo "going on without Janus" >&2
	@tools/bench/install_livekit.sh $(STAMPS)/livekit || echo "going on without LiveKit" >&2
	$(BIN)/python -m tools.bench.quality $(if $(ARGS),$(ARGS),--write docs/quality.md)
	$(if $(ARGS),,$(MAKE) --no-print-directory bench-bandwidth)

bench-bandwidth: $(STAMPS)/dev $(STAMPS)/dataplane $(STAMPS)/web $(STAMPS)/chromium  ## measure calls of real browsers on links whose rates change, and write the results into docs/quality.md (about 70 minutes, root)
	@tools/bench/install_janus.sh $(STAMPS)/janus || echo "going on without Janus" >&2
	@tools/bench/install_livekit.sh $(STAMPS)/livekit || echo "going on without LiveKit" >&2
	$(BIN)/python -m tools.bench.bandwidth $(if $(ARGS),$(ARGS),--write docs/quality.md)

# Without Go or npm it leaves LiveKit out, and says so.
bench-paths: $(STAMPS)/dev $(STAMPS)/dataplane $(STAMPS)/web $(STAMPS)/chromium $(STAMPS)/firefox  ## measure how soon calls of real browsers are back when the network changes, and write the results into docs/paths.md (about 40 minutes, root)
	@tools/bench/install_livekit.sh $(STAMPS)/livekit || echo "going on without LiveKit" >&2
	$(BIN)/python -m tools.bench.paths $(if $(ARGS),$(ARGS),--write docs/paths.md)

bench-truth: $(STAMPS)/dev $(STAMPS)/dataplane $(STAMPS)/web $(STAMPS)/chromium  ## measure how soon others learn that somebody is gone, and write the results into README.md (about half an hour, root)
	@tools/bench/install_janus.sh $(STAMPS)/janus || echo "going on without Janus" >&2
	@tools/bench/install_livekit.sh $(STAMPS)/livekit || echo "going on without LiveKit" >&2
	$(BIN)/python -m tools.bench.paths.truth $(if $(ARGS),$(ARGS),--write README.md)

$(STAMPS)/chromium:
	@mkdir -p $(STAMPS)
	tools/install_chromium.sh
	@touch $@

$(STAMPS)/firefox: | $(STAMPS)/chromium  # one after the other, since apt has a lock
	@mkdir -p $(STAMPS)
	tools/install_firefox.sh
	@touch $@

$(STAMPS)/coturn: | $(STAMPS)/firefox
	@mkdir -p $(STAMPS)
	tools/install_coturn.sh
	@touch $@

$(STAMPS)/prometheus: | $(STAMPS)/coturn
	tools/install_promtool.sh $(STAMPS)/promtool
	@touch $@

format: $(STAMPS)/dev  ## format the code
	$(BIN)/ruff check --fix $(PACKAGES)
	$(BIN)/ruff format $(PACKAGES)
	$(CARGO) fmt --manifest-path $(DATAPLANE)/Cargo.toml

lock: $(STAMPS)/dev  ## pin the newest allowed dependencies
	tools/lock.sh $(BIN)
	tools/cargo_lock.sh pin
	tools/cargo_lock.sh pin tools/interop/str0m
	tools/cargo_lock.sh pin $(FUZZER)

clean:  ## remove everything that make has built or installed
	rm -rf $(VENV) $(STAMPS) $(ORACLE)/node_modules $(WEB)/node_modules $(WEB)/dist dist .*_cache .hypothesis
	rm -rf $(DATAPLANE)/target $(DATAPLANE)/Cargo.lock $(FUZZER)/target $(FUZZER)/Cargo.lock sfu/_dataplane.*.so
	rm -rf tools/interop/*/node_modules tools/interop/str0m/Cargo.lock
	find $(PACKAGES) -name __pycache__ -prune -exec rm -rf {} +
