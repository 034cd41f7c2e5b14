#!/bin/sh
# Installs a wheel where there is neither Rust nor Node, and runs a call through it. Usage: check_wheel.sh PYTHON WHEEL
set -e
python=$1
wheel=$2
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
"$python" -m venv "$directory/venv"
"$directory/venv/bin/pip" install --quiet --disable-pip-version-check "$wheel"
cd "$directory"
# Nothing else is found by name.
PATH="$directory/venv/bin" "$directory/venv/bin/python" - <<'END'
import trio

from tools.bench.one_to_many import SOURCES, measure

row = trio.run(measure, SOURCES[0], 3, 2.0)
print(row)
assert row.received.packets > 0, "nothing arrived"
assert row.received.lost == 0, "packets were lost on the way"
END
echo "$wheel carries a call"
