"""The reference's run of a problem with its tolerances, measured once for all dtypes and devices."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import cached_property, partial

import torch

from parity.inputs import with_all_digits
from parity.judging.tolerance import Calibration, measure
from parity.running.problem import Build, Problem, Run, Tensors
from parity.running.run_reference import run_reference
from parity.running.tensor_name import Kind, TensorName
from parity.running.trace import Call, Trace

MOST_NUMBERS_TO_KEEP = 2**26  # of weights and results; the submodules of a larger model take several times its memory
MOST_NUMBERS_OF_SMALL = 2**17  # of weights and results of a run that is small


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

    @cached_property
    def on_all_digits(self) -> ReferenceRun:
        """Return the run on numbers next to those of the problem that need all digits of float64; the tolerances stay."""
        problem = self.problem.map(with_all_digits)
        return ReferenceRun(self.build, problem, replace(self.calibration, truth=self._run(problem, "float64")))

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


def submodule_tensors(run: Run) -> Tensors:
    """Return the outputs of all submodules in one run, and the upstream gradients of these."""
    found: Tensors = {}
    for call in run.trace.calls:
        for kind, arrays in ((Kind.SUBMODULE_OUTPUT, call.outputs), (Kind.SUBMODULE_GRADIENT, call.cotangents)):
            found |= {str(TensorName(kind, call.path, call.index, name)): array for name, array in arrays.items()}
    return found
