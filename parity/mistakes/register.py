"""The register of mistakes: for each function of torch or reference, what can be wrong with it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType
from typing import Any, TypeVar, cast

import torch

Wrong = Callable[..., Any]
T = TypeVar("T")

_MISTAKES: dict[str, dict[str, Wrong]] = {}
_DEFINITIONS: dict[str, Wrong] = {}


def mistake(function: str, message: str, stage: str = "") -> Callable[[T], T]:
    """Register a function that computes what `function` computes when somebody makes one mistake in it.

    It takes the arguments of `function`. With a `stage`, it replaces that keyword argument of the definition instead.
    The message completes a line that begins with "cause".
    """
    _check(function, message, stage)

    def register(wrong: T) -> T:
        made = partial(_DEFINITIONS[function], **{stage: wrong}) if stage else cast(Wrong, wrong)
        _MISTAKES.setdefault(function, {})[message] = made
        return wrong

    return register


def definition(function: str) -> Callable[[T], T]:
    """Register a function that computes the same as `function`; its keyword arguments are stages that a mistake replaces."""

    def register(right: T) -> T:
        _DEFINITIONS[function] = cast(Wrong, right)
        return right

    return register


def registered(function: str) -> list[tuple[str, Wrong]]:
    """Return the message of each mistake in a function, and the function that makes it, in the order of their registration."""
    _all_files()
    return list(_MISTAKES.get(function, {}).items())


def functions_with_mistakes() -> list[str]:
    """Return the names of all functions that have mistakes."""
    _all_files()
    return list(_MISTAKES)


def definitions() -> dict[str, Wrong]:
    """Return all definitions by the names of their functions."""
    _all_files()
    return dict(_DEFINITIONS)


def _all_files() -> None:
    """Import all files with mistakes: when a mistake is first asked for, since right code needs none."""
    import_module("parity.mistakes.functions")


def _check(function: str, message: str, stage: str) -> None:
    if not _exists(function):
        raise ValueError(f"no function of torch or reference is called {function!r}: the mistake {message!r} can be in none")
    if message in _MISTAKES.get(function, {}):
        raise ValueError(f"{function} has two mistakes with the message {message!r}: give each a message of its own")
    if stage and stage not in (stages := _stages(_DEFINITIONS.get(function))):
        raise ValueError(f"the definition of {function} has no stage {stage!r}: it has {', '.join(stages) or 'none'}")


@cache
def _stages(right: Wrong | None) -> list[str]:
    parameters = inspect.signature(right).parameters.values() if right else ()
    return [parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]


@cache
def _exists(function: str) -> bool:
    return any(hasattr(place, function) for place in _places())


@cache
def _places() -> list[Any]:
    """Return the modules and classes in which a function with mistakes can be found."""
    places = [torch, torch.nn.functional, torch.Tensor, torch._VF, torch.optim, torch.optim.lr_scheduler, torch.nn.utils]
    return [*places, *_modules_of(import_module("reference"))]


def _modules_of(package: ModuleType) -> list[ModuleType]:
    """Return all modules of a package that may hold functions, which layers and models do not."""
    names = [found.name for found in walk_packages(package.__path__, f"{package.__name__}.")]
    return [import_module(name) for name in names if not {"layers", "models"} & set(name.split("."))]
