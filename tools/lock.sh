#!/bin/sh
# Pins the dependencies in pyproject.toml for every platform, with hashes and without the address of an index.
# Usage: lock.sh BIN, the folder of uv. It settles the test environment first: users then get what was tested.
set -e
bin=$1
compile() {
  "$bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header "$@"
}
compile pyproject.toml --extra loadtest --group dev --output-file requirements/dev.txt
compile pyproject.toml --constraints requirements/dev.txt --output-file requirements/runtime.txt
compile pyproject.toml --extra loadtest --constraints requirements/dev.txt --output-file requirements/loadtest.txt
compile --group audit --output-file requirements/audit.txt
compile --group build --constraints requirements/dev.txt --output-file requirements/build.txt
compile --group fuzz --constraints requirements/dev.txt --output-file requirements/fuzz.txt
