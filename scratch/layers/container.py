"""Layers one after another."""

from typing import Any

from scratch.module import Array, Backward, Module, is_constant
from scratch.ops.flatten import flatten


class Sequential(Module):
    """Each layer applied to the value of the one before; they are named "0", "1", ..., or by the keys of a dict of them.

    Of constants, the backward ends where nothing before it has a parameter that requires a gradient.
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
            for backward in reversed(backwards):
                dy = backward(dy)
            return dy if whole else None

        return x, backward_all


class Flatten(Module):
    """The axes start_dim to end_dim joined into one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return flatten(x, self.start_dim, self.end_dim)
