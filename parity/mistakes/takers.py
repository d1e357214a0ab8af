"""Mistakes in what becomes of a sum: a term of it goes past the part that the sum is given to, or through it by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from parity.mistakes.graft import graft

Build = Callable[[], Any]
Add = Callable[..., Tensor]
Take = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]  # the part, a term and the other term to what comes out

MISTAKES: dict[str, Take] = {
    "adds the {} behind the part that the sum goes into": lambda part, term, other: part(other) + term,
    "puts the {} through the part that the sum goes into, by itself": lambda part, term, other: part(part(term) + other),
    "lets the gradient of the {} past the part that the sum goes into": lambda part, term, other: graft(
        part(term + other), part(term.detach() + other) + term
    ),
}


@dataclass
class Pass:
    """One run of the module: the number of its sums so far, and the sum that waits for the part that takes it, with its terms."""

    sums: int = 0
    waiting: tuple[Tensor, Tensor, Tensor] | None = None


def wrong_takers(module: nn.Module, sums: int, build: Build) -> Iterator[tuple[str, Build, Add]]:
    """What may be wrong with a module that adds so many times, and a module and an addition that are wrong in this way.

    Of its parts, those without parameters are looked at, such as activations.
    """
    if not _plain(module):
        return
    for k in range(sums):
        the_sum = "its sum" if sums == 1 else f"sum {k + 1}"
        for i, term in enumerate(("first", "second")):
            for text, take in MISTAKES.items():
                yield text.format(f"{term} term of {the_sum}"), *_wrong(build, k, i, take)


def _wrong(build: Build, k: int, i: int, take: Take) -> tuple[Build, Add]:
    run = Pass()

    def taken(part: nn.Module, given: tuple[Tensor, ...], y: Tensor) -> Tensor:
        if run.waiting is None or run.waiting[0] is not given[0]:
            return y
        (_, *terms), run.waiting = run.waiting, None
        return take(part.forward, terms[i], terms[1 - i])

    def refuse(*call: Any) -> None:
        if run.waiting is not None:
            raise ValueError("no part takes the sum")

    def wrong_build() -> Any:
        module = build()
        run.sums, run.waiting = 0, None
        for part in _plain(module):
            part.register_forward_hook(taken)
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


def _plain(module: nn.Module) -> list[nn.Module]:
    return [part for part in module.children() if not any(True for _ in part.parameters())]
