"""Group normalisation."""

import math

import numpy as np

from scratch.checks import has_shape, is_eps, one_float_dtype
from scratch.contract import op
from scratch.fast.threads import Part, in_blocks
from scratch.module import Array, Backward


@op
def group_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, *, num_groups: int, eps: float = 1e-5
) -> tuple[Array, Backward]:
    """Compute y = weight x̂ + bias, x̂ = (x - mean) / √(var + eps), for x (N, C, ...) (Wu & He 2018, section 3.1).

    Mean and biased variance are those of each group of C / num_groups neighbouring channels in one sample; weight and bias are
    (C,). With dx̂ = dy weight and means over the group:

        dx = (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)) / √(var + eps)    dweight = Σ dy x̂    dbias = Σ dy
    """
    one_float_dtype("group_norm", x=x, weight=weight, bias=bias)
    is_eps("group_norm", eps)
    if x.ndim < 2 or num_groups < 1 or x.shape[1] < 1 or x.shape[1] % num_groups:
        raise ValueError(f"group_norm: expected x (N, C, ...) with a C that num_groups divides, got {x.shape} and {num_groups}")
    (N, C), G = x.shape[:2], num_groups
    has_shape("group_norm", "weight", weight, (C,))
    has_shape("group_norm", "bias", bias, (C,))
    pixels = x.reshape(N, C, math.prod(x.shape[2:]))
    count = C // G * pixels.shape[2]
    ones = np.ones((pixels.shape[2], 1), x.dtype)  # pixels @ ones is the sum of each channel
    scale, shift = (None if v is None else v[:, None] for v in (weight, bias))
    y = np.empty_like(pixels)
    mean, inv_std = np.empty((2, N, C, 1), x.dtype)  # for each channel, those of its group

    def group_means(sums: Array) -> Array:
        """Return the means of the groups, repeated for each of their channels, from the sums of channels (N, C, 1)."""
        return np.repeat(sums.reshape(len(sums), G, C // G).sum(axis=2, keepdims=True) / count, C // G, axis=1)

    def forward(part: Part) -> None:
        mean[part] = group_means(pixels[part] @ ones)
        block = np.subtract(pixels[part], mean[part], out=y[part])
        left = group_means(block @ ones)  # the rounding error of the mean, which counts where the mean is far from zero
        mean[part] += left
        var = group_means(np.einsum("ncp,ncp->nc", block, block)) - left * left
        np.divide(1, np.sqrt(var + eps), out=inv_std[part])
        factor = inv_std[part] if scale is None else inv_std[part] * scale
        block *= factor
        block += -left * factor if shift is None else shift - left * factor

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        dy_pixels, dx = dy.reshape(pixels.shape), np.empty_like(y)

        def spread(part: Part) -> tuple[Array, Array]:
            centred, block = pixels[part] - mean[part], dx[part]
            dscale = np.einsum("ncp,ncp->nc", dy_pixels[part], centred)[:, :, None] * inv_std[part]
            dshift = dy_pixels[part] @ ones
            through_var, through_mean = (  # x also affects y through the variance and the mean of its group
                group_means(sums if scale is None else sums * scale) * inv_std[part] for sums in (dscale, dshift)
            )
            np.multiply(dy_pixels[part], inv_std[part] if scale is None else inv_std[part] * scale, out=block)
            centred *= through_var * inv_std[part]
            block -= centred
            block -= through_mean
            return dscale.sum(axis=0), dshift.sum(axis=0)

        dscale, dshift = (np.sum(sums, axis=0).reshape(C) for sums in zip(*in_blocks(spread, dx), strict=True))
        return dx.reshape(x.shape), None if weight is None else dscale, None if bias is None else dshift

    in_blocks(forward, y)
    return y.reshape(x.shape), backward
