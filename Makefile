# Every command does its own set-up, in .venv, once. `make` alone lists them.

VENV := .venv
BIN := $(VENV)/bin
# Every file that is installed is one whose hash is in the list: `infra/lock.py` writes them.
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install --no-compile --require-hashes

# PYTHON= names another interpreter than the first fitting one on the PATH.
FITS := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c '$(FITS)' 2>/dev/null && echo $$python && break; done)

define NO_PYTHON
kkbida needs Python 3.11 or newer, with its venv module, and found none.
Install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python3),
or say where it is: make run PYTHON=/path/to/python3
endef
export NO_PYTHON

.PHONY: help run operator backup test test-thorough fuzz test-localstack simulate mutants chaos overload bench screenshots package clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

run: $(VENV)/ready-to-run ## run it here: PORT=8000, ENDPOINT=http://127.0.0.1:4566 for an AWS emulator, DATA=.local
	@exec $(BIN)/python -m infra.local

operator: $(VENV)/ready-to-run ## make an operator while it is stopped: NAME=li.lei ROLE=admin; or a new password: RESET=1
	@$(BIN)/python -m infra.operators $(if $(RESET),reset,add) "$(NAME)" $(if $(ROLE),--role $(ROLE)) $(if $(STACK),--stack $(STACK))

backup: $(VENV)/ready-to-run ## copy its data while it runs, into a new folder: DEST=/backups/monday
	@$(BIN)/python -m infra.backup "$(DEST)"

# Two processes, and temporary files in memory where there is some: thousands of small databases are fsynced.
TOGETHER := --numprocesses 2 --dist loadfile --no-loadscope-reorder
IN_MEMORY := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 2000000 {print "TMPDIR=/dev/shm"}')
test: $(VENV)/ready-to-test ## every check and every test that needs no LocalStack
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.10 sdk/src
	$(BIN)/lint-imports
	cd sdk/src && $(abspath $(BIN))/lint-imports --config ../pyproject.toml
	$(IN_MEMORY) $(BIN)/python -m pytest -m "not localstack" $(TOGETHER)

test-thorough: $(VENV)/ready-to-test ## the property tests with twenty times the cases, new ones each time
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -m "hypothesis and not localstack" --timeout=3600

FUZZ ?= --max-examples 1000
fuzz: $(VENV)/ready-to-test ## many requests made from /openapi.json: FUZZ="--max-examples 1000 --seed 1"
	@FUZZ="$(FUZZ)" $(BIN)/python -m pytest -s tests/fuzz

test-localstack: $(VENV)/ready-to-test ## the tests against LocalStack: its own, or ENDPOINT=
	$(BIN)/python -m pytest -m localstack

SEEDS ?= 1000
simulate: $(VENV)/ready-to-test ## play stories full of faults, on all cores: SEEDS=10000, FIRST=0; or one, told: SEED=4711
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --first $(or $(FIRST),0))

mutants: $(VENV)/ready-to-test ## break the product on purpose, in a copy, and see that it is noticed: MUTANTS="lease ticket"
	@$(BIN)/python -m tests.mutants $(MUTANTS)

chaos: $(VENV)/ready-to-test ## kill it at random moments, and see that nothing is lost: KILLS=20 TASKS=2000 SEED=1
	$(BIN)/python -m tests.chaos $(if $(KILLS),--kills $(KILLS)) $(if $(TASKS),--tasks $(TASKS)) $(if $(SEED),--seed $(SEED))

overload: $(VENV)/ready-to-test ## submit more than can be delivered, for a minute: DURATION=60
	$(BIN)/python -m tests.chaos.overload $(if $(DURATION),--seconds $(DURATION))

bench: $(VENV)/ready-to-test ## what it costs and how fast it is, with ratios; some minutes
	$(BIN)/python -m benchmarks.cost
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.verification
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.isolation
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.console

screenshots: $(VENV)/ready-to-test ## take the pictures of docs/console anew: SHOTS="overview task"
	@POWERTOOLS_LOG_LEVEL=ERROR $(BIN)/python -m tests.console.screenshots $(SHOTS)

package: $(VENV)/ready-to-test ## build and check what is deployed
	$(BIN)/python -m infra.package

clean: ## remove all that was installed or built; the tasks under .local stay
	rm -rf $(VENV) .envs build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --no-deps: the pins are complete, and Chalice's command-line tools are not wanted in the local run.
$(VENV)/ready-to-run: requirements.txt requirements-local.txt | $(BIN)/python
	@test -e $(VENV)/ready-to-test || echo "Installing what the local run needs (once) ..."
	@$(PIP) --no-deps -r requirements-local.txt
	@touch $@

$(VENV)/ready-to-test: requirements.txt requirements-dev.txt | $(BIN)/python
	@echo "Installing what the tests need (once; about a minute) ..."
	@$(PIP) --no-deps -r requirements-dev.txt
	@touch $@ $(VENV)/ready-to-run

$(BIN)/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(FITS)' 2>/dev/null || { echo "$$NO_PYTHON" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV)
