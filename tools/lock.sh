#!/bin/sh
# Pins what pyproject.toml asks for, for every platform, with hashes and without the address they came from.
# What the tests need is settled first, so that what runs is what was tested.
set -e
bin=$1
compile() {
  "$bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header "$@"
}
compile pyproject.toml --group dev --output-file requirements/dev.txt
compile pyproject.toml --constraints requirements/dev.txt --output-file requirements/runtime.txt
compile --group build --constraints requirements/dev.txt --output-file requirements/build.txt
