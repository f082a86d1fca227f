#!/bin/sh
# Finds a Python for envs/set_up.py, which does the work. Called by `make setup`, before every other target.
#   PYTHON         the interpreter to make .venv with: a path, a command or a version such as 3.12
#   TORCH_BACKEND  see envs/README.md
set -eu
cd "$(dirname "$0")/.."

suitable() {
    "$1" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null
}

if [ -n "${PYTHON:-}" ]; then
    case $PYTHON in [0-9]*) PYTHON=python$PYTHON ;; esac
    if ! suitable "$PYTHON"; then
        echo "set-up: PYTHON=$PYTHON is not a Python 3.11 to 3.14 with the modules venv and ensurepip" >&2
        exit 2
    fi
    exec "$PYTHON" -I envs/set_up.py "$@"
fi
if [ -x .venv/bin/python ]; then
    exec .venv/bin/python -I envs/set_up.py "$@"
fi
for candidate in python3 python3.13 python3.12 python3.11 python python3.14; do
    if suitable "$candidate"; then
        exec "$candidate" -I envs/set_up.py "$@"
    fi
done
echo "set-up: found no Python 3.11 or newer with the modules venv and ensurepip." >&2
echo "  Debian, Ubuntu: apt install python3 python3-venv; or name one: make setup PYTHON=/path/to/python3" >&2
exit 2
