"""The feed-forward block of transformers, which treats each position separately."""

from torch import Tensor, nn

from reference.layers.activation import activation_named


class FeedForward(nn.Module):
    """Feed-forward block linear2(dropout(activation(linear1(x)))), or gated: linear2(dropout(activation(gate(x)) * linear1(x)))."""

    def __init__(
        self, d_model: int, d_ff: int, activation: str = "relu", dropout: float = 0.0, bias: bool = True, gated: bool = False
    ):
        super().__init__()
        self.linear1 = nn.Linear(d_model, d_ff, bias)
        self.gate = nn.Linear(d_model, d_ff, bias) if gated else None
        self.activation = activation_named(activation)
        self.dropout = nn.Dropout(dropout)
        self.linear2 = nn.Linear(d_ff, d_model, bias)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.linear1(x)
        hidden = self.activation(hidden) if self.gate is None else self.activation(self.gate(x)) * hidden
        return self.linear2(self.dropout(hidden))
