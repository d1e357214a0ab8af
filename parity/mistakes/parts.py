"""Mistakes in how a module uses its parts, which are right themselves: what it gives them, and what becomes of their gradients."""

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

from parity.mistakes.graft import graft
from parity.running import nested

Build = Callable[[], Any]
Forward = Callable[..., Any]
Wrong = Callable[[Forward, tuple[Any, ...]], Any]  # a part's forward and its inputs to what comes out instead


@dataclass(frozen=True)
class Use:
    """One call of a part: what and where the part is, the how-manieth of its calls, what it was given and what it returned."""

    part: nn.Module
    path: str
    index: int
    inputs: dict[str, Any]
    optional: tuple[str, ...]
    output: Any


def watch_parts(module: nn.Module) -> list[Use]:
    """The uses of the parts that the module holds itself, added to the list as they happen."""
    uses: list[Use] = []
    calls: Counter[str] = Counter()

    def note(path: str, part: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        parameters = inspect.signature(part.forward).parameters
        optional = tuple(name for name, parameter in parameters.items() if parameter.default is None)
        uses.append(Use(part, path, calls[path], dict(zip(parameters, given, strict=False)), optional, output))
        calls[path] += 1

    for path, part in _parts(module):
        part.register_forward_hook(lambda part, given, output, path=path: note(path, part, given, output))
    return uses


def wrong_uses(uses: list[Use], build: Build) -> Iterator[tuple[str, Build]]:
    """What may be wrong with each use, or alike with those of a part or of a list of layers, and how to make a module wrong so."""
    often = Counter(use.path for use in uses)
    for use in uses:
        part = use.path if often[use.path] == 1 else f"call {use.index + 1} of {use.path}"
        for text, wrong in _mistakes(use, part):
            yield text, _built_with(build, [use], wrong)
        if _shares_parameters(use.part, uses):
            yield f"lets no gradient into the parameters of {part}", partial(_with_constant, build, use.path)
    for name, alike in (_calls(uses) | _layers(uses)).items():
        for text, wrong in _mistakes(alike[0], name):
            yield text, _built_with(build, alike, wrong)
    kinds = {use.path: type(use.part) for use in uses}
    for one, two in combinations(kinds, 2):
        if kinds[one] is kinds[two]:
            yield f"uses {one} and {two} in each other's place", partial(_built_crossed, build, one, two)


def _mistakes(use: Use, part: str) -> Iterator[tuple[str, Wrong]]:
    """What a mistake says of the module, and what becomes of the part's call."""
    for name, leaves in _groups(use.inputs.items()):
        yield f"lets no gradient back through {name} of {part}", _given(partial(_changed, leaves, _held))
        yield f"gives {part} zeros for {name}", _given(partial(_changed, leaves, torch.zeros_like))
    given = list(use.inputs.items())
    for i, (name, value) in enumerate(given):
        if name in use.optional and value is not None:
            yield f"does not pass {name} on to {part}", _given(partial(_without, i))
        for text, change in _otherwise(value):
            yield f"gives {part} {text.format(name)}", _given(partial(_replaced, i, change))
    for (i, (name, one)), (j, (other, two)) in combinations(enumerate(given), 2):
        if isinstance(one, Tensor) and isinstance(two, Tensor) and one.shape == two.shape and one is not two:
            yield f"gives {part} its {name} and {other} in each other's place", _given(partial(_swapped, i, j))
    numbers: dict[int, list[int]] = {}  # of the inputs that are one tensor
    for i, (_, value) in enumerate(given):
        if isinstance(value, Tensor) and value.is_floating_point():
            numbers.setdefault(id(value), []).append(i)
    for (one, *_), others in permutations(numbers.values(), 2):
        kept = [value for i, (_, value) in enumerate(given) if i not in others]
        if _fits(given[one][1], given[others[0]][1], kept):
            names = " and ".join(given[i][0] for i in others)
            yield f"gives {part} its {given[one][0]} for {names}", _given(partial(_in_place, one, others))
    for name, leaves in _groups([("y", use.output)]):
        from_its = "" if name == "y" else f" from its {name}"
        yield f"lets no gradient back into {part}{from_its}", _returning(lambda items, y, leaves=leaves: _changed(leaves, _held, y))
    first = given[0][1] if given else None
    if isinstance(use.part, nn.Embedding) and isinstance(use.output, Tensor):
        yield f"multiplies what {part} returns by the root of its width", _returning(lambda items, y: y * y.shape[-1] ** 0.5)
    if isinstance(first, Tensor) and isinstance(use.output, Tensor) and first.shape == use.output.shape:
        yield f"leaves {part} out", lambda forward, items: items[0]
        if first.is_floating_point():
            yield f"leaves {part} out of the backward", _returning(lambda items, y: graft(y, items[0]))


def _fits(x: Tensor, place: Tensor, others: list[Any]) -> bool:
    """Whether x can take a place: in another shape only where no other input has that of the place.

    Of a key and a value that are not equally long, torch's attention reads and writes memory that is not theirs.
    """
    alike = any(isinstance(other, Tensor) and other.shape == place.shape for other in others)
    return x.shape == place.shape or (x.ndim == place.ndim and not alike)


def _given(before: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Wrong:
    """A part that is given other inputs."""
    return lambda forward, items: forward(*before(items))


def _returning(after: Callable[..., Any]) -> Wrong:
    """A part that returns something else, made of its inputs and its output."""
    return lambda forward, items: after(items, forward(*items))


def _calls(uses: list[Use]) -> dict[str, list[Use]]:
    """The uses of each part that is used several times, and those before the last, where they are several too."""
    calls: dict[str, list[Use]] = {}
    for use in uses:
        calls.setdefault(f"every call of {use.path}", []).append(use)
    calls |= {f"{name} but the last": of_part[:-1] for name, of_part in calls.items()}
    return {name: of_part for name, of_part in calls.items() if len(of_part) > 1}


def _layers(uses: list[Use]) -> dict[str, list[Use]]:
    """The uses of the parts in each list, where they are of one kind and each is used once."""
    lists: dict[str, list[Use]] = {}
    for use in uses:
        if "." in use.path:
            lists.setdefault(use.path.rpartition(".")[0], []).append(use)
    return {
        f"each of {name}": of_list
        for name, of_list in lists.items()
        if len({use.path for use in of_list}) == len(of_list) > 1 and len({type(use.part) for use in of_list}) == 1
    }


def _built_with(build: Build, uses: list[Use], wrong: Wrong) -> Build:
    """Builds the module and makes those calls of its parts wrong."""

    def spoil(part: nn.Module, use: Use) -> None:
        right, calls = part.forward, count()

        def forward(*items: Any, **options: Any) -> Any:
            return wrong(partial(right, **options), items) if next(calls) == use.index else right(*items, **options)

        part.forward = forward

    def built() -> Any:
        module = build()
        for use in uses:
            spoil(module.get_submodule(use.path), use)
        return module

    return built


def _built_crossed(build: Build, one: str, two: str) -> Any:
    """Builds the module and makes each of two parts do the work of the other."""
    module = build()
    first, second = module.get_submodule(one), module.get_submodule(two)
    first.forward, second.forward = second.forward, first.forward  # their parameters keep their names
    return module


def _shares_parameters(part: nn.Module, uses: list[Use]) -> bool:
    """Whether another part, neither around it nor inside it, has one of its parameters."""
    own, inside = ({id(item) for item in items} for items in (part.parameters(), part.modules()))
    others = (use.part for use in uses if id(use.part) not in inside and part not in use.part.modules())
    return any(id(parameter) in own for other in others for parameter in other.parameters())


def _with_constant(build: Build, path: str) -> Any:
    """The module, in which the parameters of a part are constants of the same numbers."""
    module = build()
    part = module.get_submodule(path)
    for name, parameter in list(part.named_parameters()):
        owner, _, last = name.rpartition(".")
        setattr(part.get_submodule(owner), last, nn.Parameter(parameter.detach().clone(), requires_grad=False))
    return module


def _parts(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, part in module.named_children():
        if not isinstance(part, nn.ModuleList):
            yield name, part
        if isinstance(part, nn.ModuleList | nn.Sequential):
            yield from ((f"{name}.{i}", item) for i, item in part.named_children())


def _groups(named: Iterable[tuple[str, Any]]) -> list[tuple[str, set[int]]]:
    """Floating-point tensors by name, and those of a nest by the name of the nest too: the numbers of the leaves that they are."""
    groups: dict[str, set[int]] = {}
    leaves = [leaf for name, value in named for leaf in nested.leaves(name, value)]
    for k, (name, leaf) in enumerate(leaves):
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            parts = name.split(".")
            for n in range(1, len(parts) + 1):
                groups.setdefault(".".join(parts[:n]), set()).add(k)
    return list(groups.items())


def _changed(leaves: set[int], change: Callable[[Tensor], Tensor], nest: Any) -> Any:
    """The nest with some of its leaves changed."""
    number = count()
    return nested.map_leaves(lambda leaf: change(leaf) if next(number) in leaves else leaf, nest)


def _otherwise(value: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """What another value of an input is called, with {} for the input's name, and what makes it of the right one."""
    if isinstance(value, bool):
        yield f"{not value} for {{}}", lambda value: not value
    if isinstance(value, Tensor) and value.dtype == torch.bool:
        yield "true everywhere for {}", torch.ones_like
        yield "the opposite of {}", torch.logical_not
    if isinstance(value, Tensor) and value.dtype == torch.int64 and value.ndim == 1 and (value.diff() == 1).all():  # positions
        yield "{} that are one too many", lambda value: value + 1
        yield "{} that are one too few", lambda value: value - 1
        yield "{} that begin at 0", lambda value: value - value[0]
    if isinstance(value, tuple) and len(value) > 1 and all(isinstance(x, Tensor) and x.ndim > 2 for x in value):
        yield "{} without its last step", lambda value: tuple(x[..., :-1, :] for x in value)
        yield "the parts of {} in the reverse order", lambda value: value[::-1]


def _replaced(i: int, change: Callable[[Any], Any], items: tuple[Any, ...]) -> tuple[Any, ...]:
    return *items[:i], change(items[i]), *items[i + 1 :]


def _without(i: int, items: tuple[Any, ...]) -> tuple[Any, ...]:
    return *items[:i], None, *items[i + 1 :]


def _in_place(one: int, others: list[int], items: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(items[one] if i in others else item for i, item in enumerate(items))


def _swapped(i: int, j: int, items: tuple[Any, ...]) -> tuple[Any, ...]:
    swapped = list(items)
    swapped[i], swapped[j] = items[j], items[i]
    return tuple(swapped)


def _held(x: Tensor) -> Tensor:
    """The same numbers with a gradient of 0, so that every parameter still has one."""
    return graft(x, 0 * x)
