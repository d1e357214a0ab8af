"""Planting: everyone who imported a function runs the fault inside the block, and nobody afterwards."""

import ast
import sys

import numpy as np
import pytest

import scratch.module
from parity_tests.planting import function_tree, functions_of, planted, replaced_code
from scratch.layers import BatchNorm1d, Linear, Softmax
from scratch.module import Parameter, constant
from scratch.ops import dropout, softmax
from scratch.optim import SGD

X = np.arange(6.0).reshape(2, 3)


def test_everyone_who_imported_the_function_runs_the_fault():
    right = softmax(X)[0]
    with planted(softmax, "block /= np.einsum", "block /= 2 * np.einsum"):
        assert not np.allclose(softmax(X)[0], right)
        assert np.array_equal(sys.modules["scratch.ops.softmax"].softmax(X)[0], softmax(X)[0])
        assert np.array_equal(Softmax(-1)(X)[0], softmax(X)[0])
    assert np.array_equal(softmax(X)[0], right)


def test_a_fault_may_lie_in_an_inner_function():
    _, backward = softmax(X)
    with planted(softmax, "np.subtract(dy_rows", "np.add(dy_rows"):
        _, wrong = softmax(X)
    dy = np.ones_like(X) * [1, 2, 3]
    assert not np.allclose(wrong(dy), backward(dy))


def test_a_fault_may_lie_in_a_method_that_calls_super():
    with planted(SGD.__init__, "momentum=momentum, dampening", "momentum=2 * momentum, dampening"):
        assert SGD([Parameter(X)], momentum=0.25).param_groups[0]["momentum"] == 0.5
    assert SGD([Parameter(X)], momentum=0.25).param_groups[0]["momentum"] == 0.25


def test_a_fault_may_lie_in_a_bound_or_wrapped_method():
    layer = Linear(3, 2).astype(np.float64)
    with planted(layer.forward, "x, self.weight", "-x, self.weight"):
        negative = layer(X)[0]
    assert np.allclose(negative, layer(-X)[0])
    with planted(constant, "+ arrays", ""), constant(X):
        assert scratch.module._constants.get() == ()


def test_a_fault_may_lie_in_a_default_value():
    with planted(BatchNorm1d.__init__, "eps: float = 1e-5", "eps: float = 1e-3"):
        assert BatchNorm1d(3).eps == 1e-3
    assert BatchNorm1d(3).eps == 1e-5


def test_the_fault_is_removed_after_an_error():
    code = softmax.__code__
    with pytest.raises(KeyError), planted(softmax, "block /=", "block *="):
        raise KeyError
    assert softmax.__code__ is code


@pytest.mark.parametrize(("old", "count"), [("no such text", 0), ("dim", 11)])
def test_the_replaced_text_must_occur_exactly_once(old, count):
    with pytest.raises(ValueError, match=f"softmax: '{old}' occurs {count} times"), planted(softmax, old, ""):
        pass


def test_a_function_can_hold_only_one_fault():
    with planted(softmax, "block /=", "block *="), pytest.raises(ValueError, match="a fault is planted in it already"):
        planted(softmax, "block /=", "block -=").__enter__()


def test_only_python_functions_can_hold_a_fault():
    with pytest.raises(ValueError, match="expected a function written in Python, got <ufunc 'tanh'>"):
        planted(np.tanh, "a", "b").__enter__()


def test_a_definition_can_be_replaced():
    definition = function_tree(dropout)
    for node in ast.walk(definition):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            node.op = ast.Add()
    keep = np.ones_like(X, bool)
    with replaced_code(dropout, definition):
        assert np.allclose(dropout(X, keep, 0.25)[0], X / 1.25)
    assert np.allclose(dropout(X, keep, 0.25)[0], X / 0.75)


def test_functions_are_listed_by_qualified_name():
    found = functions_of(scratch.module)
    assert {"apply", "constant", "Parameter.__init__", "Module.load_state_dict"} <= found.keys()
    assert found["constant"].__name__ == "constant"
    assert "apply.<locals>.backward" not in found
    assert "np" not in found
    assert all(function.__qualname__ == name for name, function in found.items())
