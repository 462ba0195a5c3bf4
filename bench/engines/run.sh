#!/usr/bin/env bash
# Nanoseconds a row of tree models, natively and through ONNX Runtime, in one table.
#
#   bench/engines/run.sh MODELS_DIR libonnxruntime.so     (MODELS_DIR from make_models.py)
#
# Runs take turns; each figure is the least of three, over 256 different rows.
set -euo pipefail
models=$1 library=$2
cd "$(dirname "$0")/../.."
cargo build --quiet --release -p plimsoll-engine --example tree_cost
cost=${CARGO_TARGET_DIR:-target}/release/examples/tree_cost
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
for _ in 1 2 3; do
    for file in forest.joblib gradient.joblib histogram.joblib xgboost.ubj lightgbm.txt; do
        for model in "$file" "${file%.*}.onnx"; do
            # A converted graph may fail on batches; its figure is then missing.
            { "$cost" "$models/$model" "$models/rows.f64" "$library" 2>/dev/null || true; } |
                sed -n "s/^batches of \(1\|256\): least \([0-9]*\) .*/$model \1 \2/p" >>"$lines"
        done
    done
done
echo "| model | batch | native ns/row | ONNX Runtime ns/row | times faster |"
echo "|---|---|---|---|---|"
awk '{
    key = $1 " " $2
    if (!(key in least) || $3 < least[key]) least[key] = $3
    split($1, name, ".")
    if (name[2] != "onnx" && !($1 in seen)) { seen[$1] = 1; order[++count] = $1 }
} END {
    for (i = 1; i <= count; i++) for (b = 1; b <= 256; b += 255) {
        split(order[i], name, ".")
        native = least[order[i] " " b]; onnx = least[name[1] ".onnx " b]
        if (onnx) printf "| %s | %d | %d | %d | %.1f |\n", name[1], b, native, onnx, onnx / native
        else printf "| %s | %d | %d | - | - |\n", name[1], b, native
    }
}' "$lines"
