#!/usr/bin/env bash
# Models run natively against the same models run by ONNX Runtime, in one table: time a row, opening, memory.
#
#   bench/engines/run.sh [NAME…]       (all models without names; installs and trains what is missing)
#
# Passes of both take turns in one process on one thread; only the ratios of one run mean anything.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
venv=$target/bench/engines-venv models=$target/bench/engines-models
library=${ONNXRUNTIME:-$target/onnxruntime/libonnxruntime.so}
[ -e "$library" ] || scripts/setup.sh run >&2
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
    # The newest versions that convert all of these models together.
    "$venv/bin/pip" install -q --disable-pip-version-check scikit-learn==1.5.2 "numpy<2" xgboost-cpu==2.1.4 lightgbm==4.5.0 \
        onnx==1.16.2 skl2onnx==1.17.0 onnxmltools==1.12.0 onnxconverter-common==1.14.0 protobuf==3.20.2 packaging >&2
fi
if [ ! -e "$models/complete" ]; then
    "$venv/bin/python" bench/engines/make_models.py "$models" >&2
    touch "$models/complete"
fi
cargo build --quiet --release --locked -p plimsoll-engine --example engines
[ $# -gt 0 ] || set -- forest gradient histogram xgboost lightgbm logistic scaled_logistic perceptron perceptron_deep
"$target/release/examples/engines" "$models" "$library" "$@"
