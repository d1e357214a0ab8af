"""More backwards of a layer: gradients of two backwards are added, and frozen parameters change no other gradient.

The first backward has been judged by the reference. Here a layer is compared with itself, so the reference need not run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from parity.running.problem import Breach, Tensors
from parity.running.safe_text import message_of
from parity.running.tensor_name import Phase, gradient
from scratch.module import Array, Module, Parameter

MOST_PARAMETERS = 12  # of a layer whose parameters are frozen one by one
LARGEST_CHANGE = 1e-9  # of a gradient in float64, relative to the largest of all: more than another order of sums gives


def can_be_frozen(subject: Module) -> bool:
    """Return whether all submodules compute their own gradients: a stand-in for one knows nothing of frozen parameters."""
    return not any("forward" in vars(module) for _, module in subject.named_modules())


def changed_by_freezing(run: Callable[[], Tensors], parameters: Mapping[str, Parameter], first: Tensors) -> list[Breach]:
    """Return a breach for the first wrong gradient of a further backward, with all parameters trained or some frozen.

    run      runs forward and backward again, and returns the gradients of the inputs by their printed names
    first    the gradients of the first backward
    """
    if not 2 <= len(parameters) <= MOST_PARAMETERS or any(parameter.grad is None for parameter in parameters.values()):
        return []
    scale = max(float(np.abs(array).max(initial=0.0)) for array in first.values())
    for name, parameter in parameters.items():
        parameter.grad = first[gradient(name)].copy()
    accumulated = run() | {gradient(name): parameter.grad for name, parameter in parameters.items()}
    twice = {gradient(name) for name in parameters}
    for name, expected in first.items():
        if _differs(accumulated.get(name), expected * (2 if name in twice else 1), scale):
            what = "is not the sum of both" if name in twice else "is another one"
            return [Breach(Phase.BACKWARD, f"after a second backward, {name} {what}", harmless_alone=True)]
    for trained in _subsets(list(parameters)):
        frozen = [name for name in parameters if name not in trained]
        try:
            found = _run_with_frozen(run, parameters, trained)
        except Exception as error:
            message = f"with {' and '.join(frozen)} frozen, the backward raises {type(error).__name__}: {message_of(error)}"
            return [Breach(Phase.BACKWARD, message, harmless_alone=True)]
        for name, expected in first.items():
            if name in map(gradient, frozen):
                if found[name] is not None:
                    return [
                        Breach(
                            Phase.BACKWARD, f"the backward gives a gradient to {frozen[0]}, which is frozen", harmless_alone=True
                        )
                    ]
            elif _differs(found.get(name), expected, scale):
                return [
                    Breach(
                        Phase.BACKWARD,
                        f"with {' and '.join(frozen)} frozen, the backward returns another {name}",
                        harmless_alone=True,
                    )
                ]
    return []


def _run_with_frozen(run: Callable[[], Tensors], parameters: Mapping[str, Parameter], trained: set[str]) -> dict[str, Array | None]:
    """Return all gradients of a run in which only some parameters are trained; then train all again."""
    before = {name: parameter.grad for name, parameter in parameters.items()}
    for name, parameter in parameters.items():
        parameter.grad, parameter.requires_grad = None, name in trained
    try:
        return {**run(), **{gradient(name): parameter.grad for name, parameter in parameters.items()}}
    finally:
        for name, parameter in parameters.items():
            parameter.grad, parameter.requires_grad = before[name], True


def _subsets(names: list[str]) -> Iterator[set[str]]:
    """Yield the parameters to train: all but one, then one alone, then none."""
    yield from ({*names} - {name} for name in names)
    if len(names) > 2:
        yield from ({name} for name in names)
    yield set()


def _differs(found: Array | None, expected: Array, scale: float) -> bool:
    """Return whether a gradient is missing, or differs by more than rounding."""
    if found is None or found.shape != expected.shape:
        return True
    finite = np.isfinite(expected)
    return not np.array_equal(finite, np.isfinite(found)) or bool(
        np.abs(found - expected)[finite].max(initial=0.0) > LARGEST_CHANGE * scale
    )
