# Every target sets up .venv by itself when it is missing or older than what it is made from.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test lint format dashboard clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with the pinned versions

run: $(READY) ## train; settings go in ARGS, as in make run ARGS="+experiment=fashion_mnist_20 seed=1"
	@$(BIN)/python -m resnet_lab $(ARGS)

test: $(READY) ## run the tests; ARGS goes to pytest
	@$(BIN)/python -m pytest $(ARGS)

lint: $(READY) ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY) ## rewrite the code in the project's style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

dashboard: $(READY) ## open TensorBoard on all runs in outputs/
	@$(BIN)/tensorboard --logdir outputs $(ARGS)

clean: ## remove .venv and caches; never outputs/
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis build dist
	find resnet_lab tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# An unfinished set-up has no .ready, and is made anew.
$(READY): pyproject.toml constraints.txt
	@echo "setting up $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit("resnet_lab needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
