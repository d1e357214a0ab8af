"""Every tuned op has a definition that reads like its paper, and both compute the same, forward and backward."""

import ast
import importlib
import inspect
import pkgutil
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import scratch.ops
from parity.cases import CASES
from parity.check import DTYPES, reference_run_of
from parity.judging.tolerance import deviation
from parity.running.builders import scratch_builder
from parity.running.run_scratch import run_scratch
from scratch.ops import definitions

ROOT = Path(scratch.ops.__file__).parent
LIKE_MATHEMATICS = {"scratch.fast.reduce", "scratch.fast.select"}  # sums and choices, which need no definition
MODULES = [importlib.import_module(f"{definitions.__name__}.{info.name}") for info in pkgutil.iter_modules(definitions.__path__)]
DEFINITIONS = {
    name: function
    for module in MODULES
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if function.__module__ == module.__name__ and name in scratch.ops.__all__
}
JUDGED = [case for case in CASES if case.scratch.removeprefix("ops.") in DEFINITIONS]


def machinery(file):
    """Return the modules of scratch.fast that an op's file imports, but for sums and choices."""
    nodes = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom))
    return {node.module for node in nodes if (node.module or "").startswith("scratch.fast")} - LIKE_MATHEMATICS


@pytest.mark.parametrize("file", [file for file in sorted(ROOT.glob("*.py")) if machinery(file)], ids=lambda file: file.name)
def test_every_op_with_machinery_has_a_definition(file):
    public = {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)} & {*scratch.ops.__all__}
    assert public <= DEFINITIONS.keys()
    assert {DEFINITIONS[name].__module__ for name in public} == {f"{definitions.__name__}.{file.stem}"}


@pytest.mark.parametrize("name", scratch.ops.__all__)
def test_every_docstring_gives_the_formula_of_the_backward(name):
    text = inspect.getdoc(getattr(scratch.ops, name))
    assert re.search(r"\bd[a-zA-Z_0-9:̂]+(\[.*?\])? (=|adds|is) ", text) or "no gradient" in " ".join(text.lower().split())


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_definition_has_the_signature_of_its_op(name):
    assert inspect.signature(DEFINITIONS[name]) == inspect.signature(getattr(scratch.ops, name))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", JUDGED, ids=lambda case: case.name)
def test_an_op_computes_what_its_definition_says(case, dtype):
    reference_run = reference_run_of(case, 0)
    definition = partial(DEFINITIONS[case.scratch.removeprefix("ops.")], **case.config)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # definitions do not guard against overflow
        expected = run_scratch(lambda: definition, reference_run.problem, dtype)
    found = run_scratch(scratch_builder(case), reference_run.problem, dtype)
    assert expected.breaches == found.breaches == []
    assert expected.tensors.keys() == found.tensors.keys()
    for name, tensor in found.tensors.items():
        if name in reference_run.calibration.unit:
            assert tensor.dtype == expected.tensors[name].dtype, name
            assert deviation(tensor, expected.tensors[name].astype(np.float64)) <= reference_run.calibration.tolerance(
                name, dtype
            ), name
        else:
            np.testing.assert_array_equal(tensor, expected.tensors[name], name)
