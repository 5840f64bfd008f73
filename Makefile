# Every target sets up what it needs first; where nothing is to do, that takes a fraction of a second.
PYTHON ?= python3
BIN := .venv/bin
AUDIT := .venv/auditors/bin/pip-audit --vulnerability-service osv --no-deps --disable-pip --progress-spinner off
COMPILE := .venv/auditors/bin/uv pip compile --quiet --universal --generate-hashes --no-annotate --python-version 3.11 $(if $(UPGRADE),--upgrade) \
  --custom-compile-command "make lock" --no-emit-package torch --constraint locks/torch.txt
PROJECT := pyproject.toml - --extra traces  # `-`: what builds the project, so that nothing is fetched without a hash
WITH_MODEL := $(if $(MODEL),TOONCRAFTER_MODEL="$(MODEL)")
CHECKED := admin api clients core dispatcher model training worker scripts testkit tests benchmarks

.DEFAULT_GOAL := help
.PHONY: help demo up test test-some test-all check audit format env-example openapi dashboards \
  chaos fuzz bench bench-gpu train-gpu blender-extension lock setup setup-tests clean

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: setup  ## animate the drawings in examples/ into out/, with a stack of its own: MODEL=preview, tiny or a path
	@$(WITH_MODEL) $(BIN)/python -m scripts.demo

up: setup  ## run the whole stack in the foreground, until Ctrl-C: MODEL=preview, tiny or a path
	@$(WITH_MODEL) $(BIN)/python scripts/up

test: setup-tests  ## run all tests but the long ones: ten minutes on two cores
	@$(BIN)/python -m pytest -n 2 --no-loadscope-reorder -m "not long" $(OPTIONS)

test-some: setup-tests  ## run those of the long tests that take seconds each: four minutes on two cores
	@$(BIN)/python -m pytest -n 2 --no-loadscope-reorder -m long tests/architecture tests/benchmarks/test_counts.py \
	  tests/e2e tests/model tests/training/test_tiny_experimental.py tests/worker/jobs \
	  tests/worker/test_live_shot.py tests/contract/test_generated_calls.py::test_calls_by_chance_keep_the_contract $(OPTIONS)

test-all: setup-tests  ## run every test, with twenty times as many generated examples: half an hour on two cores
	@$(PYTHON) scripts/setup.py buildah debootstrap blender
	@$(BIN)/python -m pytest -n 2 --no-loadscope-reorder --hypothesis-profile=thorough $(OPTIONS)

check: setup  ## lint, formatting, types, who may import whom, sizes, and known holes in what is locked
	@$(BIN)/ruff check $(CHECKED)
	@$(BIN)/ruff format --check $(CHECKED)
	@$(BIN)/mypy
	@$(BIN)/mypy --config-file clients/python/pyproject.toml clients/python/src clients/comfyui clients/blender
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/architecture/test_limits.py tests/core/store/test_scripts.py
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

bench-gpu: setup  ## measure one GPU with seeded full-size weights in 7 minutes: out/bench-gpu.json, .md and .svg
	@$(BIN)/python -m benchmarks.gpu $(OPTIONS)

train-gpu: setup  ## teach the small models for MINUTES=5 of a GPU, from the committed weights on: out/train-gpu
	@$(BIN)/python -m training.minutes --minutes $(or $(MINUTES),5) --out out/train-gpu $(LESSONS)

blender-extension: setup  ## build Blender's extension into out/
	@$(BIN)/python -m scripts.blender_extension

audit:  ## look up known vulnerabilities of the locked versions, where osv.dev is reached
	@$(PYTHON) scripts/setup.py auditors
	@if $(BIN)/python -c 'from urllib.request import urlopen; urlopen("https://osv.dev", timeout=10)' 2>/dev/null; \
	then for lock in locks/*.txt; do $(AUDIT) --requirement $$lock || exit 1; done; \
	else echo "audit: osv.dev is not reached from here, so no known vulnerability was looked up"; fi

lock:  ## bring locks/ up to date with pyproject.toml and locks/*.in; UPGRADE=1 takes newer versions
	@$(PYTHON) scripts/setup.py auditors
	@echo setuptools | $(COMPILE) $(PROJECT) --extra api --extra worker --extra training --extra dev -o locks/desk.txt
	@echo setuptools | $(COMPILE) $(PROJECT) --extra api -c locks/desk.txt -o locks/api.txt
	@echo setuptools | $(COMPILE) $(PROJECT) --extra worker -c locks/desk.txt -o locks/worker.txt
	@for name in servers checkers auditors blender; do $(COMPILE) locks/$$name.in -o locks/$$name.txt || exit 1; done

setup:  ## make .venv, or bring it up to date; the other commands do it by themselves
	@$(PYTHON) scripts/setup.py

setup-tests:  ## the same, with what only tests need
	@$(PYTHON) scripts/setup.py servers checkers auditors chromium prometheus caddy ffmpeg

clean:  ## remove .venv and what the demo made; the jobs in .state stay
	rm -rf .venv out
