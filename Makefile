# Two commands matter: `make study` and `make test`. Each creates .venv, installs and runs.
PROFILE ?= quick
DATABASES ?= ckplus oulu_casia mmi
DATA ?=
CKPLUS ?=
OULU_CASIA ?=
MMI ?=
OUT ?= runs/$(PROFILE)
# Processes at once; one per core unless told otherwise (on GPUs: one on each).
JOBS ?=
STUDY_OPTIONS ?=
# The study whose CSV files `make figures` draws, and where to.
RECORD ?= record/standard
FIGURES ?= figures
PYTEST_OPTIONS ?=
# Benchmarks and options of `make bench`; all but the long ones by default.
BENCH ?=
# Of the campaigns: kills to be tried, and minutes of fuzzing in all.
KILLS ?= 30
MINUTES ?= 10

# The first Python 3.11 to 3.13 that really starts; PYTHON=... chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN = $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install install-dev study test lint lab kernel figures bench faults fuzz release

help:
	@echo "make study   render (or read) the databases, train, write the notebooks, figures and tables"
	@echo "make test    run the test suite"
	@echo "make lab     open the notebooks in JupyterLab"
	@echo "make kernel  offer this environment's kernel in the JupyterLab of another one"
	@echo "make figures draw the figures of record again from record/standard; trains nothing"
	@echo "make lint    ruff and mypy"
	@echo "make bench   throughput, latency and memory on this machine (BENCH=\"throughput gap\" for some)"
	@echo "make faults  kill every stage at random moments, KILLS=30, and compare with an undisturbed run"
	@echo "make fuzz    give the readers damaged files for MINUTES=10"
	@echo "make release build the archive of this version, with checksums (a maintainer deposits it)"
	@echo "Variables: PROFILE=smoke|quick|standard|paper DATABASES=\"ckplus oulu_casia mmi\" DATA=/path"
	@echo "           CKPLUS=/path OULU_CASIA=/path MMI=/path OUT=runs/NAME JOBS=N"

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 was found; install one or say PYTHON=/path/to/python."; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV) (about 6 GB on Linux, most of it torch's CUDA libraries) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
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

# For a JupyterLab of another environment; `gndl doctor` says whether its widgets fit.
kernel: install
	$(BIN)/gndl lab --register-kernel

figures: install
	@$(BIN)/gndl figures $(RECORD) --out "$(FIGURES)"

bench: install-dev
	@$(BIN)/gndl bench $(BENCH)

faults: install-dev
	$(BIN)/python campaigns/faults.py --kills $(KILLS)

fuzz: install-dev
	$(BIN)/python campaigns/fuzz.py --minutes $(MINUTES)

release: install-dev
	@$(BIN)/python -m gndl.sharing.release --record "$(RECORD)"
