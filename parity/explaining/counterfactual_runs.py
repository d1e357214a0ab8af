"""The reference run once more with each known mistake: in what it is given, or in a torch function that it calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import cache, lru_cache, partial
from itertools import chain
from typing import Any, Self

import numpy as np
import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from parity.explaining.mistaken_steps import mistaken_steps
from parity.judging.reference_run import ReferenceRun
from parity.mistakes import counterfactuals
from parity.mistakes.parts import watch_parts, wrong_uses
from parity.mistakes.sums import wrong_sums
from parity.mistakes.takers import wrong_takers
from parity.running import nested
from parity.running.problem import Build, Problem, Tensors, other_numbers
from parity.running.run_reference import run_reference
from parity.running.tensor_name import Kind, TensorName
from parity.running.training_steps import TrainingSteps
from scratch.module import Array

Run = Callable[[bool], Tensors]  # with its backward, or the outputs alone


def known_mistakes(standard: ReferenceRun) -> Iterable[tuple[str, Run]]:
    """Every mistake: what it says of the culprit, and the run that has the tensors it leads to.

    Of a small subject the runs are kept, for whoever makes the next mistake in it.
    """
    return _kept(standard) if standard.is_small else _mistaken_runs(standard)


@lru_cache(maxsize=32)
def _kept(standard: ReferenceRun) -> list[tuple[str, Run]]:
    return [(text, cache(run)) for text, run in _mistaken_runs(standard)]


def _mistaken_runs(standard: ReferenceRun) -> Iterator[tuple[str, Run]]:
    build, problem = standard.build, standard.problem
    if isinstance(steps := build(), TrainingSteps):
        yield from mistaken_steps(steps, problem)
        return
    calls = Calls()
    with calls:
        subject = build()
        uses = watch_parts(subject) if isinstance(subject, torch.nn.Module) else []
        run_reference(lambda: subject, problem, "float64", backward=False, taps=False)
    if isinstance(subject, torch.nn.Module):
        mode = "eval mode though in training" if subject.training else "training though in eval mode"
        yield f"behaves as in {mode}", partial(mistaken, lambda: build().train(not subject.training), problem)
    for name, without, other in _left_out(subject, build, problem):
        yield f"takes no notice of {name}", partial(mistaken, without, other)
        yield f"goes on where {name} ends it: y alone is 0 there", partial(_cut, standard.calibration.truth, without, other)
    for text, otherwise in _read_otherwise(problem):
        yield text, partial(mistaken, build, otherwise)
    later = replace(problem, inputs=nested.map_leaves(other_numbers, dict(problem.inputs)))
    text = "is that of a later call: what the backward needs is kept where the next call overwrites it"
    yield text, partial(mistaken, build, later)
    for text, wrong_build in wrong_uses(uses, build):
        yield text, partial(mistaken, wrong_build, problem)
    for text, otherwise_made in _made_otherwise(subject, build):
        yield text, partial(mistaken, otherwise_made, problem)
    if isinstance(subject, torch.nn.Module):
        sums = (kind(subject, calls.sums, build) for kind in (wrong_sums, wrong_takers))
        for text, wrong_build, add in chain.from_iterable(sums):
            yield text, partial(mistaken, wrong_build, problem, mode=Instead("add", add))
    for name, (arguments, options) in calls.seen.items():
        for text, wrong in counterfactuals(name, arguments, options):
            yield text, partial(mistaken, build, problem, mode=Instead(name, wrong))


def mistaken(build: Build, problem: Problem, backward: bool = True, *, mode: TorchFunctionMode | None = None) -> Tensors:
    """What a wrong reference computes; of one whose output has another shape, only that; {} where it cannot run at all."""
    for with_backward in (True, False) if backward else (False,):
        with suppress(Exception), mode or nullcontext():
            return run_reference(build, problem, "float64", backward=with_backward, taps=False).tensors
    return {}


def _left_out(subject: Any, build: Build, problem: Problem) -> Iterator[tuple[str, Build, Problem]]:
    """The reference without one of what it can do without: an input of a module, an array among the options of a function."""
    if isinstance(subject, torch.nn.Module):
        for name, parameter in zip(problem.inputs, inspect.signature(subject.forward).parameters.values(), strict=False):
            if parameter.default is None and problem.inputs[name] is not None:
                yield name, build, replace(problem, inputs={**problem.inputs, name: None})
    elif isinstance(subject, partial):
        for name, value in subject.keywords.items():
            if isinstance(value, torch.Tensor):
                yield name, partial(partial, subject, **{name: None}), problem


def _made_otherwise(subject: Any, build: Build) -> Iterator[tuple[str, Build]]:
    """The reference with one of the yes-or-no options that a module of ours was made with turned round."""
    if not isinstance(subject, torch.nn.Module) or type(subject).__module__.startswith("torch."):
        return

    def otherwise_made(name: str) -> Any:
        module = build()
        setattr(module, name, not getattr(module, name))
        return module

    for name, value in vars(subject).items():
        if isinstance(value, bool) and name != "training" and not name.startswith("_"):
            yield f"takes {name} = {not value} for {value}", partial(otherwise_made, name)


def _read_otherwise(problem: Problem) -> Iterator[tuple[str, Problem]]:
    """The problem with other whole numbers: lengths off by one, sequences off by a step or backwards."""
    for name, value in problem.inputs.items():
        others: dict[str, Array] = {}
        if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.ndim == 1:
            others[f"takes {name} for one more"] = np.minimum(value + 1, value.max())
            others[f"takes {name} for one less"] = np.maximum(value - 1, value.min())
        elif isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.ndim == 2:
            others[f"reads {name} a step late"] = np.roll(value, 1, axis=1)
            others[f"reads {name} a step early"] = np.roll(value, -1, axis=1)
            others[f"reads {name} backwards"] = value[:, ::-1]
        yield from ((text, replace(problem, inputs={**problem.inputs, name: other})) for text, other in others.items())


def _cut(truth: Tensors, build: Build, problem: Problem, backward: bool = True) -> Tensors:
    """What a reference computes whose first output is made 0 where the truth is; {} where the truth is 0 nowhere."""
    first = next(name for name in truth if TensorName.parse(name).kind is Kind.OUTPUT)
    kept = truth[first] != 0
    if kept.all() or kept.shape != problem.cotangents[0].shape:
        return {}
    dy, *others = problem.cotangents
    tensors = mistaken(build, replace(problem, cotangents=(dy * kept, *others)), backward)
    return {**tensors, first: tensors[first] * kept} if first in tensors else {}


class _OwnCalls(TorchFunctionMode):
    """Meets the torch functions that a subject calls itself: those that its submodules call have been found right."""

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
        """The function to call instead of the one that is called."""
        raise NotImplementedError


class Calls(_OwnCalls):
    """Notes the arguments of the first call of each function, and how often two tensors are added."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}
        self.sums = 0

    def met(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        self.seen.setdefault(function.__name__, (arguments, options))
        self.sums += function.__name__ == "add" and all(isinstance(argument, torch.Tensor) for argument in arguments)
        return function


class Instead(_OwnCalls):
    """Another function in place of every function of one name; inside it, that name means torch's again."""

    def __init__(self, name: str, wrong: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.name, self.wrong = name, wrong

    def met(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return self.wrong if function.__name__ == self.name else function
