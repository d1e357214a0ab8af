"""Test the check of options: each annotation that it knows, and the values that it refuses."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from scratch.options import check_options

FITTING = {
    "a bool": (bool, np.True_),
    "a NumPy integer": (int, np.int64(3)),
    "an array of one number": (int, np.array(3)),
    "a whole number for a number": (float, 3),
    "None": (int | None, None),
    "a pair": (tuple[int, int], (1, 2)),
    "a list": (Sequence[int], [1, 2]),
    "one or several": (int | Sequence[int], (1, 2)),
    "an annotation that is not checked": (np.ndarray, "a word"),
    "parts of two kinds, which are not checked": (tuple[int, str], ("a", 1)),
}
REFUSED = {
    "a fraction": (int, 1.5, "1.5, expected a whole number"),
    "a bool for a number": (int, True, "True, expected a whole number"),
    "NaN": (float, float("nan"), "nan, expected a number"),
    "a number for a word": (str, 1, "1, expected a word"),
    "an array": (int, np.zeros(2), "an array, float64 (2,), expected a whole number"),
    "one part of a pair": (tuple[int, int], (1, "2"), "(1, '2'), expected a sequence, each a whole number"),
    "a number for a sequence": (Sequence[int], 1, "1, expected a sequence, each a whole number"),
    "a word for a sequence": (Sequence[str], "ab", "'ab', expected a sequence, each a word"),
    "no part of a union": (int | None, "1", "'1', expected a whole number or None"),
}


def check(annotation: Any, value: Any) -> None:
    def op(option):
        """Take one option."""

    op.__annotations__ = {"option": annotation}
    check_options("op", op, (), {"option": value})
    check_options("op", op, (value,), {})


@pytest.mark.parametrize("what", FITTING)
def test_option_that_fits_is_accepted(what):
    check(*FITTING[what])


@pytest.mark.parametrize("what", REFUSED)
def test_other_option_is_refused(what):
    annotation, value, message = REFUSED[what]
    with pytest.raises(ValueError, match="option is") as caught:
        check(annotation, value)
    assert str(caught.value) == f"op: option is {message}"
