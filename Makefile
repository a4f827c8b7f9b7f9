# Everything runs in a virtual environment inside the checkout; `make demo` and `make test` make it.
#
#   make demo            Pendulum paid only at the end, four arms, and runs/demo/report.html
#   make demo-nethack    two arms in the real NetHack
#   make test            the whole test suite (under 15 minutes on two cores)
#   make help            the other targets
#
# Variables:
#   PYTHON=python3.11    the interpreter to start from (3.10 to 3.12)
#   TORCH=cpu            cpu: a CPU build; default: the package index's own (on Linux x86_64 a CUDA
#                        build of several GB); or a requirement such as TORCH=torch==2.9.1

PYTHON ?= python3
TORCH ?= cpu
VENV := .venv
NEWEST := .venv-newest
BIN := $(VENV)/bin
OUT ?= runs/demo
JOBS ?= 2

# Real maps and instances that tests may read; tests that need them skip where they are absent.
ifneq ($(wildcard ../shared/data),)
export REWARDLOOM_TEST_DATA ?= $(abspath ../shared/data)
endif

.PHONY: help setup setup-newest demo demo-nethack evidence test test-newest test-long lint format types bench doctor wheel clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: ## make or update the virtual environment
	@$(PYTHON) scripts/setup_env.py --python $(PYTHON) --venv $(VENV) --torch '$(TORCH)'

setup-newest: ## the same with the newest Gymnasium 1.x
	@$(PYTHON) scripts/setup_env.py --python $(PYTHON) --venv $(NEWEST) --torch '$(TORCH)' --newest

demo: setup ## a return paid only at the end: raw, raw tuned, redistributed, dense
	$(BIN)/rewardloom compare --config examples/demo.json --out $(OUT) --jobs $(JOBS) --overwrite

demo-nethack: setup ## NetHack with and without an intrinsic reward, compared in one report
	$(BIN)/rewardloom compare --config examples/demo_nethack.json --out $(OUT)-nethack \
		--jobs $(JOBS) --overwrite

evidence: setup ## every comparison of docs/evidence.md (hours), into runs/evidence
	@for config in examples/evidence/*.json; do \
		name=$$(basename $$config .json); \
		$(BIN)/rewardloom compare --config $$config --out runs/evidence/$$name \
			--jobs $(JOBS) --overwrite || exit 1; \
	done
	$(BIN)/python scripts/evidence_table.py runs/evidence/*

test: setup ## run the test suite
	$(BIN)/python -m pytest -q -n $(JOBS)

test-newest: setup-newest ## run the test suite on the newest Gymnasium 1.x
	$(NEWEST)/bin/python -m pytest -q -n $(JOBS)

test-long: setup ## longer searches on real instances than `make test` has time for
	REWARDLOOM_TEST_LONG=1 $(BIN)/python -m pytest -q -n $(JOBS) \
		tests/envs/branching/test_real_instances.py

lint: setup ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup ## mend style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup ## check types
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: setup ## time the parts that have a bound; ratios within one process
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/run.py

doctor: setup ## say what works on this machine and what mends the rest
	$(BIN)/rewardloom doctor

wheel: setup ## build the sdist and the wheel into dist/
	rm -rf build dist
	$(BIN)/python -m build --outdir dist

clean: ## remove environments, runs and build products
	rm -rf $(VENV) $(NEWEST) runs build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
