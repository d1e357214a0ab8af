"""Mistakes in residual connections: a term or its gradient is lost, or a norm or an activation is on the wrong side.

A module is watched for its sums of two tensors. Each mistake is a module and an addition that replaces torch's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from parity.mistakes.passes import constant, with_gradient_of

Build = Callable[[], Any]
Add = Callable[..., Tensor]
Terms = tuple[Tensor, Tensor]
Apply = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]  # from a submodule, a term and the other to the output
NORMS = nn.LayerNorm | nn.RMSNorm

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
    """One run of a module with its norms, and with the sums so far.

    normed   the input and the output of each norm
    waiting  a sum and its terms, until a submodule takes the sum
    """

    norms: list[nn.Module] = field(default_factory=list)
    normed: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    sums: int = 0
    waiting: tuple[Tensor, Tensor, Tensor] | None = None


def wrong_residuals(module: nn.Module, sums: int, build: Build) -> Iterator[tuple[str, Build, Add]]:
    """Yield the message of each mistake in a module that adds two tensors `sums` times, with a build and an addition."""
    yield from _lost_terms(sums, build)
    norms = len(_norms(module))
    if norms and norms <= sums:  # each norm belongs to one of the sums, in their order
        yield from _misplaced_norms(sums, build)
    if _without_parameters(module):
        yield from _misplaced_activations(sums, build)


def _lost_terms(sums: int, build: Build) -> Iterator[tuple[str, Build, Add]]:
    for k, the_sum, i, term in _terms(sums):
        yield f"leaves the {term} term of {the_sum} out", *_with_sum(build, k, partial(_without, i))
        yield f"loses the gradient of the {term} term of {the_sum}", *_with_sum(build, k, partial(_with_constant, i))


def _misplaced_norms(sums: int, build: Build) -> Iterator[tuple[str, Build, Add]]:
    for k in (None, *range(sums)) if sums > 1 else (None,):
        where = "" if k is None else f" in sum {k + 1}"
        message = f"takes the residual connection from after the norm{where}; it starts before the norm"
        yield message, *_with_sum(build, k, _residual_after_norm)
    message = "normalises after each sum (post-norm); the norm belongs before the submodule (pre-norm)"
    yield message, *_with_sum(build, None, _post_norm, norms_idle=True)


def _misplaced_activations(sums: int, build: Build) -> Iterator[tuple[str, Build, Add]]:
    for k, the_sum, i, term in _terms(sums):
        for message, apply in AFTER_THE_SUM.items():
            yield message.format(f"{term} term of {the_sum}"), *_with_activation(build, k, i, apply)


def _terms(sums: int) -> Iterator[tuple[int, str, int, str]]:
    """Yield the number and the name of each sum, with those of each of its terms."""
    for k in range(sums):
        for i, term in enumerate(("first", "second")):
            yield k, "the sum" if sums == 1 else f"sum {k + 1}", i, term


def _with_sum(
    build: Build, only: int | None, change: Callable[[Pass, int, Terms], Tensor], norms_idle: bool = False
) -> tuple[Build, Add]:
    """Change one sum of the module, or all of them; with `norms_idle`, its norms return their input."""
    run = Pass()

    def wrong_build() -> Any:
        module = build()
        run.norms, run.normed, run.sums = _norms(module), [], 0
        for norm in run.norms:
            norm.register_forward_hook(lambda norm, given, y: given[0] if norms_idle else run.normed.append((given[0], y)))
        return module

    def add(input: Tensor, other: Any, **options: Any) -> Tensor:
        if not isinstance(other, Tensor):
            return torch.add(input, other, **options)
        k, run.sums = run.sums, run.sums + 1
        return change(run, k, (input, other)) if only in (None, k) else torch.add(input, other)

    return wrong_build, add


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
        for submodule in _without_parameters(module):
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


def _norms(module: nn.Module) -> list[nn.Module]:
    return [submodule for submodule in module.children() if isinstance(submodule, NORMS)]


def _without_parameters(module: nn.Module) -> list[nn.Module]:
    """Return the submodules without parameters, such as activations."""
    return [submodule for submodule in module.children() if not any(True for _ in submodule.parameters())]


def _without(i: int, run: Pass, k: int, terms: Terms) -> Tensor:
    return terms[1 - i]


def _with_constant(i: int, run: Pass, k: int, terms: Terms) -> Tensor:
    return terms[1 - i] + constant(terms[i])


def _residual_after_norm(run: Pass, k: int, terms: Terms) -> Tensor:
    input, other = (next((y for x, y in run.normed if x is term), term) for term in terms)
    return input + other


def _post_norm(run: Pass, k: int, terms: Terms) -> Tensor:
    y: Tensor = run.norms[k].forward(terms[0] + terms[1])  # without its hook
    return y
