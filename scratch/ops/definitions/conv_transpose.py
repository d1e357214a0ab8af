"""Transposed convolution (Dumoulin & Visin 2016, section 4): forward and backward of a convolution change places."""

import numpy as np

from scratch.checks import Size
from scratch.module import Array, Backward
from scratch.ops.definitions.conv import both, conv2d


def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> tuple[Array, Backward]:
    """Compute y as the dx of a conv2d whose dy is x; dx = conv2d(dy, weight), and dweight is that of the same conv2d.

    The whole image has (H - 1) stride + (KH - 1) dilation + 1 rows. `padding` rows are cut off at each end, but fewer at the
    last end if output_padding is given. Columns are treated in the same way.
    """
    sizes = zip(x.shape[2:], both(stride), weight.shape[2:], both(dilation), strict=True)
    H, W = ((n - 1) * s + (k - 1) * d + 1 for n, s, k, d in sizes)
    (ph, pw), (more_h, more_w), options = both(padding), both(output_padding), (stride, 0, dilation, groups)
    inside = (..., slice(ph, H - ph + more_h), slice(pw, W - pw + more_w))
    image = np.zeros((len(x), weight.shape[1] * groups, H + more_h, W + more_w), x.dtype)
    image[..., :H, :W] = conv2d(image[..., :H, :W], weight, None, *options)[1](x)[0]

    def backward(dy: Array) -> tuple[Array | None, ...]:
        dimage = np.zeros_like(image)
        dimage[inside] = dy
        dx, conv2d_backward = conv2d(dimage[..., :H, :W], weight, None, *options)
        return dx, conv2d_backward(x)[1], None if bias is None else dy.sum(axis=(0, 2, 3))

    return image[inside] if bias is None else image[inside] + bias[:, None, None], backward
