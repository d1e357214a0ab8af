"""Learned position embeddings, resized for images of another size."""

import numpy as np

from scratch.checks import one_float_dtype, pair
from scratch.contract import op
from scratch.fast.select import weighted
from scratch.module import Array, Backward

A = -0.75  # the slope of the cubic at distance 1 in torch, OpenCV and TensorFlow; Keys recommends -0.5


@op
def interpolate_positions(positions: Array, grid: tuple[int, int], size: tuple[int, int]) -> tuple[Array, Backward]:
    """Resize a table of positions from one grid of patches to another, by cubic convolution.

    (1, P + h w, D) for a grid (h, w) becomes (1, P + H W, D) for the size (H, W). The first P positions, such as a class
    token's, stay as they are (Dosovitskiy et al. 2021, section 3.2). For the others, y = S x with S the Kronecker product of
    cubic_weights of rows and columns, and dx = Sᵀ dy. torch's equivalent is torch.nn.functional.interpolate(mode="bicubic",
    align_corners=False).
    """
    one_float_dtype("interpolate_positions", positions=positions)
    grid, size = (pair("interpolate_positions", *named, 1) for named in (("grid", grid), ("size", size)))
    (h, w), (H, W) = grid, size
    first = positions.shape[1] - h * w if positions.ndim == 3 else -1
    if first < 0 or len(positions) != 1 or positions.shape[2] < 1:
        raise ValueError(
            f"interpolate_positions: expected positions (1, P + h w, D) and sizes of at least 1, got {positions.shape} for a grid "
            f"{tuple(grid)} and one {tuple(size)}"
        )
    if (h, w) == (H, W):
        return positions, lambda dy: dy
    weights = np.kron(cubic_weights(h, H), cubic_weights(w, W)).astype(positions.dtype)  # (H W, h w)
    y = np.concatenate([positions[:, :first], weights @ positions[:, first:]], axis=1)
    if not np.isfinite(y).all():  # a patch that is no neighbour has no effect, not even with NaN
        y[:, first:] = weighted(positions[:, first:].swapaxes(1, 2), weights).swapaxes(1, 2)

    def backward(dy: Array) -> Array:
        return np.concatenate([dy[:, :first], weights.T @ dy[:, first:]], axis=1)

    return y, backward


def cubic_weights(n: int, m: int) -> Array:
    """Return the weights (m, n) of n numbers in m numbers, spread evenly over the same interval (Keys 1981, equation 15).

    Beyond the ends, the last number is repeated.
    """
    place = (np.arange(m) + 0.5) * n / m - 0.5
    before = np.floor(place).astype(int)
    weights = np.zeros((m, n))
    for at in (before - 1, before, before + 1, before + 2):
        d = np.abs(place - at)
        near, far = ((A + 2) * d - (A + 3)) * d * d + 1, A * (((d - 5) * d + 8) * d - 4)
        weights[np.arange(m), np.clip(at, 0, n - 1)] += np.where(d <= 1, near, far)
    return weights
