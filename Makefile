# Lesson Progress. `make help` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
REPORT ?=
NAME ?=
export PATH := $(CURDIR)/$(BIN):$(PATH)

ROWS ?=
SEEDS ?= 1-3
.PHONY: help setup demo test nightly test-real test-containers faults faults-quick guards mutants parts bench endurance lint format lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

setup: $(INSTALLED) ## Make .venv with the pinned set

$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(INSTALLED)

demo: $(INSTALLED) ## Replay one course of real learners on a system of its own (REPORT=FILE writes the figures)
	$(if $(REPORT),@mkdir -p $(dir $(REPORT)))
	lesson-progress demo $(if $(REPORT),--report $(REPORT))

test: $(INSTALLED) ## Everything that runs on the embedded stack
	pytest -q -n 3 --stack embedded -m "not real and not containers and not bench"

test-real: $(INSTALLED) ## What depends on the stack again, on Apache Kafka and the Rust database server; foreign gateways; containers
	pytest -q -n 2 --stack kafka -m "(stacked or real or containers) and not bench"

nightly: $(INSTALLED) ## Every crash point each time it is reached, and 200,000 steps of the state machine
	LESSON_PROGRESS_THOROUGH=1 pytest -q -n 2 tests/faults/crash_points tests/faults/state_machine

test-containers: $(INSTALLED) ## Image, compose, cluster, TLS, Prometheus and contracts in containers (Docker and the public images)
	pytest -q -n 2 -m containers

faults: $(INSTALLED) ## Every fault of the reliability table, with real processes, for three seeds (ROWS=1,5-9 SEEDS=1 REPORT=FILE)
	$(BIN)/python -m tests.faults.rows $(if $(REPORT),--report $(REPORT)) $(if $(ROWS),--rows $(ROWS)) --seeds $(SEEDS)

faults-quick: $(INSTALLED) ## The faults that are quick, for one seed
	$(BIN)/python -m tests.faults.rows --quick --seeds 1

guards: $(INSTALLED) ## Take each guard out of a copy of the source; its tests must turn red (ONLY=NAME REPORT=FILE)
	$(BIN)/python -m tests.faults.guards $(if $(ONLY),--only $(ONLY)) $(if $(REPORT),--report $(REPORT))

mutants: $(INSTALLED) ## Change rules, use cases and the consume loop by chance (an hour); survivors are listed at the end
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/faults/guards/mutants.lock
	$(BIN)/mutmut run
	$(BIN)/mutmut results

parts: $(INSTALLED) ## Fetch and build what test-real needs: Kafka's jars (Maven) and the Rust database server (cargo)
	$(BIN)/python -m ops.stacks.fetch

bench: $(INSTALLED) ## Benchmarks on real parts, beside a hand-tuned baseline (REPORT=FILE writes the figures)
	$(BIN)/python -m tests.bench $(if $(REPORT),--report $(REPORT))

endurance: $(INSTALLED) ## How long it holds, on real parts: NAME=chaos, idle, backlog, poison or replies (REPORT=FILE writes the figures)
	$(BIN)/python -m tests.faults.endurance $(or $(NAME),--help) $(if $(REPORT),--report $(REPORT))

lint: $(INSTALLED) ## Style, types, import rules
	ruff check .
	ruff format --check .
	mypy
	lint-imports

format: $(INSTALLED) ## Format the code
	ruff format .
	ruff check --fix .

lock: $(INSTALLED) ## Pin every dependency again, with hashes and without addresses
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--all-extras --prerelease if-necessary-or-explicit --upgrade --quiet --output-file requirements.lock pyproject.toml
	echo mutmut | uv pip compile --constraint requirements.lock --universal --generate-hashes --no-emit-index-url \
		--no-header --python-version 3.11 --upgrade --quiet --output-file tests/faults/guards/mutants.lock -

clean: ## Remove what was made here
	rm -rf $(VENV) mutants .lesson-progress .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
