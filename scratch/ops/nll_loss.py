"""Negative log-likelihood over classes."""

import numpy as np

from scratch.checks import one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward
from scratch.ops.class_rows import class_rows, counted_labels, inverse, reduced, unrows


@op
def nll_loss(
    input: Array, target: Array, weight: Array | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> tuple[Array, Backward]:
    """Compute loss = -weight[target] input[target] for log-probabilities, as torch.nn.functional.nll_loss.

    Shapes, weight, ignore_index and reduction are those of cross_entropy. dinput = -dy weight[target] at the target, else 0.
    """
    one_float_dtype("nll_loss", input=input, weight=weight)
    rows = class_rows("nll_loss", input, target, weight, reduction, by_labels=True)
    M, C = rows.shape
    labels, counted = counted_labels("nll_loss", target, C, ignore_index)
    label_weight = counted.astype(input.dtype) if weight is None else weight[labels] * counted
    divisor = label_weight.sum()
    loss = -label_weight * np.where(counted, rows[np.arange(M), labels], 0)

    def backward(dy: Array) -> tuple[Array, None, None]:
        drows = np.zeros_like(rows)
        scale = dy.reshape(M) if reduction == "none" else dy * inverse(divisor, counted) if reduction == "mean" else dy
        drows[np.arange(M), labels] = np.where(counted, -label_weight * scale, rows.dtype.type(0))
        return unrows(drows, input), None, None

    return reduced(loss, reduction, divisor, input), backward
