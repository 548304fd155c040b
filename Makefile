# Every target sets up .venv by itself when it is missing or older than what it is made from.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast test-extras test-versions lint format figures docs dashboard clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with the pinned versions

run: $(READY) ## train; settings go in ARGS, as in make run ARGS="+experiment=fashion_mnist_20 seed=1"
	@$(BIN)/python -m resnet_lab $(ARGS)

test: $(READY) ## run the tests; ARGS goes to pytest
	@$(BIN)/python -m pytest $(ARGS)

test-fast: $(READY) ## run the fast tests, which touch every package, in a minute
	@$(BIN)/python -m pytest -m "not slow" $(ARGS)

test-versions: $(READY) ## test with other Pythons, and with the oldest dependencies, in environments of their own
	@$(BIN)/python scripts/test_versions.py $(ARGS)

test-extras: .venv-extras/.ready .venv-ray/.ready ## test sweeps by Optuna, SLURM and Ray, in environments of their own
	@.venv-extras/bin/python -m pytest tests/extras/test_search.py tests/extras/test_slurm.py $(ARGS)
	@.venv-ray/bin/python -m pytest tests/extras/test_ray.py $(ARGS)

lint: $(READY) ## check style, types and words
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python scripts/check_words.py

format: $(READY) ## rewrite the code in the project's style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

figures: $(READY) ## write the generated tables, pages and figures of docs/ again
	@$(BIN)/python scripts/draw_units.py
	@$(BIN)/python scripts/draw_fit.py
	@$(BIN)/python scripts/draw_augmentations.py
	@$(BIN)/python scripts/draw_schedules.py
	@$(BIN)/python scripts/networks.py
	@$(BIN)/python -m studies.compared
	@$(BIN)/python -m studies.why_residual
	@$(BIN)/python -m studies.autoencoders
	@$(BIN)/python -m studies.learning_speed
	@$(BIN)/python scripts/write_series.py
	@$(BIN)/python -m benchmarks.report
	@$(BIN)/python scripts/draw_autoencoders.py

docs: $(READY) ## build the documentation as a site in build/site
	@$(BIN)/python scripts/build_site.py

dashboard: $(READY) ## open TensorBoard on all runs in outputs/
	@$(BIN)/python -m resnet_lab.dashboard $(ARGS)

clean: ## remove .venv and caches; never outputs/
	rm -rf $(VENV) .venv-extras .venv-ray .venv-versions .mypy_cache .ruff_cache .hypothesis build dist
	find resnet_lab tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# An unfinished set-up has no .ready, and is made again.
$(READY): EXTRAS := dev
.venv-extras/.ready: EXTRAS := dev,optuna,slurm
.venv-ray/.ready: EXTRAS := dev,ray
$(READY) .venv-extras/.ready: PINNED := constraints.txt
.venv-ray/.ready: PINNED := constraints-ray.txt
$(READY) .venv-extras/.ready: constraints.txt
.venv-ray/.ready: constraints-ray.txt

%/.ready: pyproject.toml resnet_lab/version.py
	@echo "setting up $*"
	@$(PYTHON) -c 'import sys; sys.exit("resnet_lab needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@rm -rf $*
	@$(PYTHON) -m venv $*
	@PIP_CONSTRAINT=$(PINNED) $*/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	@touch $@
