"""Faults that show only where an array is cut into blocks."""

from functools import partial

from parity_tests.faults.fault import Fault

relu = partial(Fault, function="ops.activation.relu", cases=("relu-large",), culprit="relu")
softmax = partial(Fault, function="ops.softmax.softmax", cases=("softmax-large",), culprit="softmax")

FAULTS = [
    relu("relu: mask of the first block", "dy[part], blocked[part]", "dy[part], blocked[: len(dy[part])]", "backward", None),
    softmax(
        "softmax: sums of the first block",
        'np.einsum("mn,mn->m", dy_rows[part], y[part])[:, None]',
        'np.einsum("mn,mn->m", dy_rows[part], y[: len(dy_rows[part])])[:, None]',
        "backward",
        "grad x lacks the term y x",
    ),
]
