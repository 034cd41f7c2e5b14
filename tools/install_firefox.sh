#!/bin/sh
# The tests also drive a real Firefox. If there is none, this installs Debian's, which needs root and apt.
for name in "${FIREFOX:-}" firefox-esr firefox; do
  if [ -n "$name" ] && command -v "$name" >/dev/null; then
    exit 0
  fi
done

how='Install Firefox (Debian, Ubuntu: apt install firefox-esr), or name one in the variable FIREFOX.'
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "error: the tests need Firefox, and only root can install it with apt. $how" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq && apt-get install -qq -y --no-install-recommends firefox-esr fonts-dejavu-core >/dev/null || {
  echo "error: apt could not install Firefox. $how" >&2
  exit 1
}
