"""The reference's run of a problem with its tolerances, measured once for all dtypes and devices."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from parity.inputs import jittered, with_all_digits
from parity.judging.tolerance import Calibration, measure
from parity.running import nested
from parity.running.layout import Layout
from parity.running.problem import Build, Problem, Run, Tensors
from parity.running.run_reference import run_reference
from parity.running.tensor_name import Kind, TensorName
from parity.running.trace import Call, Trace
from scratch.module import Array

MOST_NUMBERS_TO_KEEP = 2**26  # of weights and results; the submodules of a larger model take several times its memory
MOST_NUMBERS_OF_SMALL = 2**17  # of weights and results of a run that is small
NEARBY = 7  # the probe of `nearby`; the calibration uses others


class ReferenceRun:
    """A problem, the reference that solves it, and the tolerance of every tensor.

    The search for a culprit needs more, which is computed on first use: the tensors between the submodules, and the
    reference run of each submodule alone.
    """

    def __init__(self, build: Build, problem: Problem, calibration: Calibration | None = None):
        self.build = build
        self.problem = problem
        self.calibration = calibration or measure(self._run, problem)
        self._of_submodules: dict[tuple[str, ...], ReferenceRun] = {}
        self._in_layouts: dict[tuple[tuple[str, Layout], ...], ReferenceRun] = {}

    @cached_property
    def on_all_digits(self) -> ReferenceRun:
        """Return the run on numbers next to those of the problem that need all digits of float64; the tolerances stay.

        Tokens, labels and lengths come in another order, which needs tolerances of its own.
        """
        problem = self.problem.map(with_all_digits)
        if sizes := {len(array) for array in _whole_numbers(problem.inputs)}:
            inputs = nested.map_leaves(partial(_reversed_batch, sizes), dict(problem.inputs))
            return ReferenceRun(self.build, replace(problem, inputs=inputs))
        return ReferenceRun(self.build, problem, replace(self.calibration, truth=self._run(problem, "float64")))

    @cached_property
    def nearby(self) -> ReferenceRun:
        """Return the run on inputs, weights and upstream gradients that are about a rounding of float32 away."""
        problem = self.problem.map(partial(jittered, probe=NEARBY))
        return ReferenceRun(self.build, problem, replace(self.calibration, truth=self._run(problem, "float64")))

    def in_layouts(self, layouts: Mapping[str, Layout]) -> ReferenceRun:
        """Return the same run for a subject that gets its arrays in these memory layouts."""
        key = tuple(sorted(layouts.items()))
        if key not in self._in_layouts:
            self._in_layouts[key] = ReferenceRun(self.build, replace(self.problem, layouts=layouts), self.calibration)
        return self._in_layouts[key]

    def _run(self, problem: Problem, dtype: str) -> Tensors:
        return run_reference(self.build, problem, dtype, record_calls=False).tensors

    @cached_property
    def calls(self) -> list[Call]:
        """Return the calls of all submodules, in the order of the forward pass."""
        return run_reference(self.build, self.problem, "float64").trace.calls

    @cached_property
    def between(self) -> Calibration:
        """Return the calibration of all tensors between submodules: their outputs and the upstream gradients of these."""
        return measure(lambda other, dtype: submodule_tensors(run_reference(self.build, other, dtype)), self.problem)

    def of_submodule(self, call: Call, input_names: tuple[str, ...]) -> ReferenceRun:
        """Return the reference run of the submodule of a call, on the inputs that it had there.

        The first call of all is that of the whole model.
        """
        if not call.path:
            return self
        key = (call.name, *input_names)
        if key in self._of_submodules:
            return self._of_submodules[key]
        prefix = f"{call.path}."
        state = {name.removeprefix(prefix): array for name, array in self.problem.state.items() if name.startswith(prefix)}
        renamed = dict(zip(call.inputs, input_names, strict=True))
        constants = tuple(renamed[name] for name in call.constants)
        problem = Problem(
            inputs={renamed[name]: value for name, value in call.inputs.items()},
            state=state | call.buffers,
            cotangents=tuple(call.cotangents.values()),
            constants=constants,
            ignored_gradients=constants,
            new_trace=partial(Trace, self.problem.new_trace().seed, call.path, call.draws),
        )
        run = ReferenceRun(partial(deepcopy, self._modules[call.path]), problem)  # a copy is cheaper than a new model
        if self._numbers <= MOST_NUMBERS_TO_KEEP:
            self._of_submodules[key] = run
        return run

    @property
    def is_small(self) -> bool:
        """Return whether there is memory for hundreds of such results."""
        return self._numbers <= MOST_NUMBERS_OF_SMALL

    @cached_property
    def _numbers(self) -> int:
        """Return the count of numbers in the weights and results."""
        return sum(array.size for array in (*self.problem.state.values(), *self.calibration.truth.values()))

    @cached_property
    def _modules(self) -> dict[str, torch.nn.Module]:
        return dict(self.build().named_modules())


def _whole_numbers(inputs: Mapping[str, Any]) -> list[Array]:
    """Return the arrays of integers among the inputs, without single numbers."""
    leaves = [leaf for _, leaf in nested.leaves("", dict(inputs)) if isinstance(leaf, np.ndarray)]
    return [leaf for leaf in leaves if leaf.ndim and leaf.dtype.kind in "iu"]


def _reversed_batch(sizes: set[int], value: Any) -> Any:
    """Return an array in the reverse order of its first axis if it may be that of a batch with whole numbers."""
    return value[::-1].copy() if isinstance(value, np.ndarray) and value.ndim and len(value) in sizes else value


def submodule_tensors(run: Run) -> Tensors:
    """Return the outputs of all submodules in one run, and the upstream gradients of these."""
    found: Tensors = {}
    for call in run.trace.calls:
        for kind, arrays in ((Kind.SUBMODULE_OUTPUT, call.outputs), (Kind.SUBMODULE_GRADIENT, call.cotangents)):
            found |= {str(TensorName(kind, call.path, call.index, name)): array for name, array in arrays.items()}
    return found
