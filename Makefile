# Every target sets up what it needs first; where nothing is to do, that takes a fraction of a second.
PYTHON ?= python3
BIN := .venv/bin
CHECKED := admin api core dispatcher model worker scripts testkit tests benchmarks

.DEFAULT_GOAL := help
.PHONY: help demo up test test-long check audit format env-example openapi dashboards \
  chaos fuzz bench lock setup setup-tests clean

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: setup  ## make out/demo.mp4 from the two keyframes in examples/, with a stack of its own
	@$(BIN)/python -m scripts.demo

up: setup  ## run the whole stack in the foreground, until Ctrl-C
	@$(BIN)/python scripts/up.py

test: setup-tests  ## run all tests but the long ones
	@$(BIN)/python -m pytest -m "not long"

test-long: setup-tests  ## run the tests that take minutes each
	@$(BIN)/python -m pytest -m long

check: setup  ## lint, formatting, types, who may import whom, and known holes in what is locked
	@$(BIN)/ruff check $(CHECKED)
	@$(BIN)/ruff format --check $(CHECKED)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(MAKE) --no-print-directory audit

format: setup  ## put the code into ruff's format
	@$(BIN)/ruff check --fix $(CHECKED)
	@$(BIN)/ruff format $(CHECKED)

env-example: setup  ## write .env.example from the settings
	@$(BIN)/python scripts/export_env.py

openapi: setup  ## write openapi.yaml from the gateway
	@$(BIN)/python scripts/export_openapi.py

dashboards: setup  ## write Grafana's dashboards from scripts/dashboards
	@$(BIN)/python -m scripts.dashboards

chaos: setup-tests  ## harm a running service and prove that no job is lost: JOBS=500 FAULTS=30 SEED=1
	@$(BIN)/python -m testkit.chaos --jobs $(or $(JOBS),500) --faults $(or $(FAULTS),30) --seed $(or $(SEED),1)

fuzz: setup-tests  ## call a gateway by its contract with generated calls: EXAMPLES=500 SEED=1, else by chance
	@$(BIN)/python -m testkit.contract --examples $(or $(EXAMPLES),500) $(if $(SEED),--seed $(SEED))

bench: setup  ## measure gateway, queue, fairness, fleet and model into one table, out/bench.md: OPTIONS="queue --full"
	@$(BIN)/python -m benchmarks $(OPTIONS)

audit:  ## ask which of the locked versions have known holes, where a network is there
	@$(PYTHON) scripts/setup.py auditors
	@$(BIN)/python scripts/audit.py

lock:  ## write constraints.txt from what .venv holds, and the hashes of all files into locks/
	@$(PYTHON) scripts/setup.py auditors
	@{ grep '^#' constraints.txt; $(BIN)/python -m pip freeze --all --exclude-editable | grep -v '^pip=' \
	  | sed 's/+.*//'; } > constraints.new && mv constraints.new constraints.txt
	@$(BIN)/python scripts/lock.py

setup:  ## make .venv, or bring it up to date; the other commands do it by themselves
	@$(PYTHON) scripts/setup.py

setup-tests:  ## the same, with what only tests need
	@$(PYTHON) scripts/setup.py servers checkers auditors chromium prometheus

clean:  ## remove .venv and what the demo made; the jobs in .state stay
	rm -rf .venv out
