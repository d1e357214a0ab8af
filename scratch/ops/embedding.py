"""Rows of a table, looked up by number."""

import numpy as np
from scipy.sparse import csr_array

from scratch.checks import one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward


@op
def embedding(input: Array, weight: Array, padding_idx: int | None = None) -> tuple[Array, Backward]:
    """Look up y = weight[input]: input (...) of whole numbers and weight (V, E) to (..., E), as torch.nn.functional.embedding.

    dweight[v] = the sum of dy over all places where input is v, and 0 for the row padding_idx.
    """
    one_float_dtype("embedding", weight=weight)
    if weight.ndim != 2 or input.dtype.kind not in "iu":
        raise ValueError(
            f"embedding: expected whole numbers and weight (V, E), got {input.dtype} and a weight of shape {weight.shape}"
        )
    V, E = weight.shape
    if input.size and (input.min() < 0 or input.max() >= V):
        wrong = input.min() if input.min() < 0 else input.max()
        raise ValueError(f"embedding: number {wrong} is out of range: expected 0 to {V - 1}")
    if padding_idx is not None and not -V <= padding_idx < V:
        raise ValueError(f"embedding: padding_idx is {padding_idx}, expected {-V} to {V - 1}, or None")

    def backward(dy: Array) -> tuple[None, Array]:
        places = np.argsort(input, axis=None, kind="stable")  # the places of row 0, then those of row 1, ...
        ends = np.cumsum(np.bincount(input.ravel(), minlength=V))
        went = csr_array((np.ones(input.size, dy.dtype), places, np.concatenate([[0], ends])), shape=(V, input.size))
        dweight = went @ dy.reshape(input.size, E)
        if padding_idx is not None:
            dweight[padding_idx] = 0
        return None, dweight

    return weight[input], backward
