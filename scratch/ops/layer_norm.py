"""Layer normalisation."""

import numpy as np

from scratch.checks import ends_in, has_shape, is_eps, one_float_dtype
from scratch.contract import op
from scratch.fast.reduce import column_sums
from scratch.fast.threads import Part, in_blocks
from scratch.module import Array, Backward


@op
def layer_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, *, normalized_shape: tuple[int, ...], eps: float = 1e-5
) -> tuple[Array, Backward]:
    """Compute y = weight x̂ + bias, x̂ = (x - mean) / √(var + eps), for x (..., *normalized_shape) (Ba et al. 2016, section 3).

    Mean and biased variance are those of the last axes; weight and bias have their shape, normalized_shape. With
    dx̂ = dy weight and means over the last axes:

        dx = (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)) / √(var + eps)    dweight = Σ dy x̂    dbias = Σ dy
    """
    one_float_dtype("layer_norm", x=x, weight=weight, bias=bias)
    is_eps("layer_norm", eps)
    N = ends_in("layer_norm", x, normalized_shape)
    has_shape("layer_norm", "weight", weight, normalized_shape)
    has_shape("layer_norm", "bias", bias, normalized_shape)
    rows = x.reshape(-1, N)
    y = np.empty(rows.shape, x.dtype)
    mean, inv_std = np.empty((2, len(rows), 1), x.dtype)
    scale = np.ones(N, x.dtype) if weight is None else weight.reshape(N)
    ones = np.ones((N, 1), x.dtype)  # rows @ ones is the sum of each row

    def forward(part: Part) -> None:
        np.divide(rows[part] @ ones, N, out=mean[part])
        block = np.subtract(rows[part], mean[part], out=y[part])
        var = np.einsum("mn,mn->m", block, block)[:, None] / N
        np.divide(1, np.sqrt(var + eps), out=inv_std[part])
        block *= inv_std[part]
        block *= scale
        if bias is not None:
            block += bias.reshape(N)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        dy_rows = dy.reshape(-1, N)
        dx = np.empty_like(y)

        def spread(part: Part) -> tuple[Array, Array]:
            normalised = rows[part] - mean[part]
            normalised *= inv_std[part]
            block = np.multiply(dy_rows[part], scale, out=dx[part])
            through_mean = block @ ones / N  # x also affects y through the mean and the variance of its row
            through_var = np.einsum("mn,mn->m", block, normalised)[:, None] / N
            dscale = np.einsum("mn,mn->n", dy_rows[part], normalised)
            normalised *= through_var
            block -= normalised
            block -= through_mean
            block *= inv_std[part]
            return dscale, column_sums(dy_rows[part])

        dscale, dbias = (column_sums(np.stack(sums)) for sums in zip(*in_blocks(spread, dx), strict=True))
        return (
            dx.reshape(x.shape),
            None if weight is None else dscale.reshape(weight.shape),
            None if bias is None else dbias.reshape(bias.shape),
        )

    in_blocks(forward, y)
    return y.reshape(x.shape), backward
