"""Settings of the whole process that a package may change, and that are restored after it.

A package may need its own paths, import hooks and environment variables, so additions to these stay, and removals are undone.
"""

from __future__ import annotations

import gc
import locale
import os
import random
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch

Setting = tuple[Callable[[], Any], Callable[[Any], Any]]  # a function that returns it, and one that sets it


def _complete_environment(variables: dict[str, str]) -> None:
    for name in variables.keys() - os.environ.keys():
        os.environ[name] = variables[name]


def _set_streams(streams: tuple[Any, Any, Any]) -> None:
    sys.stdin, sys.stdout, sys.stderr = streams


def _set_hooks(hooks: tuple[Any, Any]) -> None:
    sys.excepthook, threading.excepthook = hooks


def _complete(name: str, entries: list[Any]) -> None:
    found = getattr(sys, name)
    found = list(found) if isinstance(found, list) else []
    setattr(sys, name, found + [entry for entry in entries if entry not in found])


def _set_deterministic(on: bool, get: Callable[[], bool], set_to: Callable[[bool], Any]) -> None:
    if get() != on:  # setting it imports a compiler, which takes seconds
        set_to(on)


def _settings() -> tuple[Setting, ...]:
    """Return the settings; their functions are looked up now, before a package can replace them in their modules."""
    set_errors, set_locale, set_limits = np.seterr, locale.setlocale, gc.set_threshold
    deterministic = torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms
    switch = (gc.disable, gc.enable)
    return (
        (np.geterr, lambda how: set_errors(**how)),
        (np.geterrcall, np.seterrcall),
        (np.getbufsize, np.setbufsize),
        (np.random.get_state, np.random.set_state),
        (random.getstate, random.setstate),
        (torch.get_rng_state, torch.set_rng_state),
        (torch.get_default_dtype, torch.set_default_dtype),
        (lambda: None, torch.set_default_device),
        (torch.get_num_threads, torch.set_num_threads),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        (deterministic[0], lambda on: _set_deterministic(on, *deterministic)),
        (lambda: False, torch.set_flush_denormal),
        (lambda: set_locale(locale.LC_ALL), lambda name: set_locale(locale.LC_ALL, name)),
        (os.getcwd, os.chdir),
        (lambda: dict(os.environ), _complete_environment),
        (lambda: list(sys.path), partial(_complete, "path")),
        (lambda: list(sys.meta_path), partial(_complete, "meta_path")),
        (lambda: (sys.stdin, sys.stdout, sys.stderr), _set_streams),
        (lambda: (sys.excepthook, threading.excepthook), _set_hooks),
        (sys.getrecursionlimit, sys.setrecursionlimit),
        (sys.getswitchinterval, sys.setswitchinterval),
        (sys.gettrace, sys.settrace),
        (sys.getprofile, sys.setprofile),
        (gc.isenabled, lambda on: switch[on]()),
        (gc.get_threshold, lambda limits: set_limits(*limits)),
    )


SETTINGS = _settings()


class Surroundings:
    """A record of the settings of the process: modes of NumPy and PyTorch, seeds, the directory, the streams."""

    def __init__(self) -> None:
        self._settings: list[tuple[Callable[[Any], Any], Any]] = []
        for ask, set_to in SETTINGS:
            with suppress(OSError):  # the directory may be gone
                self._settings.append((set_to, ask()))

    def restore(self) -> None:
        """Restore all settings."""
        for set_to, value in self._settings:
            with suppress(Exception):  # some replacements cannot be undone
                set_to(value)
