"""Two-dimensional convolution, which in deep learning means cross-correlation."""

import numpy as np

from scratch.checks import Size, has_shape, one_float_dtype
from scratch.contract import op
from scratch.fast.im2col import conv2d_by_columns
from scratch.fast.memory import keep_freed_memory
from scratch.fast.window import Window, window
from scratch.fast.winograd import conv2d_by_winograd, suits_winograd
from scratch.module import Array, Backward


@op
def conv2d(
    x: Array, weight: Array, bias: Array | None = None, stride: Size = 1, padding: Size = 0, dilation: Size = 1, groups: int = 1
) -> tuple[Array, Backward]:
    """Convolve x (N, C, H, W) with weight (O, C/groups, KH, KW) and add bias (O,), as torch.nn.functional.conv2d.

    stride, padding and dilation are ints or (height, width) pairs. With x 0 in the padding, and c over the channels of o's
    group:

        y[n, o, h, w] = bias[o] + Σ_cij weight[o, c, i, j] x[n, c, h stride + i dilation - padding, ...]

    The backward adds weight[o, c, i, j] dy[n, o, h, w] to dx at the same pixel (a transposed convolution), and
    dweight[o, c, i, j] = Σ_nhw dy[n, o, h, w] x[n, c, h stride + i dilation - padding, ...], dbias = Σ_nhw dy.
    """
    one_float_dtype("conv2d", x=x, weight=weight, bias=bias)
    if x.ndim != 4 or weight.ndim != 4:
        raise ValueError(f"conv2d: expected x (N, C, H, W) and weight (O, C/groups, KH, KW), got {x.shape} and {weight.shape}")
    O, channels = weight.shape[:2]
    if groups < 1 or x.shape[1] != channels * groups or O % groups:
        raise ValueError(
            f"conv2d: x has {x.shape[1]} channels; a weight of shape {weight.shape} in {groups} groups takes {channels * groups} "
            "and needs its first axis divisible by groups"
        )
    if min(*weight.shape, *x.shape[1:]) < 1:
        raise ValueError(f"conv2d: expected at least one channel, pixel and tap, got {x.shape} and {weight.shape}")
    has_shape("conv2d", "bias", bias, (O,))
    win = window("conv2d", x, weight.shape[2:], stride, padding, dilation)
    return convolve(x, weight, bias, win, groups)


def convolve(x: Array, weight: Array, bias: Array | None, win: Window, groups: int) -> tuple[Array, Backward]:
    """Convolve over a window with the quickest algorithm that fits."""
    keep_freed_memory()
    if groups > 1:
        return conv2d_by_taps(x, weight, bias, win, groups)
    if suits_winograd(x, weight, win):
        return conv2d_by_winograd(x, weight, bias, win)
    return conv2d_by_columns(x, weight, bias, win)


def conv2d_by_taps(x: Array, weight: Array, bias: Array | None, win: Window, groups: int) -> tuple[Array, Backward]:
    """Convolve with one matrix product for each position of the kernel, over the shifted image; it serves groups."""
    (N, C, _, _), (O, _, KH, KW), (OH, OW) = x.shape, weight.shape, win.out
    G = groups
    kernel = np.ascontiguousarray(weight.reshape(G, O // G, C // G, KH, KW).transpose(3, 4, 0, 1, 2))  # (KH, KW, G, O/G, C/G)
    padded = win.pad(x)
    y = np.zeros((N, G, O // G, OH * OW), x.dtype)
    for i, j, tap in win.taps(padded):
        y += kernel[i, j] @ tap.reshape(N, G, C // G, OH * OW)
    y = y.reshape(N, O, OH, OW)
    if bias is not None:
        y += bias[:, None, None]

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        dpadded = np.zeros(padded.shape, x.dtype)
        dkernel = np.empty_like(kernel)
        dy_groups = dy.reshape(N, G, O // G, OH * OW)
        for (i, j, tap), (_, _, dtap) in zip(win.taps(padded), win.taps(dpadded), strict=True):
            if needs[1]:
                dkernel[i, j] = (dy_groups @ tap.reshape(N, G, C // G, OH * OW).swapaxes(2, 3)).sum(axis=0)
            if needs[0]:
                dtap += (kernel[i, j].swapaxes(1, 2) @ dy_groups).reshape(N, C, OH, OW)
        dx = win.crop(dpadded) if needs[0] else None
        dweight = dkernel.transpose(2, 3, 4, 0, 1).reshape(weight.shape) if needs[1] else None
        dbias = dy.sum(axis=(0, 2, 3)) if bias is not None and needs[2] else None
        return dx, dweight, dbias

    return y, backward
