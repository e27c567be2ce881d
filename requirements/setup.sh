#!/bin/sh
# Makes the virtual environment VENV from the hash-locked requirements. Called by the Makefile.
#     sh requirements/setup.sh VENV
set -eu
venv=$1
# Five processes start from these packages, so they are compiled once, here.
export PIP_DISABLE_PIP_VERSION_CHECK=1 UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1

say() { printf '%s\n' "$*" >&2; }

# The engines' wheels exist for these versions.
fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if fits "$candidate"; then
            printf '%s' "$candidate"
            return
        fi
    done
    say "Ampwave needs Python 3.11, 3.12 or 3.13. Install one, or name it: make PYTHON=/path/to/python3.11"
    return 1
}

# A half-made environment (no pip, or a Python that is gone) is made anew.
if ! { fits "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; }; then
    python=$(find_python)
    say "Setting up $venv from the locked requirements; this is done once."
    rm -rf "$venv"
    if ! "$python" -m venv "$venv"; then
        rm -rf "$venv"
        say "On Debian and Ubuntu: apt install python3-venv"
        exit 1
    fi
else
    say "Updating $venv to the locked requirements."
fi

# Somebody without a writable home still gets a cache.
if ! mkdir -p "${UV_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/uv}" 2>/dev/null; then
    UV_CACHE_DIR=$(mktemp -d)
    export UV_CACHE_DIR
    trap 'rm -rf "$UV_CACHE_DIR"' EXIT
fi

pip() { "$venv/bin/python" -m pip --quiet "$@"; }
uv() { "$venv/bin/uv" --quiet "$@"; }

pip install --require-hashes -r requirements/uv.txt
if ! uv pip sync --require-hashes --python "$venv/bin/python" requirements/dev.txt; then
    say "uv cannot reach its package index; trying pip, which has settings of its own."
    pip install --require-hashes -r requirements/dev.txt
fi
uv pip install --no-deps --no-build-isolation --offline --python "$venv/bin/python" -e .
