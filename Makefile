# `make run` starts the gateway on a fresh checkout, `make test` checks everything. Both are quick when nothing changed.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .stamps
WEB := gateway/web
ORACLE := tests/ortc/oracle
DATAPLANE := sfu/dataplane
ARGS ?=

PACKAGES := gateway sfu protocol tools tests docs/examples
WEB_SOURCES := $(shell find $(WEB)/src $(WEB)/public $(WEB)/index.html $(WEB)/*.ts $(WEB)/tsconfig*.json -type f 2>/dev/null)

RUST_SOURCES := $(shell find $(DATAPLANE)/Cargo.toml $(DATAPLANE)/src -type f 2>/dev/null)
CARGO := cargo
# Where rustup puts it, for shells that do not know yet.
export PATH := $(PATH):$(HOME)/.cargo/bin
CORE := --manifest-path $(DATAPLANE)/Cargo.toml --no-default-features --locked --quiet

.PHONY: help run dev test lint types unit virtual-unit real-unit web-check rust-check fuzz wheel wheel-check soak mutations interop bench bench-leave bench-planes bench-core clean lock tools-present format

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

run: $(STAMPS)/runtime $(STAMPS)/dataplane $(STAMPS)/web  ## start the gateway at http://127.0.0.1:8080 (options: make run ARGS="--port 9000")
	exec $(BIN)/sfu-gateway serve $(ARGS)

dev: $(STAMPS)/dev $(STAMPS)/dataplane  ## what tests, benches and synthetic clients need, in .venv

# Two at a time, or it would take as long as all of it together.
test: $(STAMPS)/dev $(STAMPS)/dataplane $(STAMPS)/web $(STAMPS)/oracle $(STAMPS)/chromium $(STAMPS)/firefox  ## every check there is
	$(MAKE) --no-print-directory --jobs 2 real-unit virtual-unit lint types web-check rust-check wheel-check

# What must be there before anything can be made; a missing one is named with the way to get it.
tools-present:
	@tools/prerequisites.sh "$(PYTHON)"

$(STAMPS)/venv: | tools-present
	@mkdir -p $(STAMPS)
	$(PYTHON) -m venv $(VENV) || { echo "error: cannot make a virtual environment; on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

# Versions and checksums of what the packet path is built from.
$(DATAPLANE)/Cargo.lock: $(DATAPLANE)/Cargo.pins $(DATAPLANE)/Cargo.toml | tools-present
	tools/cargo_lock.sh write

$(STAMPS)/runtime: requirements/runtime.txt pyproject.toml $(STAMPS)/venv | $(DATAPLANE)/Cargo.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Installing built it; here it is built again when its sources changed, into the source tree.
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

# mediasoup's matching, with which the tests compare ours; its worker is not built.
$(STAMPS)/oracle: $(ORACLE)/package.json $(ORACLE)/package-lock.json | tools-present
	@mkdir -p $(STAMPS)
	npm --prefix $(ORACLE) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(STAMPS)/web: $(STAMPS)/web-modules $(WEB_SOURCES)
	npm --prefix $(WEB) run --silent build
	@touch $@

lint: $(STAMPS)/dev  ## style, structure, async pitfalls
	$(BIN)/ruff check $(PACKAGES)
	$(BIN)/ruff format --check $(PACKAGES)
	git ls-files --cached --others --exclude-standard '*.py' | xargs -P 2 -n 150 \
		$(BIN)/flake8-async --enable=ASYNC --startable-in-context-manager=run_endpoint
	$(BIN)/lint-imports

types: $(STAMPS)/dev  ## mypy --strict
	$(BIN)/mypy

web-check: $(STAMPS)/web  ## the browser client's types and unit tests
	npm --prefix $(WEB) run --silent check

rust-check: $(STAMPS)/venv $(DATAPLANE)/Cargo.lock  ## the packet path: clippy with warnings as errors, its own tests
	$(CARGO) fmt --manifest-path $(DATAPLANE)/Cargo.toml --check
	$(CARGO) clippy $(CORE) --all-targets -- --deny warnings
	PYO3_PYTHON=$(abspath $(BIN))/python $(CARGO) clippy --quiet --locked --manifest-path $(DATAPLANE)/Cargo.toml -- --deny warnings
	$(CARGO) test $(CORE)
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny --manifest-path $(DATAPLANE)/Cargo.toml --offline check --hide-inclusion-graph licenses bans sources; fi

fuzz: $(DATAPLANE)/Cargo.lock  ## ten million mutated datagrams at the packet path (FUZZ_DATAGRAMS=10000000)
	FUZZ_DATAGRAMS=$${FUZZ_DATAGRAMS:-10000000} $(CARGO) test $(CORE) --profile fuzz -- --ignored --nocapture million

wheel: $(STAMPS)/runtime $(STAMPS)/web  ## a wheel that needs neither Rust nor Node, in dist/
	$(BIN)/maturin build --quiet --release --locked --out dist

wheel-check: wheel  ## installs it where there is neither, and runs a call through it
	tools/check_wheel.sh "$(PYTHON)" "$$(ls -t $(abspath dist)/*.whl | head -1)"

unit: $(STAMPS)/dev $(STAMPS)/dataplane $(STAMPS)/web $(STAMPS)/oracle $(STAMPS)/chromium $(STAMPS)/firefox  ## all tests, the browser's too
	$(BIN)/pytest $(ARGS)

VIRTUAL := tests/guarantees tests/harness

virtual-unit: $(STAMPS)/dev $(STAMPS)/dataplane
	$(BIN)/pytest $(ARGS) -o cache_dir=.pytest_cache/virtual $(VIRTUAL)

real-unit: $(STAMPS)/dev $(STAMPS)/dataplane $(STAMPS)/web $(STAMPS)/oracle $(STAMPS)/chromium $(STAMPS)/firefox
	$(BIN)/pytest $(ARGS) $(VIRTUAL:%=--ignore=%)

soak: $(STAMPS)/dev $(STAMPS)/dataplane  ## anybody does anything, with new scripts, for a long time (SOAK_EXAMPLES=100000)
	SOAK_EXAMPLES=$${SOAK_EXAMPLES:-100000} $(BIN)/pytest tests/guarantees/test_random_scripts.py $(ARGS)

mutations: $(STAMPS)/dev $(STAMPS)/dataplane  ## break each guarantee on purpose and see which test notices, into docs/guarantees.md
	$(BIN)/python -m tools.mutations --write docs/guarantees.md $(ARGS)

# Clients whose tools are missing are left out, and named.
interop: $(STAMPS)/dev $(STAMPS)/dataplane  ## clients that others wrote against a gateway, into docs/interop.md (some 5 minutes)
	@mkdir -p $(STAMPS)/interop
	$(BIN)/python -m tools.interop --write docs/interop.md $(ARGS)

# Without Janus or Rust it goes on without what they are for, and says so.
bench: $(STAMPS)/dev $(STAMPS)/dataplane  ## our gateway beside Janus and beside what is possible, into docs/performance.md (some 12 minutes, root)
	@tools/bench/install_janus.sh $(STAMPS)/janus || echo "going on without Janus" >&2
	$(BIN)/python -m tools.bench.beside $(if $(ARGS),$(ARGS),--write docs/performance.md)

bench-core: $(DATAPLANE)/Cargo.lock  ## what the packet path does for one copy of a packet, all but the sending
	$(CARGO) bench $(CORE)

bench-planes: $(STAMPS)/dev $(STAMPS)/dataplane  ## how much more two planes forward than one, into docs/performance.md (some minutes, root)
	$(BIN)/python -m tools.bench.planes --write docs/performance.md $(ARGS)

bench-leave: $(STAMPS)/dev $(STAMPS)/dataplane  ## how soon others know that somebody left, into docs/guarantees.md (some minutes)
	$(BIN)/python -m tools.bench.leave --write docs/guarantees.md $(ARGS)

$(STAMPS)/chromium:
	@mkdir -p $(STAMPS)
	tools/install_chromium.sh
	@touch $@

$(STAMPS)/firefox: | $(STAMPS)/chromium  # apt does one thing at a time
	@mkdir -p $(STAMPS)
	tools/install_firefox.sh
	@touch $@

format: $(STAMPS)/dev  ## put the code in shape
	$(BIN)/ruff check --fix $(PACKAGES)
	$(BIN)/ruff format $(PACKAGES)
	$(CARGO) fmt --manifest-path $(DATAPLANE)/Cargo.toml

lock: $(STAMPS)/dev  ## pin the dependencies anew
	tools/lock.sh $(BIN)
	tools/cargo_lock.sh pin
	tools/cargo_lock.sh pin tools/interop/str0m

clean:  ## back to a fresh checkout
	rm -rf $(VENV) $(STAMPS) $(ORACLE)/node_modules $(WEB)/node_modules $(WEB)/dist dist .*_cache .hypothesis
	rm -rf $(DATAPLANE)/target $(DATAPLANE)/Cargo.lock sfu/_dataplane.*.so
	rm -rf tools/interop/*/node_modules tools/interop/str0m/Cargo.lock
	find $(PACKAGES) -name __pycache__ -prune -exec rm -rf {} +
