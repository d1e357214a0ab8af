"""The harness, which decides whether a NumPy implementation and its PyTorch twin compute the same function.

from parity import assert_parity
"""

from typing import Any

__all__ = ["ParityError", "assert_parity"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # imported late: pytest loads parity.plugin everywhere, and torch takes seconds
        from parity import assertion

        return getattr(assertion, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
