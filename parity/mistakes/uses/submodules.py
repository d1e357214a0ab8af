"""Mistakes in how a module uses its submodules, which are right themselves: wrong inputs, lost gradients, submodules left out."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations, count, permutations
from typing import Any

import torch
from torch import Tensor, nn

from parity.mistakes.passes import constant, with_gradient_of
from parity.running import nested

Build = Callable[[], Any]
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


def watch_submodules(module: nn.Module) -> list[Use]:
    """Return a list to which each later call of a submodule of `module` is added."""
    uses: list[Use] = []
    calls: Counter[str] = Counter()

    def note(path: str, submodule: nn.Module, given: Items, output: Any) -> None:
        parameters = inspect.signature(submodule.forward).parameters
        optional = tuple(name for name, parameter in parameters.items() if parameter.default is None)
        uses.append(Use(submodule, path, calls[path], dict(zip(parameters, given, strict=False)), optional, output))
        calls[path] += 1

    for path, submodule in _submodules(module):
        submodule.register_forward_hook(lambda submodule, given, output, path=path: note(path, submodule, given, output))
    return uses


def wrong_uses(uses: list[Use], build: Build) -> Iterator[tuple[str, Build]]:
    """Yield the message of each mistake, and a function that builds a module with this mistake.

    A mistake is made in one call, in all calls of one submodule, or in all submodules of one list.
    """
    often = Counter(use.path for use in uses)
    for use in uses:
        name = use.path if often[use.path] == 1 else f"call {use.index + 1} of {use.path}"
        for message, wrong in _mistakes(use, name):
            yield message, _built_with(build, [use], wrong)
        if _shares_parameters(use.module, uses):
            yield f"loses the gradient of {name} for its shared parameters", partial(_with_constants, build, use.path)
    for name, alike in (_calls(uses) | _lists(uses)).items():
        for message, wrong in _mistakes(alike[0], name):
            yield message, _built_with(build, alike, wrong)
    kinds = {use.path: type(use.module) for use in uses}
    for one, two in combinations(kinds, 2):
        if kinds[one] is kinds[two]:
            yield f"swaps {one} and {two}", partial(_built_crossed, build, one, two)


def _mistakes(use: Use, name: str) -> Iterator[tuple[str, Wrong]]:
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
        for what, change in _other_values(key, value):
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


def _calls(uses: list[Use]) -> dict[str, list[Use]]:
    """Return the calls of each submodule that is called several times, and those before the last if they are several."""
    calls: dict[str, list[Use]] = {}
    for use in uses:
        calls.setdefault(f"every call of {use.path}", []).append(use)
    calls |= {f"{name} but the last": of_path[:-1] for name, of_path in calls.items()}
    return {name: of_path for name, of_path in calls.items() if len(of_path) > 1}


def _lists(uses: list[Use]) -> dict[str, list[Use]]:
    """Return the calls of the submodules in each list, where they have one class and each is called once."""
    lists: dict[str, list[Use]] = {}
    for use in uses:
        if "." in use.path:
            lists.setdefault(use.path.rpartition(".")[0], []).append(use)
    return {
        f"every module in {name}": of_list
        for name, of_list in lists.items()
        if len({use.path for use in of_list}) == len(of_list) > 1 and len({type(use.module) for use in of_list}) == 1
    }


def _built_with(build: Build, uses: list[Use], wrong: Wrong) -> Build:
    """Return a function that builds the module and makes these calls wrong."""

    def spoil(submodule: nn.Module, use: Use) -> None:
        right, calls = submodule.forward, count()

        def forward(*items: Any, **options: Any) -> Any:
            return wrong(partial(right, **options), items) if next(calls) == use.index else right(*items, **options)

        submodule.forward = forward

    def built() -> Any:
        module = build()
        for use in uses:
            spoil(module.get_submodule(use.path), use)
        return module

    return built


def _built_crossed(build: Build, one: str, two: str) -> Any:
    """Build the module with two submodules swapped; their parameters keep their names."""
    module = build()
    first, second = module.get_submodule(one), module.get_submodule(two)
    first.forward, second.forward = second.forward, first.forward
    return module


def _shares_parameters(submodule: nn.Module, uses: list[Use]) -> bool:
    """Return whether another submodule, neither around it nor inside it, has one of its parameters."""
    own, inside = ({id(item) for item in items} for items in (submodule.parameters(), submodule.modules()))
    others = (use.module for use in uses if id(use.module) not in inside and submodule not in use.module.modules())
    return any(id(parameter) in own for other in others for parameter in other.parameters())


def _with_constants(build: Build, path: str) -> Any:
    """Build the module with constants in place of the parameters of a submodule."""
    module = build()
    submodule = module.get_submodule(path)
    for name, parameter in list(submodule.named_parameters()):
        owner, _, last = name.rpartition(".")
        setattr(submodule.get_submodule(owner), last, nn.Parameter(parameter.detach().clone(), requires_grad=False))
    return module


def _submodules(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the direct submodules and those in lists, with their paths."""
    for name, submodule in module.named_children():
        if not isinstance(submodule, nn.ModuleList):
            yield name, submodule
        if isinstance(submodule, nn.ModuleList | nn.Sequential):
            yield from ((f"{name}.{i}", item) for i, item in submodule.named_children())


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


def _other_values(name: str, value: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Yield a description of each other value of an input, and the function that makes it from the right value."""
    if isinstance(value, bool):
        yield f"{name} = {not value}", lambda value: not value
    if isinstance(value, Tensor) and value.dtype == torch.bool:
        yield f"true everywhere as {name}", torch.ones_like
        yield f"the inverse of {name}", torch.logical_not
    if isinstance(value, Tensor) and value.dtype == torch.int64 and value.ndim == 1 and (value.diff() == 1).all():  # positions
        yield f"{name} + 1", lambda value: value + 1
        yield f"{name} - 1", lambda value: value - 1
        yield f"numbers from 0 on as {name}", lambda value: value - value[0]
    if isinstance(value, tuple) and len(value) > 1 and all(isinstance(x, Tensor) and x.ndim > 2 for x in value):
        yield f"{name} without its last step", lambda value: tuple(x[..., :-1, :] for x in value)
        yield f"the tensors of {name} in reverse order", lambda value: value[::-1]


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
