"""The dropout layer."""

from scratch.checks import is_probability
from scratch.module import Array, Backward, Module
from scratch.ops.dropout import dropout
from scratch.random import generator


class Dropout(Module):
    """Dropout: in training, each element becomes 0 with probability p, and the others are divided by 1 - p."""

    def __init__(self, p: float = 0.5):
        is_probability("Dropout", "p", p)
        self.p = p

    def forward(self, x: Array) -> tuple[Array, Backward]:
        if not self.training or self.p == 0:
            return x, lambda dy: dy
        keep = generator().random(x.shape) >= self.p
        y, backward = dropout(x, keep, self.p)
        return y, lambda dy: backward(dy)[0]  # the mask has no gradient
