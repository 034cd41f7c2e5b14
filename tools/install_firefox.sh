#!/bin/sh
# The tests drive a real Firefox, too. Takes the one that is there, else installs Debian's when it may.
for name in "${FIREFOX:-}" firefox-esr firefox; do
  if [ -n "$name" ] && command -v "$name" >/dev/null; then
    exit 0
  fi
done

how='Install Firefox (Debian, Ubuntu: apt install firefox-esr), or name one in the variable FIREFOX.'
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "error: the tests need Firefox, and this is not root on a system with apt. $how" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq && apt-get install -qq -y --no-install-recommends firefox-esr fonts-dejavu-core >/dev/null || {
  echo "error: apt could not install Firefox. $how" >&2
  exit 1
}
