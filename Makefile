# One environment in .venv, installed once and reused until pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install augment smoke test lint docs viz ui clean

help:  ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "satsynth needs Python 3.11 or newer; try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (PyTorch is large: several minutes the first time) ..."
	@# Compiling all of PyTorch takes a minute and a half; what is imported is compiled then.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[dev]'
	@touch $@

install: $(READY)  ## install the environment in .venv

augment: $(READY)  ## run the whole pipeline on NASA Blue Marble (10 to 30 minutes on 2 cores)
	@$(BIN)/kedro run --pipeline=augment

smoke: $(READY)  ## run the whole pipeline on a tiny scale (about a minute)
	@$(BIN)/kedro run --pipeline=augment --env=smoke

# One thread a worker: with two threads each, two workers on two cores took 9 % longer and 28 % more processor time.
test: $(READY)  ## run all tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=2 --dist=loadgroup --no-loadscope-reorder

lint: $(READY)  ## check style, types and the import contract
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(READY)  ## build the documentation in build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

viz: $(READY)  ## show lineage and previews in the browser (Kedro-Viz)
	@$(BIN)/kedro viz run

ui: $(READY)  ## compare runs in the browser (MLflow)
	@MLFLOW_DISABLE_TELEMETRY=true $(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db

clean:  ## remove everything that runs produced (raw data and the environment stay)
	@rm -rf data/.work data/0[2-8]_* mlflow.db* mlartifacts mlruns .viz build info.log
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
