"""Initial weights."""

import numpy as np

from scratch.module import Parameter
from scratch.random import generator


def fan_in_uniform(shape: tuple[int, ...], fan_in: int) -> Parameter:
    """U(-1/√fan_in, 1/√fan_in) in float32, torch's default for the weights and biases of linear and convolution layers."""
    bound = fan_in**-0.5
    return Parameter(generator().uniform(-bound, bound, shape).astype(np.float32))
