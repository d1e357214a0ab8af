"""Initial distributions of weights."""

import math

import numpy as np

from scratch.module import Parameter
from scratch.random import generator


def fan_in_uniform(shape: tuple[int, ...], fan_in: int) -> Parameter:
    """Draw a Parameter from U(-1/√fan_in, 1/√fan_in) in float32, torch's default for linear and convolution layers."""
    bound = fan_in**-0.5
    return Parameter(generator().uniform(-bound, bound, shape).astype(np.float32))


def xavier_uniform_(weight: Parameter) -> None:
    """Draw a weight (out, in) again, from U(-a, a) with a = √(6 / (in + out)) (Glorot & Bengio 2010, equation 16)."""
    bound = (6 / sum(weight.data.shape)) ** 0.5
    weight.data = generator().uniform(-bound, bound, weight.data.shape).astype(np.float32)


def normal_(weight: Parameter, std: float) -> None:
    """Draw a weight again, from the normal distribution with mean 0."""
    weight.data = (std * generator().standard_normal(weight.data.shape)).astype(np.float32)


def kaiming_normal_(weight: Parameter) -> None:
    """Draw a kernel (O, C, KH, KW) again, from N(0, 2 / (O KH KW)), which keeps the scale of gradients (He et al. 2015, 2.2)."""
    O, _, *kernel = weight.data.shape
    normal_(weight, math.sqrt(2 / (O * math.prod(kernel))))
