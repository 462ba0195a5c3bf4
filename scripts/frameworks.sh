#!/usr/bin/env bash
# Serves models of PyTorch and TensorFlow through Python workers, and compares the answers with the libraries'.
# Not part of `make test`: it downloads several gigabytes. Removes what it installed with KEEP unset.
#
#   scripts/frameworks.sh PROGRAM [torch] [tensorflow-cpu]
set -euo pipefail
program=$(realpath "${1:?usage: scripts/frameworks.sh PROGRAM [torch] [tensorflow-cpu]}"); shift
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
[ $# -gt 0 ] || set -- torch tensorflow-cpu
for library in "$@"; do
    venv=$target/frameworks-$library
    [ -e "$venv/bin/python" ] || python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check --no-cache-dir numpy "$library"
    "$venv/bin/python" scripts/frameworks.py "$program"
    [ -n "${KEEP:-}" ] || rm -rf "$venv"
done
