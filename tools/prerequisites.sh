#!/bin/sh
# Names each missing program that building trio-sfu needs, and how to get it. Usage: prerequisites.sh PYTHON
python=$1
missing=0

need() { # arguments: the missing program, and how to get it
  echo "error: $1. $2" >&2
  missing=1
}

if [ "$(uname -s)" != Linux ]; then
  echo "error: trio-sfu runs on Linux only, and this is $(uname -s). Use a Linux machine, a virtual machine or a container." >&2
  exit 1
fi

if ! command -v "$python" >/dev/null; then
  need "there is no $python" "Install Python 3.11 or newer (Debian, Ubuntu: apt install python3 python3-venv)."
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  need "$("$python" --version) is too old" "Install Python 3.11 or newer and say which: make PYTHON=python3.12 …"
fi

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  need "Node.js with npm is missing" "Install Node.js 20.19 or newer (https://nodejs.org, or your system's packages)."
elif ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then
  need "Node.js $(node --version) is too old" "Install Node.js 20.19 or newer (https://nodejs.org)."
fi

if ! command -v cargo >/dev/null; then
  need "Rust is missing" "Install Rust 1.89 or newer (https://rustup.rs)."
elif ! cargo --version | awk '{ split($2, v, "."); exit !(v[1] > 1 || v[2] >= 89) }'; then
  need "$(cargo --version) is too old" "Install Rust 1.89 or newer (https://rustup.rs; with rustup: rustup update stable)."
fi

if ! command -v cc >/dev/null && ! command -v gcc >/dev/null && ! command -v clang >/dev/null; then
  need "there is no C compiler" "Install one (Debian, Ubuntu: apt install build-essential)."
fi

exit $missing
