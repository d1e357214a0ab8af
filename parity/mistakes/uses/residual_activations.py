"""Mistakes in residual connections that are followed by an activation: a term passes on the wrong side of it.

A module is watched for its sums of two tensors. Each mistake is a module and an addition that replaces torch's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from parity.mistakes.passes import with_gradient_of

Build = Callable[[], Any]
Add = Callable[..., Tensor]
Apply = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]  # from a submodule, a term and the other to the output

AFTER_THE_SUM: dict[str, Apply] = {
    "adds the {} after the submodule that takes the sum": lambda module, term, other: module(other) + term,
    "applies the submodule that takes the sum to the {} too, before the sum": lambda module, term, other: module(
        module(term) + other
    ),
    "passes the gradient of the {} around the submodule that takes the sum": lambda module, term, other: with_gradient_of(
        module(term + other), module(term.detach() + other) + term
    ),
}


@dataclass
class Pass:
    """One run of a module, with the number of its sums so far, and a sum with its terms until a submodule takes the sum."""

    sums: int = 0
    waiting: tuple[Tensor, Tensor, Tensor] | None = None


def misplaced_activations(sums: int, build: Build) -> Iterator[tuple[str, Build, Add]]:
    """Yield the message of each mistake in a module that adds two tensors `sums` times, with a build and an addition."""
    for k, the_sum, i, term in named_terms(sums):
        for message, apply in AFTER_THE_SUM.items():
            yield message.format(f"{term} term of {the_sum}"), *_with_activation(build, k, i, apply)


def named_terms(sums: int) -> Iterator[tuple[int, str, int, str]]:
    """Yield the number and the name of each sum, with those of each of its terms."""
    for k in range(sums):
        for i, term in enumerate(("first", "second")):
            yield k, "the sum" if sums == 1 else f"sum {k + 1}", i, term


def _with_activation(build: Build, k: int, i: int, apply: Apply) -> tuple[Build, Add]:
    """Change how the submodule that takes sum k is applied; i is the number of the misplaced term."""
    run = Pass()

    def taken(submodule: nn.Module, given: tuple[Tensor, ...], y: Tensor) -> Tensor:
        if run.waiting is None or run.waiting[0] is not given[0]:
            return y
        (_, *terms), run.waiting = run.waiting, None
        return apply(submodule.forward, terms[i], terms[1 - i])

    def refuse(*call: Any) -> None:
        if run.waiting is not None:
            raise ValueError("no submodule takes the sum")

    def wrong_build() -> Any:
        module = build()
        run.sums, run.waiting = 0, None
        for submodule in without_parameters(module):
            submodule.register_forward_hook(taken)
        module.register_forward_hook(refuse)
        return module

    def add(input: Tensor, other: Any, **options: Any) -> Tensor:
        y = torch.add(input, other, **options)
        if isinstance(other, Tensor):
            if run.sums == k:
                run.waiting = y, input, other
            run.sums += 1
        return y

    return wrong_build, add


def without_parameters(module: nn.Module) -> list[nn.Module]:
    """Return the submodules without parameters, such as activations."""
    return [submodule for submodule in module.children() if not any(True for _ in submodule.parameters())]
