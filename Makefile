# Every target sets up what it needs: a virtual environment from the hash-locked requirements.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test up bench soak safety check lock fmt requirements clean

help:  ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): requirements/dev.txt requirements/uv.txt requirements/setup.sh pyproject.toml
	@PYTHON="$(PYTHON)" sh requirements/setup.sh $(VENV)
	@touch $(STAMP)

setup: $(STAMP)  ## Create .venv from the locked requirements
	@:

demo: $(STAMP)  ## The main job, end to end, on real engines
	@$(BIN)/ampwave demo $(ARGS)

up: $(STAMP)  ## All processes and engines on this machine, until Ctrl-C
	@$(BIN)/ampwave up $(ARGS)

# The whole stack wants the machine to itself; the rest shares it, each worker with engines of its own.
test: $(STAMP)  ## All tests, with real PostgreSQL, S3 and Temporal (ARGS=tests/unit for some)
ifdef ARGS
	@$(BIN)/python -m pytest -q $(ARGS)
else
	@$(BIN)/python -m pytest -q tests/e2e; whole=$$?; \
	  $(BIN)/python -m pytest -q --ignore tests/e2e --numprocesses auto --maxprocesses 4 --dist worksteal \
	  && exit $$whole
endif

bench: $(STAMP)  ## The published numbers beside their comparators (ONLY=ingest,memory)
	@$(BIN)/python -m tests.benchmarks $(if $(ONLY),--only $(ONLY)) $(ARGS)

soak: $(STAMP)  ## Ten thousand chargers on one node for ten minutes, with storms
	@$(BIN)/python -m tests.benchmarks --only soak $(ARGS)

safety: $(STAMP)  ## 10,000 fault-injected campaigns in simulated time, and a referee (ARGS='--campaigns 500')
	@$(BIN)/python -m tests.safety $(ARGS)

check: $(STAMP)  ## Style, types, import rules, house rules, deploy files
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.house

fmt: $(STAMP)  ## Format the code
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

requirements: $(STAMP)  ## Write the generated pages anew: requirements, settings
	@$(BIN)/python -m tests.house --write

lock: $(STAMP)  ## Resolve the requirements anew (hashes, no index host)
	@env -u UV_INDEX -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_DEFAULT_INDEX -u UV_FIND_LINKS \
	  sh requirements/lock.sh $(BIN)/uv

clean:  ## Remove the virtual environment and local data
	rm -rf $(VENV) .ampwave
