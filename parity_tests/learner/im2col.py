"""Images to rows of windows and back."""

import numpy as np


def im2col(x, h, w, stride=1, pad=0):
    N, C, H, W = x.shape
    out_h = (H + 2 * pad - h) // stride + 1
    out_w = (W + 2 * pad - w) // stride + 1
    img = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    col = np.zeros((N, C, h, w, out_h, out_w), dtype=x.dtype)
    for i in range(h):
        for j in range(w):
            col[:, :, i, j] = img[:, :, i : i + stride * out_h : stride, j : j + stride * out_w : stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(N * out_h * out_w, -1)


def col2im(col, shape, h, w, stride=1, pad=0):
    N, C, H, W = shape
    out_h = (H + 2 * pad - h) // stride + 1
    out_w = (W + 2 * pad - w) // stride + 1
    col = col.reshape(N, out_h, out_w, C, h, w).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((N, C, H + 2 * pad + stride - 1, W + 2 * pad + stride - 1), dtype=col.dtype)
    for i in range(h):
        for j in range(w):
            img[:, :, i : i + stride * out_h : stride, j : j + stride * out_w : stride] += col[:, :, i, j]
    return img[:, :, pad : H + pad, pad : W + pad]
