#!/bin/sh
# The tests check the alert rules with promtool. If there is none, this takes Debian's out of its package, which needs apt.
# It does not install the package, which would run a Prometheus. Usage: install_promtool.sh FOLDER
if command -v promtool >/dev/null || [ -x "$1/promtool" ]; then
  exit 0
fi

how='Install Prometheus (Debian, Ubuntu: apt install prometheus).'
if ! command -v apt-get >/dev/null; then
  echo "error: the tests need promtool, and this can fetch it with apt only. $how" >&2
  exit 1
fi
mkdir -p "$1"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(apt-get update -qq || true; cd "$folder" && apt-get download -qq prometheus && dpkg-deb -x ./*.deb unpacked) >/dev/null 2>&1 &&
  cp "$folder/unpacked/usr/bin/promtool" "$1/" || {
  echo "error: apt could not fetch promtool. $how" >&2
  exit 1
}
