"""The functions of scratch that the cases run, and which of their arguments are floating-point arrays there."""

from __future__ import annotations

import inspect
import sys
from types import FrameType
from typing import Any

import numpy as np

from parity.cases import CASES
from parity.running.builders import scratch_builder
from parity.running.run_scratch import run_scratch
from parity_tests.generated.judged import kept
from parity_tests.mutation.subject import Place


def floats_of_functions() -> dict[Place, set[str]]:
    """Run every case in float64; return the names of floating-point arguments by function."""
    found: dict[Place, set[str]] = {}

    def note(frame: FrameType, event: str, argument: Any) -> None:
        module = str(frame.f_globals.get("__name__", ""))
        if event == "call" and module.startswith("scratch."):
            names = found.setdefault((module, frame.f_code.co_qualname.split(".<locals>")[0]), set())
            if "<locals>" not in frame.f_code.co_qualname:
                values = inspect.getargvalues(frame)
                names |= {n for n in values.args if isinstance(a := values.locals[n], np.ndarray) and a.dtype.kind == "f"}

    for case in CASES:
        problem = kept(case, 0).problem
        sys.setprofile(note)
        try:
            run_scratch(scratch_builder(case), problem, "float64")
        finally:
            sys.setprofile(None)
    return found
