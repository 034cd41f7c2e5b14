#!/bin/sh
# Cargo.lock contains the address of a registry, which must stay out of the repository. Cargo.pins holds the same
# versions and checksums without it. Usage: cargo_lock.sh write|pin [FOLDER]
#   write  make Cargo.lock from Cargo.pins, with the registry that cargo uses on this machine
#   pin    make Cargo.pins from the newest versions that Cargo.toml allows
set -e
cd "$(dirname "$0")/../${2:-sfu/dataplane}"
case $1 in
write)
  [ -f Cargo.lock ] || cargo generate-lockfile --quiet
  source=$(grep -m 1 '^source = ' Cargo.lock)
  awk -v source="$source" '/^checksum = / { print source } { print }' Cargo.pins >Cargo.lock.new
  mv Cargo.lock.new Cargo.lock
  ;;
pin)
  cargo update --quiet
  grep -v '^source = ' Cargo.lock >Cargo.pins
  ;;
*)
  echo "usage: cargo_lock.sh write|pin [FOLDER]" >&2
  exit 2
  ;;
esac
