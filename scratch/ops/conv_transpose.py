"""Transposed convolution: the gradient of a convolution with respect to its input is an op of its own."""

from scratch.checks import Size, has_shape, one_float_dtype, pair
from scratch.contract import op
from scratch.fast.channels import channel_sums
from scratch.fast.im2col import input_gradient
from scratch.fast.memory import keep_freed_memory
from scratch.fast.window import Window
from scratch.module import Array, Backward
from scratch.ops.conv import convolve


@op
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
    """Spread x (N, C, H, W) with weight (C, O/groups, KH, KW) and add bias (O,), as torch.nn.functional.conv_transpose2d.

    Each pixel adds x[n, c, h, w] weight[c, o, i, j] to y[n, o, h stride + i dilation - padding, ...]. So y is the dx of a conv2d
    whose dy is x, and the backward is that conv2d (Dumoulin & Visin 2016, section 4):

        dx = conv2d(dy, weight)    dweight = dweight of that conv2d, with x as its dy    dbias = Σ_nhw dy

    y has (H - 1) stride - 2 padding + (KH - 1) dilation + output_padding + 1 rows. conv2d takes images of several sizes to H;
    output_padding, below stride or dilation, chooses one of them.
    """
    one_float_dtype("conv_transpose2d", x=x, weight=weight, bias=bias)
    if x.ndim != 4 or weight.ndim != 4:
        raise ValueError(
            f"conv_transpose2d: expected x (N, C, H, W) and weight (C, O/groups, KH, KW), got {x.shape} and {weight.shape}"
        )
    (N, C), O = x.shape[:2], weight.shape[1] * groups
    if groups < 1 or len(weight) != C or C % groups:
        raise ValueError(
            f"conv_transpose2d: x has {C} channels, expected {len(weight)} for a weight of shape {weight.shape}, and a number that "
            f"{groups} groups divide"
        )
    if min(*weight.shape, *x.shape[1:]) < 1:
        raise ValueError(
            f"conv_transpose2d: expected at least one channel, pixel and tap, got x {x.shape} and weight {weight.shape}"
        )
    has_shape("conv_transpose2d", "bias", bias, (O,))
    win, size = _window(x, weight.shape[2:], stride, padding, output_padding, dilation)
    keep_freed_memory()
    y = input_gradient((N, O, *size), weight, x, win, groups)
    if bias is not None:
        y += bias[:, None, None]

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        dx, conv2d_backward = convolve(dy, weight, None, win, groups)
        dweight = conv2d_backward(x, (False, True, False))[1] if needs[1] else None
        return dx, dweight, None if bias is None else channel_sums(dy)

    return y, backward


def _window(
    x: Array, kernel: Size, stride: Size, padding: Size, output_padding: Size, dilation: Size
) -> tuple[Window, tuple[int, int]]:
    """Return the window that slides over the output, with one position for each pixel of x, and the output's size."""
    op = "conv_transpose2d"
    k, s, d = pair(op, "kernel_size", kernel, 1), pair(op, "stride", stride, 1), pair(op, "dilation", dilation, 1)
    p, more = pair(op, "padding", padding, 0), pair(op, "output_padding", output_padding, 0)
    if any(m >= max(one) for m, *one in zip(more, s, d, strict=True)):
        raise ValueError(f"{op}: output_padding is {more}, expected less than stride {s} or less than dilation {d}")
    H, W = ((n - 1) * s[i] - 2 * p[i] + (k[i] - 1) * d[i] + more[i] + 1 for i, n in enumerate(x.shape[2:]))
    if min(H, W) < 1:
        raise ValueError(
            f"{op}: images of {x.shape[2:]} with a kernel of {k} at stride {s} give no pixels with a padding of {p}; "
            "use less padding"
        )
    return Window(k, s, p, d, x.shape[2:]), (H, W)
