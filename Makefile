# Short verbs. Every verb that needs the environment makes it first: python3, git and make are all a machine must have.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
JOBS   ?= $(shell echo $$(( $$(nproc) + 2 )))

TEST    = $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

.PHONY: help setup demo test test-claude test-all claude lint types stress bench ci clean

help:            ## this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

setup: $(VENV)/ready   ## a virtual environment with everything in it

demo: setup      ## run the main job in a scratch repository (no Claude, no network)
	@$(BIN)/python examples/demo.py

test: setup      ## the tests
	$(TEST) --ignore=tests/claude

test-claude: claude  ## the tests against the real Claude CLI, which they fetch; no network otherwise, no account
	$(TEST) tests/claude

test-all: claude  ## both at once, since those of Claude mostly wait
	$(TEST)

claude: setup
	$(BIN)/python tests/claude/pinned.py || echo 'SKIPPED: the registry does not give the Claude CLI' >&2

lint: setup      ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup     ## strict types
	$(BIN)/mypy

stress: setup    ## what is too long or too violent for the tests
	$(BIN)/python -m stress

bench: setup     ## figures, as ratios against peers in the same run
	$(BIN)/python -m stress bench

ci: lint types test-all  ## what must hold at every commit
	STRESS_SEED=1 STRESS_SCALE=0.05 $(BIN)/python -m stress fuzz_language
	folder=$$(mktemp -d) && TMPDIR=$$folder $(BIN)/python examples/demo.py && rm -r $$folder

clean:           ## remove what the verbs above made here
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .cache
