"""Runs of the reference with each known mistake: in its inputs, submodules and options, or in a torch function that it calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import cache, lru_cache, partial
from itertools import chain
from typing import Any, Self

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from parity.explaining.mistaken_steps import mistaken_steps
from parity.judging.reference_run import ReferenceRun
from parity.mistakes import registered
from parity.mistakes.uses.inputs import left_out, of_a_later_call, other_mode, other_switches, read_wrongly
from parity.mistakes.uses.options import other_options
from parity.mistakes.uses.residuals import wrong_residuals
from parity.mistakes.uses.submodules import watch_submodules, wrong_uses
from parity.running.problem import Build, Problem, Tensors
from parity.running.run_reference import run_reference
from parity.running.tensor_name import Kind, TensorName
from parity.running.training_steps import TrainingSteps

Run = Callable[[bool], Tensors]  # with its backward, or the outputs alone


def known_mistakes(reference_run: ReferenceRun) -> Iterable[tuple[str, Run]]:
    """Return the message of each mistake, and the run that computes the tensors it leads to.

    The runs of a small reference are kept for the next comparison with it.
    """
    return _kept(reference_run) if reference_run.is_small else _runs_with_mistakes(reference_run)


@lru_cache(maxsize=32)
def _kept(reference_run: ReferenceRun) -> list[tuple[str, Run]]:
    return [(message, cache(run)) for message, run in _runs_with_mistakes(reference_run)]


def _runs_with_mistakes(reference_run: ReferenceRun) -> Iterator[tuple[str, Run]]:
    build, problem = reference_run.build, reference_run.problem
    if isinstance(steps := build(), TrainingSteps):
        yield from mistaken_steps(steps, problem)
        return
    calls = Calls()
    with calls:
        subject = build()
        uses = watch_submodules(subject) if isinstance(subject, torch.nn.Module) else []
        run_reference(lambda: subject, problem, "float64", backward=False, record_calls=False)
    yield from _with_wrong_inputs(subject, reference_run)
    for message, wrong_build in wrong_uses(uses, build):
        yield message, partial(run_mistaken, wrong_build, problem)
    for message, reference in other_switches(subject, build, problem):
        yield message, partial(run_mistaken, *reference)
    if isinstance(subject, torch.nn.Module):
        for message, wrong_build, add in wrong_residuals(subject, calls.sums, build):
            yield message, partial(run_mistaken, wrong_build, problem, mode=Instead("add", add))
    for name, (arguments, options) in calls.seen.items():
        for message, wrong in chain(registered(name), other_options(name, arguments, options)):
            yield message, partial(run_mistaken, build, problem, mode=Instead(name, wrong))


def _with_wrong_inputs(subject: Any, reference_run: ReferenceRun) -> Iterator[tuple[str, Run]]:
    build, problem = reference_run.build, reference_run.problem
    for message, reference in other_mode(subject, build, problem):
        yield message, partial(run_mistaken, *reference)
    for name, reference in left_out(subject, build, problem):
        yield f"ignores {name}", partial(run_mistaken, *reference)
        message = f"ignores where {name} ends a sequence, and only sets y to 0 there"
        yield message, partial(_cut, reference_run.calibration.truth, *reference)
    for message, reference in chain(read_wrongly(build, problem), of_a_later_call(build, problem)):
        yield message, partial(run_mistaken, *reference)


def run_mistaken(build: Build, problem: Problem, backward: bool = True, *, mode: TorchFunctionMode | None = None) -> Tensors:
    """Return the tensors of a wrong reference: only its outputs if they have another shape, and {} if it cannot run."""
    for with_backward in (True, False) if backward else (False,):
        with suppress(Exception), mode or nullcontext():
            return run_reference(build, problem, "float64", backward=with_backward, record_calls=False).tensors
    return {}


def _cut(truth: Tensors, build: Build, problem: Problem, backward: bool = True) -> Tensors:
    """Run a reference and set its first output to 0 where the truth is 0; return {} where the truth is 0 nowhere."""
    first = next(name for name in truth if TensorName.parse(name).kind is Kind.OUTPUT)
    kept = truth[first] != 0
    if kept.all() or kept.shape != problem.cotangents[0].shape:
        return {}
    dy, *others = problem.cotangents
    tensors = run_mistaken(build, replace(problem, cotangents=(dy * kept, *others)), backward)
    return {**tensors, first: tensors[first] * kept} if first in tensors else {}


class _OwnCalls(TorchFunctionMode):
    """Intercepts the torch functions that a subject calls itself; those of its submodules have been found right."""

    def __enter__(self) -> Self:
        self.depth = 0
        self.hooks = (
            register_module_forward_pre_hook(lambda module, inputs: self._go(1)),
            register_module_forward_hook(lambda module, inputs, output: self._go(-1), always_call=True),
        )
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for hook in self.hooks:
            hook.remove()

    def _go(self, deeper: int) -> None:
        self.depth += deeper

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return (self.met(function, args, kwargs or {}) if self.depth <= 1 else function)(*args, **kwargs or {})

    def met(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Return the function to call in place of this one."""
        raise NotImplementedError


class Calls(_OwnCalls):
    """A record of the arguments of each function's first call, and of the number of sums of two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}
        self.sums = 0

    def met(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        self.seen.setdefault(function.__name__, (arguments, options))
        self.sums += function.__name__ == "add" and all(isinstance(argument, torch.Tensor) for argument in arguments)
        return function


class Instead(_OwnCalls):
    """A wrong function in place of every function of one name; inside the wrong function, the name means torch's again."""

    def __init__(self, name: str, wrong: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.name, self.wrong = name, wrong

    def met(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return self.wrong if function.__name__ == self.name else function
