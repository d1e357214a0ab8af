"""Sliding windows over images: their number, the padding, and the strided views that convolution and pooling share."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from scratch.checks import Size, pair
from scratch.module import Array


@dataclass(frozen=True)
class Window:
    """The geometry of a window that slides over images (..., H, W); each attribute is a pair for height and width."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    out: tuple[int, int]  # the number of positions of the window: the size of the output

    @property
    def overlaps(self) -> bool:
        """Return whether two positions of the window may see the same pixel."""
        return any(s <= (k - 1) * d for s, k, d in zip(self.stride, self.kernel, self.dilation, strict=True))

    def pad(self, x: Array, value: float = 0.0) -> Array:
        """Return a padded copy of x in its memory layout, or x itself where there is no padding."""
        if self.padding == (0, 0):
            return x
        padded = np.full_like(x, value, shape=(*x.shape[:-2], *self.padded_size(*x.shape[-2:])))
        self.crop(padded)[...] = x
        return padded

    def padded_size(self, H: int, W: int) -> tuple[int, int]:
        """Return the height and width of an image with its padding."""
        return H + 2 * self.padding[0], W + 2 * self.padding[1]

    def crop(self, padded: Array) -> Array:
        """Return the view of a padded image without the padding."""
        (ph, pw), (H, W) = self.padding, padded.shape[-2:]
        return padded[..., ph : H - ph, pw : W - pw]

    def taps(self, padded: Array) -> Iterator[tuple[int, int, Array]]:
        """Yield, for each position (i, j) in the kernel, a view of the pixels that it meets as the window slides: (..., *out)."""
        (kh, kw), (sh, sw), (dh, dw), (oh, ow) = self.kernel, self.stride, self.dilation, self.out
        for i in range(kh):
            for j in range(kw):
                top, left = i * dh, j * dw
                yield i, j, padded[..., top : top + (oh - 1) * sh + 1 : sh, left : left + (ow - 1) * sw + 1 : sw]

    def view(self, padded: Array) -> Array:
        """Return a view of the pixels that every window sees: (..., *out, *kernel)."""
        (kh, kw), (sh, sw), (dh, dw), (oh, ow) = self.kernel, self.stride, self.dilation, self.out
        windows = sliding_window_view(padded, ((kh - 1) * dh + 1, (kw - 1) * dw + 1), axis=(-2, -1))
        return windows[..., : oh * sh : sh, : ow * sw : sw, ::dh, ::dw]


def window(op: str, x: Array, kernel: Size, stride: Size, padding: Size, dilation: Size) -> Window:
    """Return the window over x (..., H, W), or raise ValueError that names the wrong option."""
    k, s = pair(op, "kernel_size", kernel, 1), pair(op, "stride", stride, 1)
    p, d = pair(op, "padding", padding, 0), pair(op, "dilation", dilation, 1)
    room = tuple(size + 2 * pad - step * (length - 1) for size, pad, step, length in zip(x.shape[-2:], p, d, k, strict=True))
    if min(room) < 1:
        raise ValueError(
            f"{op}: a kernel of {k} with dilation {d} does not fit images of {x.shape[-2:]} padded by {p}; "
            "use a smaller kernel, more padding or larger images"
        )
    return Window(k, s, p, d, ((room[0] - 1) // s[0] + 1, (room[1] - 1) // s[1] + 1))
