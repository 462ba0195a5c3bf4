#!/usr/bin/env bash
# Installs what a step needs and the machine lacks. Says clearly what it could not install.
#
#   scripts/setup.sh run    compiler, Python, ONNX Runtime, demo models
#   scripts/setup.sh test   compiler, Python with scikit-learn, schemathesis, ONNX Runtime, PostgreSQL, cargo-nextest, rustfmt, clippy
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
onnxruntime_version=1.31.1

say() { printf '%s\n' "$*" >&2; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# packages COMMAND PACKAGE...: installs the packages if the command is missing.
packages() {
    local command=$1; shift
    command -v "$command" >/dev/null 2>&1 && return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        say "Please install '$command' (Debian packages: $*): this system has no apt-get."
        return 1
    fi
    say "Installing $* …"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

compiler() { packages cc build-essential ca-certificates; }

# The ONNX Runtime library comes out of its PyPI wheel; nothing of Python is used at run time.
onnxruntime() {
    local folder=$target/onnxruntime
    [ -e "$folder/libonnxruntime.so" ] && return 0
    packages python3 python3 python3-pip
    python3 -m pip --version >/dev/null 2>&1 || packages pip3 python3-pip
    say "Fetching ONNX Runtime $onnxruntime_version …"
    local wheels
    wheels=$(mktemp -d)
    if ! python3 -m pip download -q --no-deps -d "$wheels" "onnxruntime==$onnxruntime_version" >&2; then
        say "Could not fetch ONNX Runtime: ONNX models cannot be served until it is installed (pip install onnxruntime)."
        rm -rf "$wheels"
        return 1
    fi
    python3 -m zipfile -e "$wheels"/onnxruntime-*.whl "$wheels/unpacked"
    mkdir -p "$folder"
    cp "$wheels"/unpacked/onnxruntime/capi/libonnxruntime.so.* "$folder/libonnxruntime.so.part"
    mv "$folder/libonnxruntime.so.part" "$folder/libonnxruntime.so"
    rm -rf "$wheels"
}

# environment FOLDER PACKAGE...: a Python environment of its own with these packages.
environment() {
    local venv=$1; shift
    packages python3 python3 python3-venv
    if ! python3 -m venv "$venv" >&2; then
        packages python3-venv-missing python3-venv && python3 -m venv "$venv" >&2
    fi
    "$venv/bin/pip" install -q --disable-pip-version-check "$@" >&2
}

# What Python workers run in the tests. The mark says that everything was installed.
worker_python() {
    local venv=$target/worker-venv
    [ -e "$venv/complete" ] && return 0
    say "Installing scikit-learn for the tests of Python workers …"
    environment "$venv" scikit-learn==1.9.1
    touch "$venv/complete"
}

# What makes requests of the OpenAPI document in the tests.
schemathesis() {
    local venv=$target/schemathesis-venv
    [ -e "$venv/complete" ] && return 0
    say "Installing schemathesis for the tests of the OpenAPI document …"
    environment "$venv" schemathesis==4.32.5
    touch "$venv/complete"
}

# The official clients of other protocols, which the tests run against a server.
clients() {
    local venv=$target/clients-venv
    [ -e "$venv/complete" ] && return 0
    say "Installing tritonclient for the tests of the Open Inference Protocol …"
    environment "$venv" 'tritonclient[http]==2.73.0'
    touch "$venv/complete"
}

demo_models() {
    [ -e demo/breast-cancer.joblib ] && [ -e demo/diabetes-onnx.onnx ] && return 0
    local venv=$target/demo-venv
    say "Training the demo models with scikit-learn …"
    environment "$venv" scikit-learn==1.9.1 skl2onnx==1.20.0
    "$venv/bin/python" demo/train.py demo
}

postgresql() {
    local found
    found=$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -n 1 || true)
    [ -n "$found" ] || command -v initdb >/dev/null 2>&1 || packages initdb postgresql
}

rust_tools() {
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
    cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked
}

case ${1:-} in
    run) compiler; onnxruntime || true; demo_models || say "The demo models could not be trained; serve your own: plimsoll serve MODEL_FILE" ;;
    test) compiler; postgresql; onnxruntime; worker_python; schemathesis; clients; rust_tools ;;
    *) say "usage: scripts/setup.sh run|test"; exit 64 ;;
esac
