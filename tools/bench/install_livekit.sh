#!/usr/bin/env bash
# Builds LiveKit's server from its Go module and gets its client library, both into a directory.
set -euo pipefail

target=$(realpath -m "$1")
server=v1.13.5
client=2.23.0

fail() {
	echo "error: $*" >&2
	exit 1
}

works() {
	[[ "$("$target/server" --version 2> /dev/null || true)" == *"${server#v}"* ]] \
		&& grep -q "\"version\": \"$client\"" "$target/node_modules/livekit-client/package.json" 2> /dev/null
}

works && exit 0
command -v go > /dev/null || fail "LiveKit needs Go; run the bench without it: --only gateway"
command -v npm > /dev/null || fail "LiveKit's client library needs npm"
mkdir -p "$target"
echo "building LiveKit $server (some minutes) ..." >&2
GOBIN="$target" go install "github.com/livekit/livekit-server/cmd/server@$server" \
	|| fail "LiveKit's server cannot be built here"
npm install --prefix "$target" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error \
	"livekit-client@$client" || fail "npm has no livekit-client $client"
works || fail "LiveKit is built, but does not start"
