"""The states of a comparison, and the one table of how each is shown and whether it fails."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The state of a comparison, or of a function, layer or model over all its comparisons."""

    # of one comparison
    OK = "ok"  # every tensor agrees
    MISMATCH = "mismatch"  # a tensor differs, or the contract is broken
    MISSING = "missing"  # a side is not written yet, or only its forward pass, which agrees
    INVALID = "invalid"  # the inputs are so ill-conditioned that agreement would mean nothing
    ERROR = "error"  # a side does not run
    NOT_TRIED = "not tried"  # it uses a function that did not end before

    # of a function, layer or model in someone's own package
    VERIFIED = "verified"  # every comparison is ok
    WRONG = "wrong"  # at least one comparison fails


@dataclass(frozen=True)
class Mark:
    """The look of a status, and its consequence.

    style   the style in which rich prints the status
    fails   whether the status is a failure; in someone's own package, a missing part is none
    label   the word in front of the verdict's message; "" for the status itself
    """

    style: str
    fails: bool
    label: str = ""


MARKS = {
    Status.OK: Mark("green", fails=False, label="note"),
    Status.MISMATCH: Mark("bold red", fails=True, label="note"),
    Status.MISSING: Mark("yellow", fails=False),
    Status.INVALID: Mark("bold yellow", fails=True),
    Status.ERROR: Mark("bold magenta", fails=True),
    Status.NOT_TRIED: Mark("magenta", fails=True),
    Status.VERIFIED: Mark("green", fails=False),
    Status.WRONG: Mark("bold red", fails=True),
}
