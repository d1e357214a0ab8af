"""Faults of constructors: an option that has another value than the reference's, and parameters that should not be there."""

from __future__ import annotations

import ast
import inspect
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from itertools import takewhile
from typing import Any

import numpy as np
import torch

from parity.explaining.locate import Evidence, examine
from parity.explaining.places import place_of
from scratch.module import Array, Module

CONTAINERS = (torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict)  # they hold what another constructor made


def wrong_option(evidence: Evidence) -> str:
    """Return the option whose other value makes a module wrong, or "" where there is none.

    An attribute that both sides have is such an option if the module agrees once it has the reference's value.
    """
    subject, reference = evidence.subject, evidence.reference_run.build()
    if not isinstance(subject, Module) or not isinstance(reference, torch.nn.Module):
        return ""
    for name, ours in vars(subject).items():
        theirs = vars(reference).get(name)
        if _is_option(ours) and _is_option(theirs) and _plain(ours) != _plain(theirs) and name != "training":
            repaired = deepcopy(subject)
            with suppress(Exception):
                setattr(repaired, name, type(ours)(theirs) if isinstance(theirs, int | float) else theirs)
                if not examine(evidence.path, repaired, evidence.reference_run, evidence.dtype).findings:
                    return f"its {name} is {ours!r}, expected {theirs if isinstance(ours, tuple) else _plain(theirs)!r}"
    return ""


def _is_option(value: Any) -> bool:
    return isinstance(value, bool | int | float | str) or (isinstance(value, tuple) and all(map(_is_option, value)))


def _plain(value: Any) -> Any:
    """Return a value as one number where it is the same number for each axis."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def place_of_constructor(path: str, root: Module) -> str:
    """Return the places that decide the options of a submodule: its constructor, and the lines that call the constructors.

    The lines are those that make the submodule, then those that make the module which holds it, and so on.
    """
    modules, lines = dict(root.named_modules()), dict[str, set[int]]()
    parts = path.split(".") if path else []
    above = [type(modules.get(".".join(parts[:n]))) for n in range(len(parts) + 1)]  # a list of modules has no class of its own
    for n in range(len(parts), 0, -1):
        kind, makers = above[n].__name__, above[n - 1 :: -1] if n > 1 else above[:1]
        if kind not in {container.__name__ for container in (*CONTAINERS, type(None))}:
            file, there = next(filter(None, (_lines_that_make(kind, parts[n - 1], maker) for maker in makers)), ("", set()))
            lines.setdefault(file, set()).update(there)
    places = [f"{file}:{', '.join(map(str, sorted(there)))}" for file, there in lines.items() if file]
    return "; ".join([*places, place_of(type(modules[path]).__init__)])


def _lines_that_make(kind: str, attribute: str, maker: type[Any]) -> tuple[str, set[int]] | None:
    """Return the file of a class and the lines in it that call a constructor; None where there are none.

    If the result of some calls is assigned to an attribute of this name, it is their lines alone.
    """
    try:
        tree = ast.parse(inspect.getsource(sys.modules[maker.__module__]))
    except (OSError, TypeError, KeyError):
        return None
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == kind]
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign) and _target(node) == attribute]
    named = [call for call in calls if any(call in ast.walk(node.value) for node in assigned)]
    return (place_of(maker).split(",")[0], {call.lineno for call in named or calls}) if calls else None


def _target(node: ast.Assign) -> str:
    """Return the attribute that an assignment sets, or ""."""
    return node.targets[0].attr if isinstance(node.targets[0], ast.Attribute) else ""


def raising_constructors(error: Exception) -> tuple[str, str] | None:
    """Return the class that cannot be made, and the lines at which constructors call one another up to the error."""
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_name == "__init__"]
    makers: list[tuple[type[Any], int]] = [(type(frame.f_locals.get("self")), line) for frame, line in frames]
    if not makers:
        return None
    places = [f"{place_of(maker).split(',')[0]}:{line}" for maker, line in makers]
    return makers[0][0].__name__, "; ".join(dict.fromkeys(places))


def holder_of_odd_parameters(root: Module, reference: torch.nn.Module, state: Mapping[str, Array]) -> str:
    """Return the path of the module whose parameters are not the reference's.

    It is the innermost module that holds all of them; a container holds what another constructor made.
    """
    ours, theirs = ({name: np.shape(array) for name, array in each.items()} for each in (root.state_dict(), state))
    odd = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    first, last = odd[0].split(".")[:-1], odd[-1].split(".")[:-1]  # in sorted names, what these share is shared by all
    shared = [one for one, other in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))]
    paths = [".".join(shared[:n]) for n in range(len(shared), -1, -1)]
    modules, twins = dict(root.named_modules()), dict(reference.named_modules())
    return next(path for path in paths if not path or (path in modules and not isinstance(twins.get(path), CONTAINERS)))
