# resaga needs nothing but Python 3.11+ and make: everything else goes into .venv, from the lock
# files in requirements/. `make help` lists the targets.

.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
# --no-deps: the lock files name all there is, and resolving again would stumble over an extra
# (coverage[toml]) as soon as a version comes out that they have no hash for.
PIP_INSTALL := $(BIN)/python -m pip install -qq --require-hashes --no-deps --only-binary :all:
STAMP := $(VENV)/.installed
UV_VERSION := 0.13.9

# Which Python makes .venv; the first that runs and is new enough, unless told: make test PYTHON=...
PYTHON ?=
PYTHONS := $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python)

# pip asks nobody for a newer self, and pyright's launcher for no newer pyright: the lock file decides.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

# Bytecode is kept, whatever the environment says: the tests start hundreds of Python processes.
unexport PYTHONDONTWRITEBYTECODE

# What is checked; folders that are not there are left out.
SOURCES := $(wildcard src tests scripts examples chaos benchmarks)
# Passed on to the program that the target runs: make unit ARGS="-k stack", make demo ARGS=--keep
ARGS ?=
# Tests run side by side; they wait more than they compute, so more than there are cores.
JOBS ?= 4

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(STAMP) ## Play four sagas against a real Restate server: success, decline, two crashes
	@$(BIN)/resaga demo $(ARGS)

.PHONY: test
test: lint types ## Everything CI checks: lint, types, then all tests with coverage
	@$(BIN)/pytest --cov --numprocesses $(JOBS) --dist loadgroup $(ARGS)

.PHONY: unit
unit: $(STAMP) ## The tests that need no server and the examples in docstrings, without coverage
	@$(BIN)/pytest src tests/unit $(ARGS)

.PHONY: lint
lint: $(STAMP) ## Style, format and the directions of imports, in check mode
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/lint-imports --no-logo

.PHONY: types
types: $(STAMP) ## mypy --strict and pyright strict, side by side
	$(BIN)/mypy $(SOURCES) & mypy=$$!; told=0; $(BIN)/pyright $(SOURCES) || told=$$?; \
	wait $$mypy && exit $$told

.PHONY: format
format: $(STAMP) ## Mend what ruff can mend, and format
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

.PHONY: docs
docs: $(STAMP) ## Build the guide as a site, into site/ (in strict mode, as `make test` does)
	@$(BIN)/python -m mkdocs build --strict --quiet
	@echo "Open site/index.html, or see it with search: $(BIN)/mkdocs serve"

.PHONY: mutate
mutate: $(STAMP) ## Break each rule in the source, one at a time, and show its test failing (slow)
	@$(BIN)/python scripts/mutate.py $(ARGS)

.PHONY: soak
soak: $(STAMP) ## Random sagas of many branches under fire: cancels, deadlines, worker kills (slow)
	@$(BIN)/python scripts/soak.py $(ARGS)

.PHONY: compare
compare: $(STAMP) ## Failure scenarios over hand-written code, restate-saga and resaga, as a table
	@$(BIN)/python -m chaos.compare $(ARGS)

.PHONY: bench
bench: $(STAMP) ## What a saga costs, beside hand-written code and other packages; ten minutes
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-quick
bench-quick: $(STAMP) ## The same in under 90 seconds, less of it and less exact
	@$(BIN)/python -m benchmarks --quick $(ARGS)

.PHONY: chaos
chaos: $(STAMP) ## Money-transfer sagas while workers, servers and connections are killed
	@$(BIN)/python -m chaos $(ARGS)

.PHONY: venv
venv: $(STAMP) ## Make .venv, without running anything

# The stamp is the last thing made, so an install that was cut off is done again. A .venv that
# works is brought up to date, not thrown away.
$(STAMP): requirements/dev.txt requirements/npm.txt pyproject.toml src/resaga/_version.py
	@if ! $(BIN)/python -c 'import pip' >/dev/null 2>&1; then \
	  python=; \
	  for candidate in $(PYTHONS); do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	    then python=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo "resaga needs Python 3.11 or newer, and none of these is one: $(PYTHONS)." >&2; \
	    echo "Install one, or say where it is: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
	    exit 1; \
	  fi; \
	  if ! "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	    echo "$$python has no venv module, so it cannot make virtual environments." >&2; \
	    echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$("$$python" --version) ($$python)"; \
	  "$$python" -m venv --clear $(VENV); \
	fi
	@echo "Installing from requirements/dev.txt into $(VENV) (half a minute the first time)"
	@$(PIP_INSTALL) -r requirements/dev.txt
	@# npm brings restate-server, and node runs pyright: where they are missing, PyPI has both.
	@if ! { command -v npm && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)'; } \
	    >/dev/null 2>&1; then \
	  echo "There is no npm with Node.js 18 or newer here: installing requirements/npm.txt, too"; \
	  $(PIP_INSTALL) -r requirements/npm.txt; \
	fi
	@# No dependencies, no build isolation: nothing comes in that the lock files have no hash for.
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

# uv resolves for every Python and system at once; it lives in a folder of its own for the while.
# The lock files hold no addresses: whoever installs decides where from.
LOCK := pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(LOCK_ARGS)

# All but npm, which has a lock file of its own.
EXTRAS := cli dishka encryption fastapi otel pydantic server sql testing

.PHONY: lock
lock: $(STAMP) ## Resolve the dependencies into requirements/ (to newer ones: LOCK_ARGS=--upgrade)
	@set -eu; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(BIN)/python -m venv "$$tools"; \
	"$$tools/bin/python" -m pip install -qq --only-binary :all: uv==$(UV_VERSION); \
	"$$tools/bin/uv" $(LOCK) $(addprefix --extra ,$(EXTRAS)) --group dev \
	  pyproject.toml --output-file requirements/dev.txt; \
	"$$tools/bin/uv" $(LOCK) --extra npm --constraints requirements/dev.txt \
	  pyproject.toml --output-file requirements/npm.txt

.PHONY: clean
clean: ## Remove .venv and everything made by the tools
	rm -rf $(VENV) build dist site htmlcov .coverage .coverage.* .pytest_cache .ruff_cache .mypy_cache \
	  .hypothesis .import_linter_cache
	find src tests scripts examples chaos benchmarks -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true


