# Two commands matter: `make run` and `make test`. The rest are their parts.

TARGET := $(or $(CARGO_TARGET_DIR),target)
ONNXRUNTIME := $(abspath $(TARGET))/onnxruntime/libonnxruntime.so
# A Python with scikit-learn, for the tests of Python workers.
WORKER_PYTHON := $(abspath $(TARGET))/worker-venv/bin/python

# Makes requests of the OpenAPI document, for the tests.
SCHEMATHESIS := $(abspath $(TARGET))/schemathesis-venv/bin/st

# A Python with the official clients of other protocols.
CLIENTS_PYTHON := $(abspath $(TARGET))/clients-venv/bin/python

.PHONY: run build test test-fast setup-run setup-test format format-check lint docs unit doctest bench fuzz audit trust trust-full

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
	PLIMSOLL_TEST_ONNXRUNTIME=$(ONNXRUNTIME) PLIMSOLL_TEST_PYTHON=$(WORKER_PYTHON) \
	PLIMSOLL_TEST_SCHEMATHESIS=$(SCHEMATHESIS) PLIMSOLL_TEST_CLIENTS=$(CLIENTS_PYTHON) \
	cargo nextest run --locked --workspace

# What is promised of crashes, full disks, absent databases and damaged journals.
TRUST := test(/trust_/) | test(/^crash::/) | test(/crashes::/) | test(/faults::/)

## The promises of docs/OPERATIONS.md, quickly.
trust: setup-test
	PLIMSOLL_TEST_ONNXRUNTIME=$(ONNXRUNTIME) PLIMSOLL_TEST_SCHEMATHESIS=$(SCHEMATHESIS) PLIMSOLL_TEST_EXAMPLES=40 \
	cargo nextest run --locked -p plimsoll -p plimsoll-journal -E '$(TRUST)'

## The same at full length on a release build, with chance of its own, and a table.
trust-full: setup-test build
	PLIMSOLL_TEST_SCHEMATHESIS=$(SCHEMATHESIS) PLIMSOLL_TEST_EXAMPLES=200 PLIMSOLL_TRUST_FULL=1 PLIMSOLL_TRUST_ROUNDS=30 PLIMSOLL_TRUST_SEED=$$(date +%s) \
	PLIMSOLL_TRUST_BINARY=$(abspath $(TARGET))/release/plimsoll \
	cargo nextest run --profile trust --locked -p plimsoll -p plimsoll-journal --run-ignored all --no-capture \
	  -E '$(TRUST)' 2>&1 | tee $(TARGET)/trust.log | grep -vE '^(trust \| |running |successes|test result|$$)' ; \
	echo; date -u +'%F %H:%M'; grep '^trust | ' $(TARGET)/trust.log; ! grep -qE '^ +(FAIL|TIMEOUT|SIGNAL)' $(TARGET)/trust.log \
	  && grep -qE 'Summary .* passed' $(TARGET)/trust.log

## Performance figures, written to bench/README.md by hand from what this prints.
bench:
	bench/run.sh

## Every parser of foreign bytes, FUZZ_SECONDS (600) each; fails on a finding. See docs/FUZZING.md.
fuzz:
	scripts/fuzz.sh

## Known vulnerabilities in dependencies; needs the advisory database.
audit:
	cargo deny check advisories
