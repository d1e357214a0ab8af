"""Mistakes in what goes past the parts of a module, is added to what they return, and is normalised before or after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from parity.mistakes.graft import graft

Build = Callable[[], Any]
Add = Callable[..., Tensor]
Terms = tuple[Tensor, Tensor]
NORMS = nn.LayerNorm | nn.RMSNorm


@dataclass
class Pass:
    """One run of the module: its norms, what each made of what it was given, and the number of its sums so far."""

    norms: list[nn.Module] = field(default_factory=list)
    given: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    sums: int = 0


def wrong_sums(module: nn.Module, sums: int, build: Build) -> Iterator[tuple[str, Build, Add]]:
    """What may be wrong with a module that adds so many times, and a module and an addition that are wrong in this way.

    Each of its norms normalises what one of the sums adds to, in their order.
    """
    for k in range(sums):
        the_sum = "its sum" if sums == 1 else f"sum {k + 1}"
        for i, term in enumerate(("first", "second")):
            yield f"leaves the {term} term of {the_sum} out", *_wrong(build, k, partial(_without, i))
            yield f"lets no gradient through the {term} term of {the_sum}", *_wrong(build, k, partial(_holding, i))
    norms = len(_norms(module))
    if norms and norms <= sums:
        for k in (None, *range(sums)) if sums > 1 else (None,):
            where = "" if k is None else f" in sum {k + 1}"
            yield f"takes what goes past the part behind the norm{where}", *_wrong(build, k, _behind_norm)
        text = "normalises each sum, not what goes into the part: post-norm for pre-norm"
        yield text, *_wrong(build, None, _post_norm, moved=True)


def _wrong(build: Build, only: int | None, change: Callable[[Pass, int, Terms], Tensor], moved: bool = False) -> tuple[Build, Add]:
    """The module and an addition that is changed in one of its sums, or in all; `moved`: its norms do nothing themselves."""
    run = Pass()

    def wrong_build() -> Any:
        module = build()
        run.norms, run.given, run.sums = _norms(module), [], 0
        for norm in run.norms:
            norm.register_forward_hook(lambda norm, given, y: given[0] if moved else run.given.append((given[0], y)))
        return module

    def add(input: Tensor, other: Any, **options: Any) -> Tensor:
        if not isinstance(other, Tensor):
            return torch.add(input, other, **options)
        k, run.sums = run.sums, run.sums + 1
        return change(run, k, (input, other)) if only in (None, k) else torch.add(input, other)

    return wrong_build, add


def _norms(module: nn.Module) -> list[nn.Module]:
    return [part for part in module.children() if isinstance(part, NORMS)]


def _without(i: int, run: Pass, k: int, terms: Terms) -> Tensor:
    return terms[1 - i]


def _holding(i: int, run: Pass, k: int, terms: Terms) -> Tensor:
    """The sum, one term of which has a gradient of 0."""
    return terms[1 - i] + graft(terms[i], 0 * terms[i])


def _behind_norm(run: Pass, k: int, terms: Terms) -> Tensor:
    input, other = (next((y for x, y in run.given if x is term), term) for term in terms)
    return input + other


def _post_norm(run: Pass, k: int, terms: Terms) -> Tensor:
    y: Tensor = run.norms[k].forward(terms[0] + terms[1])  # without its hook
    return y
