#!/usr/bin/env bash
# Janus from Debian's packages, for the bench alone: unpacked into the directory given, with its libraries installed by
# apt.  The package itself is not installed, because that would start it as a service, now and at every boot.
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
	|| fail "Janus comes from Debian's or Ubuntu's packages, and this is neither; the bench runs without: make bench ARGS='--only gateway floor'"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif sudo -n true 2> /dev/null; then
		sudo "$@"
	else
		fail "the bench needs Janus' libraries and may not install them; as root: $*"
	fi
}

echo "getting Janus and the libraries it needs (the package's service is not installed) ..." >&2
apt-get -qq -o APT::Sandbox::User=root download janus 2> /dev/null || {
	as_root apt-get -qq update
	apt-get -qq -o APT::Sandbox::User=root download janus || fail "apt has no package janus"
}
cd - > /dev/null
rm -rf "$target"
mkdir -p "$target"
dpkg-deb -x "$work"/janus_*.deb "$target"
works || as_root env DEBIAN_FRONTEND=noninteractive \
	apt-get -qq -y --no-install-recommends satisfy "$(dpkg-deb -f "$work"/janus_*.deb Depends)" > /dev/null
works || fail "Janus is there, and does not start: $("$target/usr/bin/janus" --version 2>&1 | tail -1)"
