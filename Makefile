# Every target sets up what it needs: a virtual environment from the hash-locked requirements.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test up bench check lock fmt requirements clean

help:  ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(STAMP): requirements/dev.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python requirements/dev.txt
	@UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python -e .
	@touch $(STAMP)

setup: $(STAMP)  ## Create .venv from the locked requirements

demo: $(STAMP)  ## The main job, end to end, on real engines
	@$(BIN)/ampwave demo $(ARGS)

up: $(STAMP)  ## All processes and engines on this machine, until Ctrl-C
	@$(BIN)/ampwave up $(ARGS)

test: $(STAMP)  ## All tests, with real PostgreSQL, S3 and Temporal
	@$(BIN)/python -m pytest -q $(ARGS)

bench: $(STAMP)  ## Print the published numbers beside their comparators
	@$(BIN)/python -m tests.benchmarks.run $(if $(ONLY),--only $(ONLY)) $(ARGS)

check: $(STAMP)  ## Style, types, import rules, deploy files, requirements page
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.house

fmt: $(STAMP)  ## Format the code
	@$(BIN)/ruff check --fix-only --quiet . ; $(BIN)/ruff format .

requirements: $(STAMP)  ## Write tests/REQUIREMENTS.md anew
	@$(BIN)/python -m tests.house --write

lock: $(STAMP)  ## Resolve the requirements anew (hashes, no index host)
	@env -u UV_INDEX -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_DEFAULT_INDEX -u UV_FIND_LINKS \
	  sh requirements/lock.sh $(BIN)/uv

clean:  ## Remove the virtual environment and local data
	rm -rf $(VENV) .ampwave
