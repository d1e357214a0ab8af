"""Code that gives other numbers on the same inputs: it draws random numbers of its own, or reads memory that it never set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

import numpy as np

from parity.explaining.hints import MARGIN, matches
from parity.explaining.locate import Evidence
from parity.running.run_scratch import run_scratch

FILL = 1  # fits every dtype


def is_unsteady(evidence: Evidence) -> bool:
    """Return whether the worst tensor is another when the subject runs again and the memory of new arrays has other content."""
    name = evidence.worst.tensor
    if name not in evidence.tensors or name not in evidence.calibration.unit:
        return False
    with suppress(Exception), _new_arrays_filled():
        first, again = evidence.tensors[name], run_scratch(lambda: evidence.subject, evidence.problem, evidence.dtype).tensors[name]
        if again.shape != first.shape:
            return False
        finite = np.isfinite(first) & np.isfinite(again)
        return not matches(evidence, name, np.where(finite, again, 0), np.where(finite, first, 0), MARGIN)
    return False


@contextmanager
def _new_arrays_filled() -> Iterator[None]:
    """Let np.empty and np.empty_like return arrays of one number inside the block."""

    def filled(make: Callable[..., Any]) -> Callable[..., Any]:
        def make_filled(*arguments: Any, **options: Any) -> Any:
            array = make(*arguments, **options)
            if array.dtype.kind in "biuf":
                array.fill(FILL)
            return array

        return make_filled

    with patch.object(np, "empty", filled(np.empty)), patch.object(np, "empty_like", filled(np.empty_like)):
        yield
