"""The problem that both sides of a comparison are given, and the result of a run.

A run's tensors are NumPy arrays by their printed TensorName: `y` (`y.0`, `y.1` for several outputs), `grad x` for an input,
`grad layers.0.weight` for a parameter and `buffer layers.1.running_mean`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from parity.running import nested
from parity.running.layout import Layout
from parity.running.tensor_name import Phase
from parity.running.trace import Trace
from scratch.module import Array

Tensors = dict[str, Array]
Build = Callable[[], Any]  # makes a fresh module, or a function with its options


@dataclass(frozen=True)
class Problem:
    """Everything a run depends on, except the implementation, dtype and device.

    inputs           arrays and options by name, in the order in which both sides take them
    state            weights and buffers by name
    cotangents       an upstream gradient for each output that has a gradient
    constants        names of inputs that have no gradient although they are floating-point
    ignored_gradients  names of inputs whose gradient the whole model does not need; a submodule may return one or not
    layouts          the memory layouts of inputs and upstream gradients (`y`, `y.0`) by name, where they are known
    new_trace        makes the trace of one run, which draws the dropout masks
    """

    inputs: Mapping[str, Any]
    state: Mapping[str, Array]
    cotangents: tuple[Array, ...]
    constants: tuple[str, ...] = ()
    ignored_gradients: tuple[str, ...] = ()
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    new_trace: Callable[[], Trace] = Trace

    def map(self, function: Callable[[Any], Any]) -> Problem:
        """Return the problem with a function applied to every array."""
        inputs, state, cotangents = (
            nested.map_leaves(function, part) for part in (dict(self.inputs), dict(self.state), self.cotangents)
        )
        return replace(self, inputs=inputs, state=state, cotangents=cotangents)


@dataclass(frozen=True)
class Breach:
    """One breach of the contract, and the pass that commits it.

    harmless_alone   the results of one call are right: others may change them, or a further call be wrong
    """

    phase: Phase
    message: str
    harmless_alone: bool = False


@dataclass
class Run:
    """The tensors of one run, the calls of its submodules, and its breaches of the contract."""

    tensors: Tensors
    trace: Trace
    breaches: list[Breach] = field(default_factory=list)


def copied(value: Any) -> Any:
    """Return a copy of an array, and an option as it is: np.copy would make an array of True."""
    return value.copy() if isinstance(value, np.ndarray) else value


def other_numbers(value: Any) -> Any:
    """Return other numbers of the same kind: an array reversed along its first axis; an option as it is."""
    return value[::-1].copy() if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "fiu" else value
