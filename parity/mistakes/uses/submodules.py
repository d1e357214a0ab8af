"""Mistakes in how a module uses its submodules, which are right themselves: in one call, in several, or in a swap of two."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, count
from typing import Any

from torch import nn

from parity.mistakes.uses.submodule_calls import Items, Use, Wrong, mistakes_in_call

Build = Callable[[], Any]


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
        for message, wrong in mistakes_in_call(use, name):
            yield message, _built_with(build, [use], wrong)
        if _shares_parameters(use.module, uses):
            yield f"loses the gradient of {name} for its shared parameters", partial(_with_constants, build, use.path)
    for name, alike in (_calls(uses) | _lists(uses)).items():
        for message, wrong in mistakes_in_call(alike[0], name):
            yield message, _built_with(build, alike, wrong)
    kinds = {use.path: type(use.module) for use in uses}
    for one, two in combinations(kinds, 2):
        if kinds[one] is kinds[two]:
            yield f"swaps {one} and {two}", partial(_built_crossed, build, one, two)


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
