# Two commands matter: `make study` and `make test`. Each creates .venv, installs and runs.
PROFILE ?= quick
DATABASES ?= ckplus oulu_casia mmi
DATA ?=
CKPLUS ?=
OULU_CASIA ?=
MMI ?=
OUT ?= runs/$(PROFILE)
# Processes at once; one per core by default (on GPUs: one on each).
JOBS ?=
STUDY_OPTIONS ?=
# The study whose tables `make figures` draws.
RECORD ?= record/standard
PYTEST_OPTIONS ?=

# The first Python 3.11 to 3.13 that starts; PYTHON=... chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN = $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install install-dev study test lint lab figures

help:
	@echo "make study   train on the stand-ins or on your copies, execute the notebooks"
	@echo "make test    run the test suite"
	@echo "make lab     open the notebooks in JupyterLab"
	@echo "make figures draw the figures and tables of record again from $(RECORD); trains nothing"
	@echo "make lint    ruff, mypy, notebooks without outputs"
	@echo "Variables: PROFILE=smoke|quick|standard|paper DATABASES=\"ckplus oulu_casia mmi\" DATA=/path"
	@echo "           CKPLUS=/path OULU_CASIA=/path MMI=/path OUT=runs/NAME JOBS=N"

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found; install one or set PYTHON=/path/to/python."; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV) (about 6 GB on Linux, most of it torch's CUDA libraries) ..."
	$(PIP_INSTALL) -e ".[standins]"
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP_INSTALL) -e ".[standins,dev]"
	@touch $@

install: $(VENV)/installed
install-dev: $(VENV)/installed-dev

study: install
	@$(BIN)/gndl study --profile $(PROFILE) --databases $(DATABASES) --out "$(OUT)" $(if $(JOBS),--jobs $(JOBS)) \
		$(if $(DATA),--data "$(DATA)") $(if $(CKPLUS),--ckplus "$(CKPLUS)") \
		$(if $(OULU_CASIA),--oulu-casia "$(OULU_CASIA)") $(if $(MMI),--mmi "$(MMI)") $(STUDY_OPTIONS)

test: install-dev
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/nbstripout --verify notebooks/*.ipynb

# The filter keeps outputs, and so faces, out of every commit of a notebook.
lab: install
	@git rev-parse --git-dir >/dev/null 2>&1 && $(BIN)/nbstripout --install || true
	$(BIN)/jupyter lab notebooks

figures: install
	@$(BIN)/gndl study --only notebooks --out "$(RECORD)"
