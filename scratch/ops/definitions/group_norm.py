"""Group normalisation (Wu & He 2018, section 3.1)."""

import numpy as np

from scratch.module import Array, Backward
from scratch.ops.definitions.norm import standardise


def group_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, *, num_groups: int, eps: float = 1e-5
) -> tuple[Array, Backward]:
    """Compute y = weight x̂ + bias, x̂ over each sample's groups of channels; dx̂ = dy weight, dweight = Σ dy x̂, dbias = Σ dy."""
    axes, channels, grouped = (0, *range(2, x.ndim)), (1, -1, *[1] * (x.ndim - 2)), (len(x), num_groups, x[0].size // num_groups)
    x_hat, x_backward = standardise(x.reshape(grouped), (2,), eps)
    x_hat = x_hat.reshape(x.shape)
    gamma, beta = (np.asarray(v, x.dtype).reshape(channels) for v in (1 if weight is None else weight, 0 if bias is None else bias))

    def backward(dy: Array) -> tuple[Array | None, ...]:
        dweight, dbias = (None if v is None else d.sum(axis=axes) for v, d in ((weight, dy * x_hat), (bias, dy)))
        return x_backward((dy * gamma).reshape(grouped)).reshape(x.shape), dweight, dbias

    return gamma * x_hat + beta, backward
