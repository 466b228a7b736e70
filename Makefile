# Cueline. `make` alone lists what there is. Needs python3 (3.11 or newer) and make, nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed

# What may be given to single targets: make test TEST_ARGS="-k retry", make demo MAIL=down, ...
SERVE_ARGS ?=
DEMO_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=
MAIL ?=
UPGRADE ?=

# Folders with Python in them that mypy reads; the package under its own name, not as src.
TYPED = $(wildcard cueline tests examples benchmarks docs/*.py)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

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
bench: $(RUNTIME) ## Measure the speed of this machine
	@exec $(BIN)/python -m benchmarks $(BENCH_ARGS)

# --------------------------------------------------------------------------------------- checking

.PHONY: test
test: $(DEV) ## Run the tests that need no server and no browser
	@$(BIN)/python -m pytest -m "not server and not browser" $(TEST_ARGS)

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

.PHONY: clean
clean: ## Remove .venv and everything that was built or cached
	@rm -rf $(VENV) build dist cueline.egg-info htmlcov .coverage .coverage.* \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
