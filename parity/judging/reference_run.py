"""What a side is held to: the reference's run of a problem, measured once for everyone who is judged by it."""

from __future__ import annotations

from copy import deepcopy
from functools import cached_property, partial

import torch

from parity.judging.tolerance import Calibration, calibrate
from parity.running.problem import Build, Problem, Run, Tensors
from parity.running.run_reference import run_reference
from parity.running.trace import Call, Trace

LARGEST_KEPT = 2**26  # numbers; to keep the parts of a larger model takes several times its memory
SMALL = 2**17


class ReferenceRun:
    """A problem, the reference that answers it, and how far from its answers one may be.

    Who looks for a culprit also asks for what flows between the submodules, and for each submodule as a standard of its own.
    """

    def __init__(self, build: Build, problem: Problem):
        self.build = build
        self.problem = problem
        self.calibration = calibrate(lambda posed, dtype: run_reference(build, posed, dtype, taps=False).tensors, problem)
        self._parts: dict[tuple[str, ...], ReferenceRun] = {}

    @cached_property
    def calls(self) -> list[Call]:
        """What every submodule met, in the order of the forward pass."""
        return run_reference(self.build, self.problem, "float64").trace.calls

    @cached_property
    def between(self) -> Calibration:
        """The outputs of all submodules and the gradients that come back to them, as `taps` names them."""
        return calibrate(lambda posed, dtype: taps(run_reference(self.build, posed, dtype)), self.problem)

    def part(self, call: Call, names: tuple[str, ...]) -> ReferenceRun:
        """The submodule of a call, on what it met there; the names are of its inputs. The first call of all is of the whole."""
        if not call.path:
            return self
        key = (call.name, *names)
        if key in self._parts:
            return self._parts[key]
        prefix = f"{call.path}."
        state = {name.removeprefix(prefix): array for name, array in self.problem.state.items() if name.startswith(prefix)}
        called = dict(zip(call.inputs, names, strict=True))
        constants = tuple(called[name] for name in call.constants)
        problem = Problem(
            inputs={called[name]: value for name, value in call.inputs.items()},
            state=state | call.buffers,
            cotangents=tuple(call.cotangents.values()),
            constants=constants,
            ignored_gradients=constants,
            new_trace=partial(Trace, self.problem.new_trace().seed, call.path, call.draws),
        )
        part = ReferenceRun(partial(deepcopy, self._modules[call.path]), problem)  # a copy is cheaper than a new model
        if self._numbers <= LARGEST_KEPT:
            self._parts[key] = part
        return part

    @property
    def is_small(self) -> bool:
        """Whether hundreds of results have room."""
        return self._numbers <= SMALL

    @cached_property
    def _numbers(self) -> int:
        """How many numbers its weights and results are."""
        return sum(array.size for array in (*self.problem.state.values(), *self.calibration.truth.values()))

    @cached_property
    def _modules(self) -> dict[str, torch.nn.Module]:
        return dict(self.build().named_modules())


def taps(run: Run) -> Tensors:
    """What flowed between the submodules of one run: `tap layers.0 y` forward, `grad layers.0 y` backward."""
    outputs = {f"tap {call.name} {name}": array for call in run.trace.calls for name, array in call.outputs.items()}
    gradients = {f"grad {call.name} {name}": array for call in run.trace.calls for name, array in call.cotangents.items()}
    return outputs | gradients
