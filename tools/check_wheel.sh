#!/bin/sh
# Checks a wheel in a virtual environment of its own, without Rust, Node or the checkout: its files, what it installs,
# its commands, and a call through it. Usage: check_wheel.sh PYTHON WHEEL
set -e
python=$1
wheel=$2
directory=$(mktemp -d)
gateway=
cleanup() {
  [ -z "$gateway" ] || kill "$gateway" 2>/dev/null || true
  rm -rf "$directory"
}
trap cleanup EXIT

fail() {
  echo "error: $wheel: $1" >&2
  exit 1
}

"$python" -m zipfile --list "$wheel" >"$directory/files"
for unwanted in 'tools/bench/' 'tools/interop/' 'tools/mutations/' 'tools/[a-z_]*\.(js|sh)' 'tools/[a-z]+\.py' 'tests/' \
  'gateway/web/src/' 'sfu/dataplane/src/'; do
  if grep -E "^$unwanted" "$directory/files"; then fail "holds files of the checkout alone"; fi
done
for wanted in gateway/web/dist/index.html sfu/_dataplane protocol/schema.json tools/full/__main__.py \
  tools/harness/world.py tools/light/client.py tools/loadtest/cli.py 'trio_sfu-[^/]*/sboms/python.cdx.json' \
  'trio_sfu-[^/]*/sboms/page.cdx.json' 'trio_sfu-[^/]*/sboms/[a-z_-]*.cyclonedx.json'; do
  grep -q "^$wanted" "$directory/files" || fail "has no $wanted"
done

"$python" -m venv "$directory/venv"
install() {
  "$directory/venv/bin/pip" install --quiet --disable-pip-version-check "$@"
}
install "$wheel"
cd "$directory"
# No other program is found by name.
PATH="$directory/venv/bin:/usr/bin:/bin"
for package in aioice aiortc av pylibsrtp; do
  if python -c "import $package" 2>/dev/null; then fail "brings $package, which the gateway does not need"; fi
done
sfu-gateway --version
sfu-gateway serve --help >/dev/null
if sfu-loadtest http://127.0.0.1:1 2>message; then fail "sfu-loadtest ran without its extra"; fi
grep -qF "pip install 'trio-sfu[loadtest]'" message || fail "sfu-loadtest does not name its extra: $(cat message)"

install "$wheel[loadtest]"
python -c "import tools.harness"
sfu-gateway serve --port 0 --media-port 0 --log-format json 2>log &
gateway=$!
address=
for _ in $(seq 100); do
  address=$(sed -n 's/.*"url": *"\([^"]*\)".*/\1/p' log | head -1)
  [ -z "$address" ] || break
  sleep 0.1
done
[ -n "$address" ] || fail "the gateway does not listen: $(cat log)"
sfu-loadtest "$address" --publishers 1 --subscribers 3 --video --duration 2s --max-loss 0 --max-silent-streams 0 \
  --max-roster-errors 0 || [ $? = 3 ] || fail "a call through it failed"
kill "$gateway"
wait "$gateway" || fail "the gateway did not stop in order: $(cat log)"
gateway=
echo "$wheel carries a call"
