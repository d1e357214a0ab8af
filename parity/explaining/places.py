"""The places in the source that a report tells to look at: the ops that a layer calls, and the functions that these call."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

from parity.explaining.locate import Evidence, target_of
from parity.running.run_scratch import run_scratch
from parity.running.tensor_name import Phase
from scratch.module import Module

MOST_FUNCTIONS = 12  # that a report names
MACHINERY = set("blas checks contract cpus memory module options random threads workers".split())  # files that compute nothing


def source_of(evidence: Evidence) -> str:
    """Return the place to look at, such as `scratch/ops/conv.py, conv2d; through scratch/fast/im2col.py, input_gradient`.

    It names the ops that a layer calls, or else the subject, and the functions of other files that these run in the wrong pass.
    """
    called = _called(evidence)
    top = _ops_at_the_top(evidence.subject, called)
    text, files = "; ".join(map(place_of, top)), {inspect.unwrap(target).__module__ for target in top}
    helpers = [function for function, _ in called if function.__module__ not in files][:MOST_FUNCTIONS]
    return f"{text}; through {_by_file(helpers)}" if helpers else text


def place_of(target: Any) -> str:
    """Return the file, relative to its package, and the name of a function or class."""
    target = inspect.unwrap(target)
    try:
        file = Path(inspect.getsourcefile(target) or "")
    except TypeError:
        return str(getattr(target, "__qualname__", repr(target)))
    package = str(target.__module__).split(".")[0]  # None for code that was run without a module
    names = file.parts[file.parts.index(package) :] if package in file.parts else file.parts[-1:]
    return f"{'/'.join(names)}, {target.__qualname__}"


def _by_file(functions: Iterable[FunctionType]) -> str:
    """Return the places of functions, those of one file together."""
    names: dict[str, list[str]] = {}
    for function in functions:
        file, name = place_of(function).split(", ")
        names.setdefault(file, []).append(name)
    return "; ".join(f"{file}, {', '.join(those)}" for file, those in names.items())


def _ops_at_the_top(subject: Any, called: Iterable[tuple[FunctionType, bool]]) -> list[Any]:
    """Return the ops that a layer without submodules calls directly, or else the subject's function or class."""
    ops: list[Any] = []
    if isinstance(subject, Module) and not any(True for _ in subject.named_children()):
        package = f"{type(subject).__module__.split('.')[0]}.ops."
        ops = [function for function, directly in called if directly and function.__module__.startswith(package)]
    return ops or [target_of(subject)]


def _called(evidence: Evidence) -> list[tuple[FunctionType, bool]]:
    """Return the functions of its own package that a subject runs, and whether no other one of them called it.

    Where the backward is wrong, the functions that help the forward pass are left out.
    """
    forward = _observed(evidence, backward=False)
    if evidence.phase is not Phase.BACKWARD:
        return list(forward.items())
    both = _observed(evidence, backward=True)
    return [(function, forward.get(function, False)) for function in both if forward.get(function, True)]


def _observed(evidence: Evidence, backward: bool) -> dict[FunctionType, bool]:
    """Observe a run with a profiler; what submodules run is not of interest."""
    package = str(target_of(evidence.subject).__module__).split(".")[0]
    found: dict[FunctionType, bool] = {}
    inside: list[FrameType] = []  # functions of the package that are running
    submodules: list[FrameType] = []

    def observe(frame: FrameType, event: str, argument: Any) -> None:
        if event == "return":
            for running in (inside, submodules):
                if running and running[-1] is frame:
                    running.pop()
        elif event == "call" and not submodules and (function := _function_of(frame, package)):
            if isinstance(function, type):
                if frame.f_locals.get("self") is not evidence.subject:
                    submodules.append(frame)
            else:
                found.setdefault(function, not inside)
                inside.append(frame)

    profile = sys.getprofile()
    sys.setprofile(observe)
    try:
        with suppress(Exception):
            run_scratch(lambda: evidence.subject, evidence.problem, evidence.dtype, backward=backward)
    finally:
        sys.setprofile(profile)
    return found


def _function_of(frame: FrameType, package: str) -> FunctionType | type | None:
    """Return the function of the package that a frame runs, or the class whose forward method it is; None for another frame."""
    name = str(frame.f_globals.get("__name__", ""))
    if (
        name.split(".")[0] != package
        or name.split(".")[-1] in MACHINERY
        or frame.f_code.co_name.startswith(("__", "_check", "check"))
    ):
        return None
    if frame.f_code.co_name == "forward" and "." in frame.f_code.co_qualname:
        return type(frame.f_locals.get("self"))
    found: Any = sys.modules.get(name)
    for part in frame.f_code.co_qualname.split("."):
        found = getattr(found, part, None)
    function = inspect.unwrap(found) if callable(found) else None
    return function if inspect.isfunction(function) and function.__code__ is frame.f_code else None
