#!/usr/bin/env bash
# Builds what the benchmark needs, trains its model once, and runs it; then
# measures each part of a prediction alone. Arguments go to run.py.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
command -v wrk >/dev/null || { as_root apt-get update -qq; as_root apt-get install -y -qq wrk; }
if [ ! -e "$target/bench/forest.joblib" ]; then
    [ -x "$target/demo-venv/bin/python" ] || scripts/setup.sh run
    "$target/demo-venv/bin/python" bench/make_model.py "$target/bench"
fi
cargo build --release --locked -p plimsoll -p plimsoll-bench-bare
python3 bench/run.py "$@"
# Apart, because an example is built with what tests need.
cargo build -q --release --locked -p plimsoll --example parts
for bodies in rows.jsonl rows64.json; do
    printf '\n%s, parts alone:\n' "$bodies"
    "$target/release/examples/parts" "$target/bench/forest.joblib" "$target/bench/$bodies" 2>/dev/null
done
