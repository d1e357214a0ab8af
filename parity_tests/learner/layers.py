"""Layers with forward and backward."""

import numpy as np

from .im2col import col2im, im2col


class Dense:
    def __init__(self, n_in, n_out):
        self.params = {"W": np.random.default_rng(0).normal(0, np.sqrt(2 / n_in), (n_in, n_out)), "b": np.zeros((1, n_out))}
        self.grads = {}

    def forward(self, x):
        self.cache = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        x = self.cache
        self.grads["W"] = x.T @ dout
        self.grads["b"] = dout.sum(axis=0, keepdims=True)
        return dout @ self.params["W"].T


class ReLU:
    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dx = dout.copy()
        dx[self.mask] = 0
        return dx


class Conv:
    def __init__(self, c_in, c_out, size, stride=1, pad=0):
        self.stride, self.pad = stride, pad
        self.params = {
            "W": np.random.default_rng(0).normal(0, np.sqrt(2 / (c_in * size**2)), (c_out, c_in, size, size)),
            "b": np.zeros(c_out),
        }
        self.grads = {}

    def forward(self, x):
        W, b = self.params["W"], self.params["b"]
        F, _, h, w = W.shape
        N, _, H, Wd = x.shape
        out_h = (H + 2 * self.pad - h) // self.stride + 1
        out_w = (Wd + 2 * self.pad - w) // self.stride + 1
        cols = im2col(x, h, w, self.stride, self.pad)
        self.cache = (x.shape, cols)
        out = cols @ W.reshape(F, -1).T + b
        return out.reshape(N, out_h, out_w, F).transpose(0, 3, 1, 2)

    def backward(self, dout):
        shape, cols = self.cache
        W = self.params["W"]
        F, _, h, w = W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, F)
        self.grads["W"] = (dout.T @ cols).reshape(W.shape)
        self.grads["b"] = dout.sum(axis=0)
        return col2im(dout @ W.reshape(F, -1), shape, h, w, self.stride, self.pad)


class MaxPool:
    def __init__(self, size=2):
        self.size = size

    def forward(self, x):
        N, C, H, W = x.shape
        s = self.size
        tiles = x.reshape(N, C, H // s, s, W // s, s).transpose(0, 1, 2, 4, 3, 5).reshape(N, C, H // s, W // s, s * s)
        self.cache = (x.shape, tiles.argmax(axis=-1))
        return tiles.max(axis=-1)

    def backward(self, dout):
        (N, C, H, W), winner = self.cache
        s = self.size
        tiles = np.zeros((*dout.shape, s * s), dtype=dout.dtype)
        np.put_along_axis(tiles, winner[..., None], dout[..., None], axis=-1)
        return tiles.reshape(N, C, H // s, W // s, s, s).transpose(0, 1, 2, 4, 3, 5).reshape(N, C, H, W)


class Flatten:
    def forward(self, x):
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dout):
        return dout.reshape(self.shape)


class SoftmaxCrossEntropy:
    def forward(self, x, t):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y = e / e.sum(axis=1, keepdims=True)
        self.t = t
        log_y = x - x.max(axis=1, keepdims=True) - np.log(e.sum(axis=1, keepdims=True))
        return -log_y[np.arange(len(t)), t].mean()

    def backward(self):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dx / len(self.t)
