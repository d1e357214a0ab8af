"""Mistakes in residual connections: a term or its gradient is lost, or a norm is on the wrong side.

A module is watched for its sums of two tensors. Each mistake is a module and an addition that replaces torch's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from parity.mistakes.passes import constant
from parity.mistakes.uses.residual_activations import Add, Build, misplaced_activations, named_terms, without_parameters

Terms = tuple[Tensor, Tensor]
NORMS = nn.LayerNorm | nn.RMSNorm


@dataclass
class Pass:
    """One run of a module with its norms, and with the sums so far.

    `normed` holds the input and the output of each norm.
    """

    norms: list[nn.Module] = field(default_factory=list)
    normed: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    sums: int = 0


def wrong_residuals(module: nn.Module, sums: int, build: Build) -> Iterator[tuple[str, Build, Add]]:
    """Yield the message of each mistake in a module that adds two tensors `sums` times, with a build and an addition."""
    yield from _lost_terms(sums, build)
    norms = len(_norms(module))
    if norms and norms <= sums:  # each norm belongs to one of the sums, in their order
        yield from _misplaced_norms(sums, build)
    if without_parameters(module):
        yield from misplaced_activations(sums, build)


def _lost_terms(sums: int, build: Build) -> Iterator[tuple[str, Build, Add]]:
    for k, the_sum, i, term in named_terms(sums):
        yield f"leaves the {term} term of {the_sum} out", *_with_sum(build, k, partial(_without, i))
        yield f"loses the gradient of the {term} term of {the_sum}", *_with_sum(build, k, partial(_with_constant, i))


def _misplaced_norms(sums: int, build: Build) -> Iterator[tuple[str, Build, Add]]:
    for k in (None, *range(sums)) if sums > 1 else (None,):
        where = "" if k is None else f" in sum {k + 1}"
        message = f"takes the residual connection from after the norm{where}; it starts before the norm"
        yield message, *_with_sum(build, k, _residual_after_norm)
    message = "normalises after each sum (post-norm); the norm belongs before the submodule (pre-norm)"
    yield message, *_with_sum(build, None, _post_norm, norms_idle=True)


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


def _norms(module: nn.Module) -> list[nn.Module]:
    return [submodule for submodule in module.children() if isinstance(submodule, NORMS)]


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
