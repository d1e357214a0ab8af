"""Gradient clipping: the total norm and every clipped gradient."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.inputs import Draw, float32_representable
from scratch.fast.threads import BLOCK

AFTER = ("optimisers",)

SHARES = (0.1, 0.999, 1.001, 50.0, 0.0, math.inf)  # of the norm: limits below it and above it
SCALES = (1e-10, 1e-7, 1e-3, 1.0, 1e5)  # of the gradients: far below and far above the 1e-6 that is added to the norm
SHAPES = (((), 3.0), ((4, 5), 1.0), ((7,), 0.1))


def limits_of_norm(norm_type: float) -> Callable[[Draw], dict[str, Any]]:
    """Return a draw of gradients of each scale, with a limit of each share of their norm; the first gradient is None."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        steps, limits = [], []
        for scale in SCALES:
            for share in SHARES:
                drawn = [draw.normal(*shape, scale=scale * size) for shape, size in SHAPES]
                limits.append(share * np.linalg.norm(np.concatenate([g.ravel() for g in drawn]), norm_type))
                steps.append([None, *drawn])
        return {"gradients": steps, "limits": float32_representable(limits)}

    return draw_inputs


def limits_of_values(draw: Draw) -> dict[str, Any]:
    """Draw gradients, with limits of 0, within their numbers and above them; the last gradient is None."""
    steps = [[*(draw.normal(*shape) for shape, _ in SHAPES), None] for _ in range(3)]
    return {"gradients": steps, "limits": float32_representable([0.0, 0.3, 1e3])}


def long_arrays(draw: Draw) -> dict[str, Any]:
    """Draw a gradient that is longer than the pieces in which scratch.optim works."""
    return {"gradients": [[draw.normal(2, BLOCK + 7)]], "limits": np.array([2.0])}


def norm_case(name: str, inputs: Callable[[Draw], dict[str, Any]], **options: Any) -> ParityCase:
    """Return a case of clipping by norm."""
    path = "torch.nn.utils.clip_grad_norm_"
    return ParityCase(name, "optim.clip_grad_norm_", reference=path, inputs=inputs, config=options)


CASES = [
    norm_case("clip_grad_norm", limits_of_norm(2.0)),
    norm_case("clip_grad_norm-1", limits_of_norm(1.0), norm_type=1.0),
    norm_case("clip_grad_norm-3.5", limits_of_norm(3.5), norm_type=3.5),
    norm_case("clip_grad_norm-inf", limits_of_norm(math.inf), norm_type=math.inf),
    norm_case("clip_grad_norm-long", long_arrays),
    ParityCase("clip_grad_value", "optim.clip_grad_value_", reference="torch.nn.utils.clip_grad_value_", inputs=limits_of_values),
]
