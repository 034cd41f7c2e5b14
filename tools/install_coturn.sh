#!/bin/sh
# The tests relay media through a real TURN server. If there is none, this installs Debian's, which needs root and apt.
# The package's own service stays off.
if command -v turnserver >/dev/null && command -v turnutils_uclient >/dev/null; then
  exit 0
fi

how='Install coturn (Debian, Ubuntu: apt install coturn).'
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "error: the tests need coturn, and only root can install it with apt. $how" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq && apt-get install -qq -y --no-install-recommends coturn >/dev/null || {
  echo "error: apt could not install coturn. $how" >&2
  exit 1
}
