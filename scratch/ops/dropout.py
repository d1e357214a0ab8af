"""Inverted dropout (Srivastava et al. 2014, section 10)."""

from scratch.checks import has_shape, is_bool, is_probability, one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward


@op
def dropout(x: Array, keep: Array, p: float) -> tuple[Array, Backward]:
    """Compute y = x / (1 - p) where the boolean array `keep` is true, else 0; `keep` has the shape of x.

    dx = dy / (1 - p) where `keep` is true, else 0.
    """
    one_float_dtype("dropout", x=x)
    is_probability("dropout", "p", p)
    is_bool("dropout", "keep", keep, "stays")
    has_shape("dropout", "keep", keep, x.shape)
    scale = keep * x.dtype.type(1 / (1 - p) if p < 1 else 0)
    return x * scale, lambda dy: (dy * scale, None)
