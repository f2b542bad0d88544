# Thin: each target is a line or two that a person could type. PYTHON picks the interpreter for a new environment.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: help setup demo test lint rust python bench table counts gpu gpu-prepare wheel clean

help:
	@echo "make demo   synthesise machines, train, score, evaluate: no data and no GPU needed"
	@echo "make test   every check: lint, types, Rust tests, Python tests"
	@echo "make lint | rust | python | bench | table | counts | gpu-prepare | gpu | wheel | clean"

# The stamp is older than pyproject.toml or the Rust sources when the environment must be brought up to date.
SOURCES := pyproject.toml Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'

$(VENV)/.installed: $(BIN)/python $(SOURCES)
	$(BIN)/pip install --quiet --editable '.[train,report]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --group lint --group test
	@touch $@

setup: $(VENV)/.installed-dev

demo: $(VENV)/.installed
	$(BIN)/offkey demo

lint: $(VENV)/.installed-dev
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- --deny warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest offkey._native
	$(BIN)/lint-imports

rust:
	cargo test --quiet --workspace

python: $(VENV)/.installed-dev
	$(BIN)/pytest

test: lint rust python

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
