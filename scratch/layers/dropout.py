"""Dropout as a layer."""

from scratch.checks import is_probability
from scratch.module import Array, Backward, Module
from scratch.ops.dropout import dropout
from scratch.random import generator


class Dropout(Module):
    """In training, zero each element with probability p and scale the rest by 1 / (1 - p); else the identity."""

    def __init__(self, p: float = 0.5):
        is_probability("Dropout", "p", p)
        self.p = p

    def forward(self, x: Array) -> tuple[Array, Backward]:
        if not self.training or self.p == 0:
            return x, lambda dy: dy
        keep = generator().random(x.shape) >= self.p
        y, backward = dropout(x, keep, self.p)
        return y, lambda dy: backward(dy)[0]  # the mask has no gradient
