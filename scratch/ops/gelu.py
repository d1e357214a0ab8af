"""The Gaussian error linear unit in its two forms."""

import math

import numpy as np

from scratch.checks import one_float_dtype, one_of
from scratch.contract import op
from scratch.fast.normal_cdf import normal_cdf
from scratch.fast.threads import Part, elementwise, in_blocks
from scratch.module import Array, Backward

SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
CUBE = 0.044715
INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)


@op
def gelu(x: Array, approximate: str = "none") -> tuple[Array, Backward]:
    """Compute y = x Φ(x) for the normal distribution function Φ (Hendrycks & Gimpel 2016, section 2).

    dx = dy (Φ(x) + x φ(x)) for the normal density φ. With approximate="tanh", Φ(x) is (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2
    and φ its derivative, as in GPT-2.
    """
    one_float_dtype("gelu", x=x)
    one_of("gelu", "approximate", approximate, tuple(FORMS))
    write_cdf, write_density = FORMS[approximate]
    y, cdf = np.empty_like(x), np.empty_like(x)

    def forward(part: Part) -> None:
        write_cdf(cdf[part], x[part])
        np.multiply(x[part], cdf[part], out=y[part])

    def backward(dx: Array, dy: Array, x: Array, cdf: Array) -> None:
        write_density(dx, x, cdf)
        dx *= x
        dx += cdf
        dx *= dy

    in_blocks(forward, y)
    return y, lambda dy: elementwise(backward, dy, x, cdf)


def _cdf_by_tanh(cdf: Array, x: Array) -> None:
    """Write (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2 into `cdf`."""
    np.square(x, out=cdf)
    cdf *= CUBE
    cdf += 1
    cdf *= x
    cdf *= SQRT_2_OVER_PI
    np.tanh(cdf, out=cdf)
    cdf += 1
    cdf *= 0.5


def _density_by_tanh(density: Array, x: Array, cdf: Array) -> None:
    """Write the derivative of _cdf_by_tanh: (1 - t²) / 2 = 2 cdf (1 - cdf) for the tanh t, times that of its argument."""
    np.square(x, out=density)
    density *= 3 * CUBE
    density += 1
    density *= 2 * SQRT_2_OVER_PI
    density *= cdf
    density *= 1 - cdf


def _normal_density(density: Array, x: Array, cdf: Array) -> None:
    """Write exp(-x² / 2) / √(2π), the derivative of normal_cdf, into `density`."""
    np.square(x, out=density)
    density *= -0.5
    np.exp(density, out=density)
    density *= INV_SQRT_2PI


FORMS = {"none": (normal_cdf, _normal_density), "tanh": (_cdf_by_tanh, _density_by_tanh)}
