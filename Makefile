# Two commands matter: `make run` and `make test`. The rest are their parts.

TARGET := $(or $(CARGO_TARGET_DIR),target)
ONNXRUNTIME := $(abspath $(TARGET))/onnxruntime/libonnxruntime.so

.PHONY: run build test test-fast setup-run setup-test format format-check lint docs unit doctest bench fuzz audit

## Build, train the demo models and serve them.
run: setup-run build
	PLIMSOLL_ENGINE__ONNXRUNTIME=$(ONNXRUNTIME) $(TARGET)/release/plimsoll serve --demo

build:
	cargo build --release --locked -p plimsoll

## Everything that must hold before a change is accepted.
test: setup-test format-check lint docs doctest unit

## Unit and integration tests on SQLite only.
test-fast:
	PLIMSOLL_SKIP_POSTGRES=1 cargo nextest run --locked --workspace -E 'not test(postgres::)'

setup-run:
	scripts/setup.sh run

setup-test:
	scripts/setup.sh test

format:
	cargo fmt --all

format-check:
	cargo fmt --all -- --check

lint:
	cargo clippy --locked --workspace --all-targets -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

doctest:
	cargo test --locked --workspace --doc -q

unit:
	PLIMSOLL_TEST_ONNXRUNTIME=$(ONNXRUNTIME) cargo nextest run --locked --workspace

## Performance figures, written to bench/README.md by hand from what this prints.
bench:
	bench/run.sh

## Every parser of foreign bytes, FUZZ_SECONDS (600) each; fails on a finding. See docs/FUZZING.md.
fuzz:
	scripts/fuzz.sh

## Known vulnerabilities in dependencies; needs the advisory database.
audit:
	cargo deny check advisories
