"""An affine map over the last axis."""

from scratch.checks import has_shape, one_float_dtype
from scratch.contract import op
from scratch.fast.reduce import column_sums
from scratch.module import Array, Backward


@op
def linear(x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Backward]:
    """Compute y = x weightᵀ + bias, for x (..., in), weight (out, in), bias (out,) or None.

    dx = dy weight, dweight = dyᵀ x, dbias = Σ dy, where leading axes are one batch axis.
    """
    one_float_dtype("linear", x=x, weight=weight, bias=bias)
    if weight.ndim != 2 or min(weight.shape) < 1 or x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"linear: expected x (..., in) and weight (out, in), got {x.shape} and {weight.shape}")
    out_features, in_features = weight.shape
    has_shape("linear", "bias", bias, (out_features,))

    rows = x.reshape(-1, in_features)  # one matrix product for any number of leading axes
    y = rows @ weight.T
    if bias is not None:
        y += bias

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        dy_rows = dy.reshape(len(rows), out_features)
        dx = (dy_rows @ weight).reshape(x.shape) if needs[0] else None
        dweight = dy_rows.T @ rows if needs[1] else None
        dbias = column_sums(dy_rows) if bias is not None and needs[2] else None
        return dx, dweight, dbias

    return y.reshape(*x.shape[:-1], out_features), backward
