#!/bin/sh
# The tests drive a real Chromium. If there is none, this installs Debian's, which needs root and apt.
for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
  if [ -n "$name" ] && command -v "$name" >/dev/null; then
    exit 0
  fi
done

how='Install Chromium (Debian, Ubuntu: apt install chromium), or name one in the variable CHROMIUM.'
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "error: the tests need Chromium, and only root can install it with apt. $how" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >/dev/null || {
  echo "error: apt could not install Chromium. $how" >&2
  exit 1
}
