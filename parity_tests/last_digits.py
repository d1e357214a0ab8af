"""Change the last digits of both sides' results, as another BLAS kernel, thread count or version does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np

from parity import check
from parity.judging.tolerance import largest
from parity.running import run_reference as reference_side
from parity.running import run_scratch as scratch_side
from parity.running.problem import Run, Tensors

ROUNDINGS = 2  # the change, in roundings of the largest number of a row


@contextmanager
def moved_last_digits(seed: int) -> Iterator[None]:
    """Change every run of either side by a few roundings inside the block; exact zeros of the reference stay zero.

    The side under judgement may compute a zero as another sum, so its zeros change by a rounding of its largest number.
    """
    rng = np.random.default_rng(seed)

    def run_scratch(*arguments: Any, **options: Any) -> Run:
        run = scratch_side.run_scratch(*arguments, **options)
        noise = max((largest(array) for array in run.tensors.values() if array.dtype.kind == "f"), default=0.0)
        return replace(run, tensors=_with_other_last_digits(run.tensors, rng, noise))

    def run_reference(*arguments: Any, **options: Any) -> Run:
        run = reference_side.run_reference(*arguments, **options)
        return replace(run, tensors=_with_other_last_digits(run.tensors, rng, 0.0))

    check.reference_run_of.cache_clear()
    with ExitStack() as stack:
        for original, changed in ((scratch_side.run_scratch, run_scratch), (reference_side.run_reference, run_reference)):
            for module in _users_of(original):
                stack.enter_context(patch.object(module, original.__name__, changed))
        yield
    check.reference_run_of.cache_clear()


def _users_of(function: Any) -> list[ModuleType]:
    """Return the modules of the harness that import a function from the one that defines it."""
    modules = [module for name, module in sys.modules.items() if name.startswith("parity.") and name != function.__module__]
    return [module for module in modules if vars(module).get(function.__name__) is function]


def _with_other_last_digits(tensors: Tensors, rng: np.random.Generator, noise: float) -> Tensors:
    def moved(array: Any) -> Any:
        if array.dtype.kind != "f":
            return array
        with np.errstate(all="ignore"):
            eps, signs = np.finfo(array.dtype).eps, rng.uniform(-1, 1, array.shape)
            rows = np.abs(array).max(axis=-1, keepdims=True, initial=0.0) if array.ndim else np.abs(array)
            digits = ROUNDINGS * eps * rows * signs * (array != 0) if array.any() else eps * noise * signs
            return np.where(np.isfinite(array), array + digits, array).astype(array.dtype)

    return {name: moved(array) for name, array in tensors.items()}
