# fillonce: `make` lists the targets. Each works alone, from a fresh clone, and prints what it runs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .venv-bench
WORKERS ?= 2
# SEED=N repeats the order of the tests and the examples of hypothesis.
SEED ?=
SEED_ARGS := $(if $(SEED),--randomly-seed=$(SEED) --hypothesis-seed=$(SEED))
# Further options of a measurement, such as BENCH_ARGS="--seconds 5 --records 50000".
BENCH_ARGS ?=
MINUTES ?= 20
FAST := tests/architecture tests/unit tests/property tests/contract tests/golden
# tests/conftest.py gives all integration and fault tests to one worker, after the fast ones.
PYTEST := $(BIN)/python -m pytest $(SEED_ARGS)
PARALLEL := -n $(WORKERS) --dist loadgroup --no-loadscope-reorder
UV_COMPILE = $(CURDIR)/$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
REQUIRE_PYTHON := import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
	"fillonce needs Python 3.11 or newer, and this is " + sys.version.split()[0] + ": make PYTHON=python3.11 ...")

.PHONY: help install demo test test-fast test-sim test-integration test-fault chaos chaos-long check lint fmt types \
	imports bench bench-full soak compare-faust schemas topics up down status lock docs clean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## Make .venv from the hashed lock, with fillonce in it

$(VENV)/.installed: requirements/app.txt requirements/dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) found: install Python 3.11 or newer, or make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -c '$(REQUIRE_PYTHON)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

$(BENCH_VENV)/.installed: requirements/bench.txt
	$(PYTHON) -c '$(REQUIRE_PYTHON)'
	test -x $(BENCH_VENV)/bin/python || $(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --require-hashes -r requirements/bench.txt
	touch $@

demo: install ## The whole pipeline on 100,000 real trades, services included
	$(BIN)/fillonce demo

test: install ## Every test: the fast rings on WORKERS=2, then integration and fault one by one
	$(PYTEST) $(PARALLEL)

test-fast: install ## The rings without network: seconds
	$(PYTEST) $(PARALLEL) $(FAST)

test-sim: install ## The seeded simulations
	$(PYTEST) $(PARALLEL) tests/simulation

test-integration: install ## Against a real Kafka and registry, started on loopback
	$(PYTEST) tests/integration

test-fault: install ## Kill, pause and fence real processes; the small size of the chaos ring
	$(PYTEST) tests/fault tests/chaos

chaos: install ## Faults with evidence, an oracle, planted bugs, stock Faust as the control: under 25 minutes
	$(BIN)/python -m tests.chaos --size full --seed $(or $(SEED),1)

chaos-long: install ## The same rounds TIMES=10 times with other seeds: hours
	$(BIN)/python -m tests.chaos --size long --times $(or $(TIMES),10) --seed $(or $(SEED),1)

# One after the other, in this order, so that the output ends with pytest's closing line.
check: install ## All that CI checks but the demo: lint, types, import rules, tests
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory types
	$(MAKE) --no-print-directory imports
	$(MAKE) --no-print-directory test

lint: install ## ruff (rules and format) and codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

fmt: install ## Format, and fix what can be fixed
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

types: install ## mypy, strict, on the packages and the tests
	$(BIN)/mypy

imports: install ## Who may import whom
	$(BIN)/lint-imports

bench: install $(BENCH_VENV)/.installed ## The engine beside stock Faust, Quix Streams, Kafka Streams and a bare loop: under 20 min
	$(BIN)/python -m tests.bench --peers-python $(CURDIR)/$(BENCH_VENV)/bin/python $(if $(SEED),--seed $(SEED)) $(BENCH_ARGS)

bench-full: install ## Restore, kill to commit, memory, cost of a record, a profile (BENCH_ARGS=--restore: one of them)
	$(BIN)/python -m tests.bench.full $(if $(SEED),--seed $(SEED)) $(BENCH_ARGS)

soak: install ## One worker under mixed load for MINUTES=20: whether memory, files or threads grow
	$(BIN)/python -m tests.bench.soak --minutes $(MINUTES) $(BENCH_ARGS)

compare-faust: install ## What the same kills do to stock Faust's exactly_once
	$(BIN)/python -m tests.bench.compare_faust $(if $(SEED),--seed $(SEED))

schemas: install ## Write the .avsc files from the records, and check them against the last commit
	$(BIN)/python -P -m schemas.derive
	$(BIN)/fillonce schema check --against git:HEAD

topics: install ## What `fillonce topics apply` would change
	$(BIN)/fillonce topics plan

up: install ## Start Kafka and the registry on loopback
	$(BIN)/fillonce up

down: install ## Stop them
	$(BIN)/fillonce down

status: install ## What runs, and where
	$(BIN)/fillonce status

lock: install ## Make requirements/*.txt again (UPGRADE=1 takes newer versions)
	cd requirements && for name in app dev bench; do $(UV_COMPILE) --output-file $$name.txt $$name.in; done

docs: install ## Check the documents: links, decisions, named commands
	$(PYTEST) tests/architecture/test_docs.py

clean: ## Remove caches and built files (the environments and .fillonce stay)
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find processors schemas connectors streams tests -name __pycache__ -type d -prune -exec rm -rf {} +
