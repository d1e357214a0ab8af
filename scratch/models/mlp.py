"""Multilayer perceptron (Rumelhart, Hinton & Williams 1986)."""

from collections.abc import Sequence

from scratch.layers import BatchNorm1d, Dropout, Linear, Sequential, activation_named
from scratch.module import Array, Backward, Module


class MLP(Module):
    """Linear layers with an activation between them: x (N, in_features) to (N, out_features).

    Each hidden layer is a Linear, batch normalisation if batch_norm, the activation, and dropout if it is above 0.
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        activation: str = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
    ):
        layers: list[Module] = []
        width = in_features
        for next_width in hidden:
            layers.append(Linear(width, next_width))
            if batch_norm:
                layers.append(BatchNorm1d(next_width))
            layers.append(activation_named(activation))
            if dropout:
                layers.append(Dropout(dropout))
            width = next_width
        layers.append(Linear(width, out_features))
        self.layers = Sequential(*layers)

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return self.layers(x)
