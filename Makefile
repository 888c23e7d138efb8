# `make help` lists what there is. Needs a Python from 3.11 to 3.13, make and a package index; everything
# else is installed into .venv, once, and again when pyproject.toml changes.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
PACKAGE_LINKS := build/src/liqtiers
WORKERS ?= auto
BENCHMARKS := $(wildcard tests/benchmarks/bench_*.py)

# The first of these that is new enough, not too new and can make environments; `make PYTHON=... test`
# decides otherwise.
CANDIDATES := python3 python3.13 python3.12 python3.11 python
FITS := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for name in $(CANDIDATES); do \
	if "$$name" -c "$(FITS)" >/dev/null 2>&1; then echo "$$name"; break; fi; done)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test lint types unit bench format links clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(INSTALLED) ## run the main job on a simulated market and say where the report is
	$(BIN)/liqtiers demo

test: lint types unit ## run every check: format, lint, import rules, types, tests

bench: $(INSTALLED_DEV) ## run every benchmark and print its ratios
	@set -e; for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python "$$script"; done

format: $(INSTALLED_DEV) ## format the code and mend what the linter can mend
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

setup: $(INSTALLED_DEV) ## set up .venv with everything that the checks need

lint: $(INSTALLED_DEV) links ## check format, style and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PYTHONPATH=build/src $(BIN)/lint-imports --no-logo

types: $(INSTALLED_DEV) links ## check the types of the package and of its public use
	$(BIN)/mypy
	$(BIN)/mypy tests/typing

unit: $(INSTALLED_DEV) ## run the tests alone; `make unit ARGS="-k lake"` picks some
	$(BIN)/pytest -n $(WORKERS) $(ARGS)

clean: ## remove the environment, caches and built files; never liqtiers-data
	rm -rf $(VENV) build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# The folders as the package `liqtiers`, for tools that read paths instead of importing.
links:
	@mkdir -p $(PACKAGE_LINKS)
	@for part in datasets strategies reports scripts; do \
		ln -sfn "../../../$$part" "$(PACKAGE_LINKS)/$$part"; done

$(INSTALLED): pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
		echo "liqtiers needs Python 3.11, 3.12 or 3.13 with the venv module; none of" \
			"$(CANDIDATES) is that. On Debian or Ubuntu: apt install python3 python3-venv." \
			"Or name one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; fi
	@echo "Setting up $(VENV) with $(PYTHON) (once, a minute or so)"
	@$(BIN)/python -c "$(FITS)" 2>/dev/null && $(BIN)/python -m pip --version >/dev/null 2>&1 \
		|| $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(INSTALLED_DEV): $(INSTALLED)
	@echo "Adding what the checks need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
