# Two commands do all the set-up: `make demo` and `make test`. Both need Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml $(shell find rtspk -type f -not -path '*/__pycache__/*')

.PHONY: demo test lint types imports check clean

demo: $(VENV)/rtspk.installed
	$(BIN)/rtspk demo

# Lint, types, import rules, then all tests against the built wheel.
test: lint types imports check

lint: $(VENV)/dev.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.installed
	$(BIN)/mypy

imports: $(VENV)/dev.installed
	$(BIN)/lint-imports

check: $(VENV)/dev.installed
	$(BIN)/pytest tests --pyargs rtspk --numprocesses auto --maxprocesses 4 --dist loadfile

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "rtspk wants Python 3.11 or newer, got " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

dist/rtspk.whl: $(VENV)/bin/python $(SOURCES)
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	touch dist/rtspk.whl

$(VENV)/rtspk.installed: dist/rtspk.whl
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps dist/rtspk-*.whl
	$(BIN)/python -m pip install --quiet dist/rtspk-*.whl
	touch $@

$(VENV)/dev.installed: $(VENV)/rtspk.installed
	$(BIN)/python -m pip install --quiet "$$(ls dist/rtspk-*.whl)[dev]"
	touch $@

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
