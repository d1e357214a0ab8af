"""Layers one after another, and their backwards one after another."""

from collections.abc import Sequence
from typing import Any

from scratch.module import Array, Backward, Module, is_constant
from scratch.ops.flatten import flatten


def run_in_reverse(backwards: Sequence[Backward], dy: Any) -> tuple[Any, ...]:
    """Run the backwards of layers that ran one after another, the last one first: each dx is the dy of the layer before.

    Return dx of the first layer and, for each further input, the sum of its gradients: all layers share these inputs.
    """
    dx, shared = dy, ()
    for backward in reversed(backwards):
        gradients = backward(dx)
        dx, *others = gradients if isinstance(gradients, tuple) else (gradients,)
        shared = tuple(map(_sum, shared, others)) if shared else tuple(others)
    return dx, *shared


def _sum(total: Array | None, part: Array | None) -> Array | None:
    """Return the sum of two gradients; None stands for no gradient."""
    return total if part is None else part if total is None else total + part


class Sequential(Module):
    """Layers that are applied one after another, named "0", "1", ..., or by the keys of a dict of layers.

    Where the input is declared `constant`, the backward stops at the first layer that has a parameter to train.
    """

    def __init__(self, *layers: Module | dict[str, Module]):
        for i, layer in enumerate(layers):
            vars(self).update(layer if isinstance(layer, dict) else {str(i): layer})

    def forward(self, x: Array) -> tuple[Array, Backward]:
        whole = needed = not is_constant(x)
        backwards = []
        for _, layer in self.named_children():
            x, backward = layer(x)
            needed = needed or any(parameter.requires_grad for parameter in layer.parameters())
            if needed:
                backwards.append(backward)

        def backward_all(dy: Any) -> Any:
            dx, *_ = run_in_reverse(backwards, dy)
            return dx if whole else None

        return x, backward_all


class Flatten(Module):
    """The axes start_dim to end_dim, joined into one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return flatten(x, self.start_dim, self.end_dim)
