#!/usr/bin/env bash
# Unpacks Janus from Debian's package into a directory, and lets apt install its libraries, as root.  The package itself
# stays uninstalled, because installing it would start a service, now and at every boot.
set -euo pipefail

target=$1

fail() {
	echo "error: $*" >&2
	exit 1
}

works() {
	# It prints its version and then says that it has no such option.
	[[ -x "$target/usr/bin/janus" && "$("$target/usr/bin/janus" --version 2>&1 || true)" == *"Janus version"* ]]
}

works && exit 0
command -v apt-get > /dev/null && command -v dpkg-deb > /dev/null \
	|| fail "Janus comes from the packages of Debian and Ubuntu, and this system is neither; run the bench without it: make bench ARGS='--only gateway floor'"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "getting Janus and its libraries (without installing its service) ..." >&2
download() {
	(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download janus)
}
download 2> /dev/null || { apt-get -qq update && download; } || fail "apt has no package janus, or needs root"
rm -rf "$target"
mkdir -p "$target"
dpkg-deb -x "$work"/janus_*.deb "$target"
works || DEBIAN_FRONTEND=noninteractive \
	apt-get -qq -y --no-install-recommends satisfy "$(dpkg-deb -f "$work"/janus_*.deb Depends)" > /dev/null
works || fail "Janus is unpacked, but does not start: $("$target/usr/bin/janus" --version 2>&1 | tail -1)"
