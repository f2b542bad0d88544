# Thin: each target is a line or two that a person could type. PYTHON picks the interpreter for a new environment.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

# Of the fuzzers: how long each target runs, and which.
SECONDS ?= 60
TARGETS ?= decode flac_frame logmel quadratic_forms
HOST     = $(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: help setup demo test test-long test-cluster lint rust python fuzz memcheck bench table counts gpu gpu-prepare wheel clean

help:
	@echo "make demo   synthesise machines, train, score, evaluate: no data and no GPU needed"
	@echo "make test   every check: lint, types, Rust tests, Python tests"
	@echo "make lint | rust | python | test-long | test-cluster | fuzz | memcheck | bench | table | counts | gpu-prepare | gpu | wheel | clean"

# The stamp is older than pyproject.toml or the Rust sources when the environment must be brought up to date.
SOURCES := pyproject.toml Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'

$(VENV)/.installed: $(BIN)/python $(SOURCES)
	$(BIN)/pip install --quiet --editable '.[train,report]'
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python $(SOURCES) constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,report,onnx]' --group lint --group test
	@touch $(VENV)/.installed $@

setup: $(VENV)/.installed-dev

demo: $(VENV)/.installed
	$(BIN)/offkey demo

lint: $(VENV)/.installed-dev
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- --deny warnings
	cargo fmt --manifest-path rust/fuzz/Cargo.toml --check
	cargo clippy --quiet --manifest-path rust/fuzz/Cargo.toml --no-default-features --target-dir target -- --deny warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest offkey._native
	$(BIN)/lint-imports

rust:
	cargo test --quiet --workspace

python: $(VENV)/.installed-dev
	$(BIN)/pytest --numprocesses auto --maxprocesses 8 --dist worksteal --benchmark-disable

test: lint rust python

test-long: $(VENV)/.installed-dev
	$(BIN)/pytest -m long --numprocesses auto --maxprocesses 4 --dist worksteal

# Ray and a server of S3 take too long to install for every run: `make test` passes their tests over, and says so.
test-cluster: $(VENV)/.installed-dev
	$(BIN)/pip install --quiet --constraint constraints.txt --group cluster --group cloud
	$(BIN)/pytest -m 'long or not long' tests/unit/archive/test_ray.py tests/unit/archive/test_lease.py tests/unit/archive/test_storage.py

# Needs `cargo install cargo-fuzz`; what it finds lies in rust/fuzz/artifacts.
fuzz: $(VENV)/.installed-dev
	$(BIN)/python rust/fuzz/seeds.py
	for target in $(TARGETS); do RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir rust/fuzz $$target -- \
		-max_total_time=$(SECONDS) -max_len=8192 -rss_limit_mb=4096 -timeout=30 || exit 1; done
	OFFKEY_FUZZ_SECONDS=$(SECONDS) $(BIN)/pytest -m long tests/hostile/test_mutated_detectors.py

# The core's tests under AddressSanitizer, at each level of vectors that this processor has. Some ask for more memory
# than there is, which must be refused, as by the system, and not end the run.
memcheck: export ASAN_OPTIONS = allocator_may_return_null=1
memcheck:
	for level in portable avx2 avx512; do OFFKEY_SIMD=$$level RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address \
		cargo test --quiet -p offkey-core --lib --tests --target $(HOST) --target-dir target/asan || exit 1; done

bench: $(VENV)/.installed-dev
	$(BIN)/pytest benches/python --benchmark-only

table: $(VENV)/.installed-dev
	$(BIN)/python benches/table.py --out benches/results

counts:
	$(PYTHON) benches/counts.py

gpu-prepare: $(BIN)/python
	benches/gpu/prepare.sh $(BIN)/python

# On the CUDA machine, which has torch and no network: its own Python, no environment.
OUT ?= gpu-out
gpu:
	$(PYTHON) benches/gpu/check.py --out $(OUT)

wheel: $(BIN)/python
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) target dist demo .mypy_cache .ruff_cache .hypothesis .import_linter_cache
