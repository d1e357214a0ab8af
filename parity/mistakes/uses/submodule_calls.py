"""Mistakes in one call of a submodule: wrong inputs, lost gradients, a wrong output, or no call at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations, count, permutations
from typing import Any

import torch
from torch import Tensor, nn

from parity.mistakes.passes import constant, with_gradient_of
from parity.mistakes.uses.other_values import other_values
from parity.running import nested

Forward = Callable[..., Any]
Items = tuple[Any, ...]  # the inputs of a call
Wrong = Callable[[Forward, Items], Any]  # from a submodule's forward and its inputs to the wrong output


@dataclass(frozen=True)
class Use:
    """One call of a submodule.

    `index` counts the calls of this submodule from 0; `optional` names the inputs whose default is None.
    """

    module: nn.Module
    path: str
    index: int
    inputs: dict[str, Any]
    optional: tuple[str, ...]
    output: Any


def mistakes_in_call(use: Use, name: str) -> Iterator[tuple[str, Wrong]]:
    """Yield the message of each mistake in a call, and the function that makes it."""
    yield from _lost_inputs(use, name)
    yield from _other_inputs(use, name)
    yield from _swapped_inputs(use, name)
    yield from _wrong_outputs(use, name)


def _lost_inputs(use: Use, name: str) -> Iterator[tuple[str, Wrong]]:
    for key, leaves in _groups(use.inputs.items()):
        yield f"loses the gradient of the argument {key} of {name}", _given(partial(_changed, leaves, constant))
        yield f"passes zeros to {name} as {key}", _given(partial(_changed, leaves, torch.zeros_like))


def _other_inputs(use: Use, name: str) -> Iterator[tuple[str, Wrong]]:
    for i, (key, value) in enumerate(use.inputs.items()):
        if key in use.optional and value is not None:
            yield f"does not pass {key} to {name}", _given(partial(_without, i))
        for what, change in other_values(key, value):
            yield f"passes {what} to {name}", _given(partial(_replaced, i, change))


def _swapped_inputs(use: Use, name: str) -> Iterator[tuple[str, Wrong]]:
    given = list(use.inputs.items())
    for (i, (key, one)), (j, (other, two)) in combinations(enumerate(given), 2):
        if isinstance(one, Tensor) and isinstance(two, Tensor) and one.shape == two.shape and one is not two:
            yield f"swaps the arguments {key} and {other} of {name}", _given(partial(_swapped, i, j))
    numbers: dict[int, list[int]] = {}  # of the inputs that are one tensor
    for i, (_, value) in enumerate(given):
        if isinstance(value, Tensor) and value.is_floating_point():
            numbers.setdefault(id(value), []).append(i)
    for (first, *_), others in permutations(numbers.values(), 2):
        kept = [value for i, (_, value) in enumerate(given) if i not in others]
        if _fits(given[first][1], given[others[0]][1], kept):
            keys = " and ".join(given[i][0] for i in others)
            yield f"passes {given[first][0]} to {name} in place of {keys}", _given(partial(_in_place, first, others))


def _wrong_outputs(use: Use, name: str) -> Iterator[tuple[str, Wrong]]:
    for key, leaves in _groups([("y", use.output)]):
        output = "the output" if key == "y" else f"the output {key}"
        lost = _returning(lambda items, y, leaves=leaves: _changed(leaves, constant, y))
        yield f"loses the gradient of {output} of {name}", lost
    first = next(iter(use.inputs.values()), None)
    if isinstance(use.module, nn.Embedding) and isinstance(use.output, Tensor):
        yield f"multiplies the output of {name} by the root of its width", _returning(lambda items, y: y * y.shape[-1] ** 0.5)
    if isinstance(first, Tensor) and isinstance(use.output, Tensor) and first.shape == use.output.shape:
        yield f"leaves {name} out", lambda forward, items: items[0]
        if first.is_floating_point():
            yield f"leaves {name} out of the backward pass", _returning(lambda items, y: with_gradient_of(y, items[0]))


def _fits(x: Tensor, replaced: Tensor, others: list[Any]) -> bool:
    """Return whether x can replace an input: one of another shape only if no other input has the shape of the replaced one.

    With a key and a value of different lengths, torch's attention reads and writes memory outside of them.
    """
    alike = any(isinstance(other, Tensor) and other.shape == replaced.shape for other in others)
    return x.shape == replaced.shape or (x.ndim == replaced.ndim and not alike)


def _given(before: Callable[[Items], Items]) -> Wrong:
    """Return a mistake that changes the inputs of a call."""
    return lambda forward, items: forward(*before(items))


def _returning(after: Callable[..., Any]) -> Wrong:
    """Return a mistake that computes another output from the inputs and the output of a call."""
    return lambda forward, items: after(items, forward(*items))


def _groups(named: Iterable[tuple[str, Any]]) -> list[tuple[str, set[int]]]:
    """Return the names of floating-point tensors and of the containers around them, with the numbers of their leaves."""
    groups: dict[str, set[int]] = {}
    leaves = [leaf for name, value in named for leaf in nested.leaves(name, value)]
    for k, (name, leaf) in enumerate(leaves):
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            parts = name.split(".")
            for n in range(1, len(parts) + 1):
                groups.setdefault(".".join(parts[:n]), set()).add(k)
    return list(groups.items())


def _changed(leaves: set[int], change: Callable[[Tensor], Tensor], nest: Any) -> Any:
    """Return the nested container with some of its leaves changed."""
    number = count()
    return nested.map_leaves(lambda leaf: change(leaf) if next(number) in leaves else leaf, nest)


def _replaced(i: int, change: Callable[[Any], Any], items: Items) -> Items:
    return *items[:i], change(items[i]), *items[i + 1 :]


def _without(i: int, items: Items) -> Items:
    return *items[:i], None, *items[i + 1 :]


def _in_place(one: int, others: list[int], items: Items) -> Items:
    return tuple(items[one] if i in others else item for i, item in enumerate(items))


def _swapped(i: int, j: int, items: Items) -> Items:
    swapped = list(items)
    swapped[i], swapped[j] = items[j], items[i]
    return tuple(swapped)
