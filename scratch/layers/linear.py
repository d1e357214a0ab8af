"""The affine layer."""

from scratch.layers.init import fan_in_uniform
from scratch.module import Array, Backward, Module, apply
from scratch.ops.linear import linear


class Linear(Module):
    """y = x weightᵀ + bias over the last axis: (..., in_features) to (..., out_features)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Linear: expected positive widths, got in_features {in_features} and out_features {out_features}")
        self.weight = fan_in_uniform((out_features, in_features), in_features)
        self.bias = fan_in_uniform((out_features,), in_features) if bias else None

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return apply(linear, x, self.weight, self.bias)
