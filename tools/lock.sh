#!/bin/sh
# Pins what pyproject.toml asks for, for every platform, with hashes and without the address they came from.
set -e
bin=$1
compile() {
  "$bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
    --no-emit-index-url --no-emit-find-links "$@"
}
compile pyproject.toml --output-file requirements/runtime.txt
compile pyproject.toml --group build --constraints requirements/runtime.txt --output-file requirements/build.txt
compile pyproject.toml --group dev --constraints requirements/runtime.txt --output-file requirements/dev.txt
