# Cueline. `make` alone lists what there is. Needs python3 (3.11 or newer) and make, nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
PEERS_VENV := .venv-peers
PEERS := $(PEERS_VENV)/.installed

# What may be given to single targets: make test TEST_ARGS="-k retry", make demo MAIL=down, ...
SERVE_ARGS ?=
DEMO_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=
CHAOS_ARGS ?=
TABLE_ARGS ?=
MAIL ?=
UPGRADE ?=

# Folders with Python in them that mypy reads; the package under its own name, not as src.
TYPED = $(wildcard cueline tests examples benchmarks docs/*.py)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

# ------------------------------------------------------------------------------------- installing
# Exact versions, each with its hashes; nothing that is not in a lock file is fetched.
# A stamp file in .venv is newer than the lock it was made from, so a repeat costs nothing.

$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
		echo "There is no '$(PYTHON)'. Install Python 3.11 or newer, or name one: make install PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Cueline needs Python 3.11 or newer; '$(PYTHON)' is older. Name another: make install PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' lacks the venv module (on Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Creating $(VENV)"
	@"$(PYTHON)" -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing Cueline from requirements.lock"
	@$(PIP) install -qq --require-hashes -r requirements.lock
	@$(PIP) install -qq --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "Installing Cueline and its development tools from requirements-dev.lock"
	@$(PIP) install -qq --require-hashes -r requirements-dev.lock
	@$(PIP) install -qq --no-deps --no-build-isolation -e .
	@touch $(RUNTIME) $@

$(PEERS): benchmarks/peers.lock | $(BIN)/python
	@echo "Installing the peers from benchmarks/peers.lock"
	@$(BIN)/python -m venv --clear $(PEERS_VENV)
	@$(PEERS_VENV)/bin/python -m pip --disable-pip-version-check --no-input install -qq --require-hashes -r $<
	@touch $@

$(BIN)/uv: | $(BIN)/python
	@$(PIP) install -qq uv

.PHONY: install
install: $(RUNTIME) ## Make .venv with Cueline in it

.PHONY: install-dev
install-dev: $(DEV) ## The same, with what tests and checks need

# ---------------------------------------------------------------------------------------- running

.PHONY: run
run: $(RUNTIME) ## Serve on the embedded default: one process, no other server
	@exec $(BIN)/cueline serve $(SERVE_ARGS)

.PHONY: demo
demo: $(DEV) ## Run the invoice demo (MAIL=down: while mail is down)
	@exec $(BIN)/python -m examples.invoices.demo $(if $(MAIL),--mail $(MAIL)) $(DEMO_ARGS)

.PHONY: bench
bench: $(RUNTIME) ## Measure how fast Cueline is here, on each store and broker (BENCH_ARGS=--help)
	@exec $(BIN)/python -m benchmarks $(BENCH_ARGS)

.PHONY: bench-peers
bench-peers: $(RUNTIME) $(PEERS) ## The same beside its peers, which get an environment of their own
	@exec $(BIN)/python -m benchmarks --peers $(BENCH_ARGS)

# --------------------------------------------------------------------------------------- checking

.PHONY: test
test: $(DEV) ## Run the tests that need no server and no browser
	@$(BIN)/python -m pytest -m "not server and not browser and not simulation" $(TEST_ARGS)

.PHONY: test-unit
test-unit: $(DEV) ## Run those of the domain, the use cases and the memory adapters: seconds
	@$(BIN)/python -m pytest tests/unit/domain tests/unit/application tests/unit/infrastructure/memory $(TEST_ARGS)

.PHONY: test-servers
test-servers: $(DEV) ## Run those that need PostgreSQL, Redis or RabbitMQ (CONTRIBUTING.md)
	@$(BIN)/python -m pytest -m "server and not hunt" $(TEST_ARGS)

.PHONY: hunt
hunt: $(DEV) ## Kill, freeze and cut off what runs on them, briefly (docs/simulation.md)
	@$(BIN)/python -m pytest -m hunt $(TEST_ARGS)

.PHONY: simulate
simulate: $(DEV) ## Run 2,000 simulated worlds, and look for planted bugs (docs/simulation.md)
	@$(BIN)/python -m pytest -m simulation $(TEST_ARGS)

.PHONY: chaos
chaos: chaos-worlds chaos-stores chaos-servers ## Hunt our own bugs for hours (docs/simulation.md)

.PHONY: chaos-worlds
chaos-worlds: $(DEV) ## 100,000 simulated worlds
	@$(BIN)/python -m tests.simulation --planted all --seeds 0-200
	@$(BIN)/python -m tests.simulation $(or $(CHAOS_ARGS),--seeds 0-100000)

.PHONY: chaos-stores
chaos-stores: $(DEV) ## 20,000 examples of the same operations on three stores; a long fuzz of the API
	@CUELINE_EXAMPLES=20000 $(BIN)/python -m pytest --timeout 36000 tests/integration/test_three_stores.py
	@CUELINE_FUZZ=2000 $(BIN)/python -m pytest --timeout 36000 tests/unit/interfaces/rest/test_fuzz.py

.PHONY: chaos-servers
chaos-servers: $(DEV) ## The long table of faults: workers and servers that are killed, frozen, cut off
	@$(BIN)/python -m tests.chaos $(or $(TABLE_ARGS),--long)

.PHONY: check
check: lint format-check types imports docs-check ## Run every check that is not a test

.PHONY: lint
lint: $(DEV) ## Check the code's style (ruff)
	@$(BIN)/ruff check .

.PHONY: format-check
format-check: $(DEV) ## Check the code's format (ruff)
	@$(BIN)/ruff format --check .

.PHONY: types
types: $(DEV) ## Check the types (mypy, strict)
	@$(BIN)/python -m mypy $(TYPED)

.PHONY: imports
imports: $(DEV) ## Check the rings (import-linter)
	@$(BIN)/lint-imports --no-logo

.PHONY: docs-check
docs-check: $(DEV) ## Check that the generated docs are up to date
	@$(BIN)/python -m docs.generate --check

# ---------------------------------------------------------------------------------------- changing

.PHONY: format
format: $(DEV) ## Format the code and apply safe fixes (ruff)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: docs
docs: $(DEV) ## Regenerate the generated docs
	@$(BIN)/python -m docs.generate

# For every platform and every Python that Cueline supports; no index is named in the files.
COMPILE = $(BIN)/uv pip compile pyproject.toml --group build --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-config --quiet \
	$(if $(UPGRADE),--upgrade)

.PHONY: lock
lock: | $(BIN)/uv ## Remake the lock files (UPGRADE=1: with the newest versions)
	@$(COMPILE) --output-file requirements.lock
	@$(COMPILE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock
	@$(subst pyproject.toml --group build,benchmarks/peers.in,$(COMPILE)) --output-file benchmarks/peers.lock

.PHONY: clean
clean: ## Remove .venv and everything that was built or cached
	@rm -rf $(VENV) $(PEERS_VENV) build dist cueline.egg-info htmlcov .coverage .coverage.* \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
