"""Settings for all tests: Hypothesis repeats its examples, and parallel processes use one thread each."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

if "PYTEST_XDIST_WORKER" in os.environ:  # set before NumPy is loaded; processes that a test starts inherit it
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Keep the old names of the plugin's options in this project, unless another plugin uses them."""
    taken = {name for group in (parser._anonymous, *parser._groups) for option in group.options for name in option.names()}
    if "--device" not in taken:
        parser.addoption("--device", dest="parity_device", metavar="NAME", help="the old name of --parity-device")
    if "--scratch" not in taken:
        parser.addoption("--scratch", dest="parity_scratch", type=Path, metavar="DIR", help="the old name of --parity-scratch")
