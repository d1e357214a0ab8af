# Every target sets VENV up first. `make help` prints the comments that begin with ##.

VENV ?= .venv
PYTHON ?= python3
TORCH ?= auto
PATTERN ?=
ARGS ?=
## VENV     the environment: made if there is none; one that has PyTorch keeps it (.venv)
## PYTHON   the Python that makes it, 3.11 or newer (python3)
## TORCH    the build of PyTorch for a new one: cpu, default, or auto: cpu where there is no GPU (auto)
## PATTERN  part of a case's name, or a family, for check, calibrate and mutants (all)
## ARGS     further options of the command, such as ARGS="--dtype float32"

override VENV := $(patsubst ~/%,$(HOME)/%,$(VENV))
BIN := "$(VENV)/bin"
SET_UP := "$(PYTHON)" install.py "$(VENV)" --torch "$(TORCH)"

.DEFAULT_GOAL := help
.PHONY: ready ready-dev python $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' Makefile)

help:  ## show this text
	@echo "NumPy networks written by hand, verified against PyTorch. New here? Begin with: make check"
	@echo
	@sed -n 's/^\([a-z-]*\):.*\#\# /  make \1	/p' Makefile | expand -t 20
	@echo
	@echo 'Settings, as in: make check PATTERN=conv VENV=path/to/env'
	@sed -n 's/^## /  /p' Makefile

check: ready  ## verify every twin and print the table; the first time it sets up the environment
	@$(BIN)/parity check $(PATTERN) $(ARGS)
	@echo
	@echo 'Go on with:  "$(VENV)/bin/parity" check cnn    or, after: source "$(VENV)/bin/activate"    with: parity check cnn'

test: ready  ## run the whole test suite, on all cores
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

versions: python  ## verify the oldest, the pinned and the newest versions, each in an environment of its own (gigabytes, in .versions/)
	"$(PYTHON)" -m parity_tests.versions $(PATTERN) $(ARGS)

kernels: ready  ## the test suite under several BLAS kernels and thread counts, an hour or more
	$(BIN)/python -m parity_tests.kernels $(ARGS)

bench: ready  ## the speed table: NumPy, PyTorch on the CPU, and a GPU where there is one
	$(BIN)/python -m pytest benchmarks $(ARGS)

calibrate: ready  ## every case over 200 seeds: the distribution of error / tolerance, false alarms, vacuous comparisons
	$(BIN)/parity calibrate $(PATTERN) $(ARGS)

faults: ready  ## plant every fault of the catalogue in all of its cases, on eight seeds
	$(BIN)/python -m parity_tests.faults $(ARGS)

mutants: ready  ## a fault in every line of scratch: which of them the harness and the tests notice
	$(BIN)/python -m parity_tests.mutation $(PATTERN) $(ARGS)

lint: ready-dev  ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: ready-dev  ## mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

ready: python
	@$(SET_UP)

ready-dev: python
	@$(SET_UP) --extras test,examples,dev

python:
	@command -v "$(PYTHON)" > /dev/null || { echo 'install: there is no $(PYTHON) here; name a Python: make check PYTHON=python3.12'; exit 1; }
