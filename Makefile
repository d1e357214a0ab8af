# Every target sets up what it needs in $(VENV). To use an environment of your own: make check VENV=path/to/env
VENV ?= .venv
PYTHON ?= python3
PATTERN ?=
ARGS ?=

READY := $(VENV)/.scratch-parity
READY_DEV := $(VENV)/.scratch-parity-dev

.PHONY: check test versions bench calibrate mutants lint format

check: $(READY)  ## verify every twin and print the table
	$(VENV)/bin/parity check $(PATTERN) $(ARGS)

test: $(READY)  ## run the whole test suite, on all cores
	$(VENV)/bin/python -m pytest -n auto --dist worksteal $(ARGS)

versions:  ## verify the oldest, the pinned and the newest versions, each in an environment of its own (gigabytes, in .versions/)
	$(PYTHON) -m parity_tests.versions $(PATTERN) $(ARGS)

bench: $(READY)  ## the speed table: NumPy, PyTorch on the CPU, and a GPU where there is one
	$(VENV)/bin/python -m pytest benchmarks $(ARGS)

calibrate: $(READY)  ## every case over 200 seeds: the distribution of error / tolerance, false alarms, vacuous comparisons
	$(VENV)/bin/parity calibrate $(PATTERN) $(ARGS)

mutants: $(READY)  ## a fault in every line of scratch: which of them the harness and the tests notice
	$(VENV)/bin/python -m parity_tests.mutation $(PATTERN) $(ARGS)

lint: $(READY_DEV)  ## style, format and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(READY_DEV)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# An environment that has torch already keeps it; a new one gets the pinned versions.
$(READY): $(VENV)/bin/python pyproject.toml constraints.txt
	@if $(VENV)/bin/python -c "import torch" 2>/dev/null; then constraints=; else constraints="-c constraints.txt"; fi; \
	echo "Setting up $(VENV): PyTorch and the rest, a minute or more the first time"; \
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $$constraints -e ".[test,examples]"
	@touch $@

$(READY_DEV): $(READY)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@
