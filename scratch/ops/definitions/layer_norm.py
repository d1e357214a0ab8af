"""Layer normalisation (Ba, Kiros & Hinton 2016, section 3)."""

import numpy as np

from scratch.module import Array, Backward
from scratch.ops.definitions.norm import standardise


def layer_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, *, normalized_shape: tuple[int, ...], eps: float = 1e-5
) -> tuple[Array, Backward]:
    """Compute y = weight x̂ + bias over the last axes; dx̂ = dy weight, dweight = Σ dy x̂, dbias = Σ dy over all other axes."""
    ndim = x.ndim - len(normalized_shape)
    x_hat, x_backward = standardise(x, tuple(range(ndim, x.ndim)), eps)
    gamma, beta = (np.asarray(v, x.dtype) for v in (1 if weight is None else weight, 0 if bias is None else bias))

    def backward(dy: Array) -> tuple[Array | None, ...]:
        dweight, dbias = (None if v is None else d.sum(axis=tuple(range(ndim))) for v, d in ((weight, dy * x_hat), (bias, dy)))
        return x_backward(dy * gamma), dweight, dbias

    return gamma * x_hat + beta, backward
