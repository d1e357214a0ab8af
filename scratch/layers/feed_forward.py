"""The feed-forward block of transformers, which acts on each position separately."""

from scratch.layers.activation import activation_named
from scratch.layers.dropout import Dropout
from scratch.layers.linear import Linear
from scratch.module import Array, Backward, Module


class FeedForward(Module):
    """linear2(dropout(activation(linear1(x)))), x (..., d_model) to (..., d_model) (Vaswani et al. 2017, section 3.3).

    If gated, linear2(dropout(activation(gate(x)) * linear1(x))) (Shazeer 2020, section 2): GEGLU with "gelu", SwiGLU with "silu".
    In public weights, linear1 and linear2 are also called fc1 and fc2, c_fc and c_proj, or wi and wo. T5 calls gate, linear1 and
    linear2 wi_0, wi_1 and wo; Llama calls them gate_proj, up_proj and down_proj.
    """

    def __init__(
        self, d_model: int, d_ff: int, activation: str = "relu", dropout: float = 0.0, bias: bool = True, gated: bool = False
    ):
        self.linear1 = Linear(d_model, d_ff, bias)
        self.gate = Linear(d_model, d_ff, bias) if gated else None
        self.activation = activation_named(activation)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(d_ff, d_model, bias)

    def forward(self, x: Array) -> tuple[Array, Backward]:
        if self.gate is None:
            hidden, linear1_backward = self.linear1(x)
            hidden, activation_backward = self.activation(hidden)
        else:
            linear, linear1_backward = self.linear1(x)
            opening, gate_backward = self.gate(x)
            opening, activation_backward = self.activation(opening)
            hidden = opening * linear
        hidden, dropout_backward = self.dropout(hidden)
        y, linear2_backward = self.linear2(hidden)

        def backward(dy: Array) -> Array:
            dhidden = dropout_backward(linear2_backward(dy))
            if self.gate is None:
                return linear1_backward(activation_backward(dhidden))
            dx = linear1_backward(dhidden * opening)
            return dx + gate_backward(activation_backward(dhidden * linear))  # linear1 and the gate both read x

        return y, backward
