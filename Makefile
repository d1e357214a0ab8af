# Every target first sets up VENV. `make help` prints the comments that begin with ##.

VENV ?= .venv
PYTHON ?= python3
TORCH ?= auto
PATTERN ?=
SEED ?=
ARGS ?=
## VENV     the environment; it is made if it does not exist, and keeps PyTorch if it has it (.venv)
## PYTHON   the Python that makes a new environment, 3.11 or newer (python3)
## TORCH    the build of PyTorch in a new environment: cpu, default, or auto (cpu if there is no GPU) (auto)
## PATTERN  a part of a case's name, or a family, for check, calibrate and mutants (all)
## SEED     a number, or "source" for another one with each version of scratch: faults are generated from it (none)
## ARGS     more options for the command, such as ARGS="--dtype float32"

override VENV := $(patsubst ~/%,$(HOME)/%,$(VENV))
BIN := "$(VENV)/bin"
SET_UP := "$(PYTHON)" install.py "$(VENV)" --torch "$(TORCH)"

.DEFAULT_GOAL := help
.PHONY: ready ready-dev python $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' Makefile)

help:  ## show this text
	@echo "Neural networks in NumPy with hand-written backwards, verified against PyTorch. Start with: make check"
	@echo
	@sed -n 's/^\([a-z-]*\):.*\#\# /  make \1	/p' Makefile | expand -t 20
	@echo
	@echo 'Settings, as in: make check PATTERN=conv VENV=path/to/env'
	@sed -n 's/^## /  /p' Makefile

check: ready  ## verify every twin and print the table; the first run sets up the environment
	@$(BIN)/parity check $(PATTERN) $(ARGS)
	@echo
	@echo 'Next:  "$(VENV)/bin/parity" check cnn    or:  source "$(VENV)/bin/activate"    and then:  parity check cnn'

test: ready  ## run the whole test suite on all cores
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

versions: python  ## verify the oldest, pinned and newest versions, each in its own environment (gigabytes, in .versions/)
	"$(PYTHON)" -m parity_tests.versions $(PATTERN) $(ARGS)

kernels: ready  ## run the test suite under several BLAS kernels and thread counts; an hour or more
	$(BIN)/python -m parity_tests.kernels $(ARGS)

bench: ready  ## print the speed of NumPy as a ratio to PyTorch's
	$(BIN)/python -m pytest benchmarks $(ARGS)

calibrate: ready  ## run every case on 200 seeds: distribution of error / tolerance, false alarms, vacuous comparisons
	$(BIN)/parity calibrate $(PATTERN) $(ARGS)

faults: ready  ## plant every fault of the catalogue in all of its cases, on eight seeds; with SEED, generated faults
	$(BIN)/python -m parity_tests.$(if $(SEED),generated --seed $(SEED),faults) $(ARGS)

variants: ready  ## judge right code that is written in other ways, on eight seeds, and count the false alarms
	$(BIN)/python -m parity_tests.variants $(ARGS)

mutants: ready  ## plant a fault in every line of scratch, and list those that no case and no test detects
	$(BIN)/python -m parity_tests.mutation $(PATTERN) $(ARGS)

lint: ready-dev  ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: ready-dev  ## correct style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

ready: python
	@$(SET_UP)

ready-dev: python
	@$(SET_UP) --extras test,examples,dev

python:
	@command -v "$(PYTHON)" > /dev/null || { echo 'install: there is no $(PYTHON) here; name a Python: make check PYTHON=python3.12'; exit 1; }
