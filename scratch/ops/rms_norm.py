"""Normalisation by the root mean square."""

import numpy as np

from scratch.checks import ends_in, has_shape, is_eps, one_float_dtype
from scratch.contract import op
from scratch.fast.reduce import column_sums
from scratch.fast.threads import Part, in_blocks
from scratch.module import Array, Backward


@op
def rms_norm(
    x: Array, weight: Array | None = None, *, normalized_shape: tuple[int, ...], eps: float | None = None
) -> tuple[Array, Backward]:
    """Compute y = weight x̂, x̂ = x / √(mean(x²) + eps), for x (..., *normalized_shape) (Zhang & Sennrich 2019, equation 4).

    The mean is over the last axes; weight has their shape, normalized_shape. By default, eps is the difference between 1 and
    the next number of the dtype, as in torch. With dx̂ = dy weight:

        dx = (dx̂ - x̂ mean(dx̂ x̂)) / √(mean(x²) + eps)    dweight = Σ dy x̂
    """
    one_float_dtype("rms_norm", x=x, weight=weight)
    N = ends_in("rms_norm", x, normalized_shape)
    has_shape("rms_norm", "weight", weight, normalized_shape)
    epsilon = float(np.finfo(x.dtype).eps) if eps is None else eps
    is_eps("rms_norm", epsilon)
    rows = x.reshape(-1, N)
    y = np.empty(rows.shape, x.dtype)
    inv_rms = np.empty((len(rows), 1), x.dtype)
    scale = np.ones(N, x.dtype) if weight is None else weight.reshape(N)

    def forward(part: Part) -> None:
        mean_square = np.einsum("mn,mn->m", rows[part], rows[part])[:, None] / N
        np.divide(1, np.sqrt(mean_square + epsilon), out=inv_rms[part])
        block = np.multiply(rows[part], inv_rms[part], out=y[part])
        block *= scale

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        dy_rows = dy.reshape(-1, N)
        dx = np.empty_like(y)

        def spread(part: Part) -> Array:
            normalised = rows[part] * inv_rms[part]
            block = np.multiply(dy_rows[part], scale, out=dx[part])
            through_rms = np.einsum("mn,mn->m", block, normalised)[:, None] / N
            dscale = np.einsum("mn,mn->n", dy_rows[part], normalised)
            normalised *= through_rms
            block -= normalised
            block *= inv_rms[part]
            return dscale

        dscale = column_sums(np.stack(in_blocks(spread, dx)))
        return dx.reshape(x.shape), None if weight is None else dscale.reshape(weight.shape)

    in_blocks(forward, y)
    return y.reshape(x.shape), backward
