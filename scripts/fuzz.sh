#!/bin/sh
# Fuzz every target for FUZZ_SECONDS each, one after the other; ends at the first finding.
# Usage: scripts/fuzz.sh [TARGET...]        (all targets without a name)
#
# The flags are those of cargo-fuzz, which is therefore not needed. What the
# fuzzer adds to a corpus stays in fuzz/target; a finding goes to fuzz/artifacts.
set -eu
cd "$(dirname "$0")/../fuzz"

seconds=${FUZZ_SECONDS:-600}
toolchain=${FUZZ_TOOLCHAIN:-nightly}
host=$(rustc -vV | sed -n 's/^host: //p')
[ $# -gt 0 ] || set -- $(for file in fuzz_targets/*.rs; do basename "$file" .rs; done)

if ! cargo "+$toolchain" --version >/dev/null 2>&1; then
    echo "fuzzing needs a nightly compiler: rustup toolchain install nightly --profile minimal" >&2
    exit 69
fi

coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
coverage="$coverage -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage="$coverage -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
# The target is named so that build scripts and macros are built without the sanitizer.
RUSTFLAGS="$coverage -Zsanitizer=address -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1" \
    cargo "+$toolchain" build --release --bins --target "$host"

for target in "$@"; do
    found=target/corpus/$target
    mkdir -p "$found" "artifacts/$target"
    echo "== $target: $seconds seconds"
    "target/$host/release/$target" -max_total_time="$seconds" -max_len=8192 -timeout=30 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="artifacts/$target/" \
        "$found" "corpus/$target" 2>"target/$target.log" || {
        tail -n 40 "target/$target.log" >&2
        echo "$target has a finding; its input is in fuzz/artifacts/$target" >&2
        exit 1
    }
    grep '^stat::number_of_executed_units' "target/$target.log"
done
