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


def not_finite(draw: Draw) -> dict[str, Any]:
    """Draw gradients with an infinity, with NaN and with both."""
    steps = []
    for bad in ([math.inf], [-math.inf], [math.nan], [math.inf, math.nan]):
        drawn = [draw.normal(*shape) for shape, _ in SHAPES]
        drawn[1].flat[[3, 7][: len(bad)]] = bad
        steps.append([None, *drawn])
    return {"gradients": steps, "limits": draw.positive(len(steps))}


def absent(draw: Draw) -> dict[str, Any]:
    """Draw steps without any gradient, and one with gradients between them."""
    return {"gradients": [[None] * 3, [draw.normal(3)] * 3, [None] * 3], "limits": draw.positive(3)}


def one_parameter(draw: Draw) -> dict[str, Any]:
    """Draw gradients of one parameter, which a function is given itself, not in a list."""
    return {"gradients": [[draw.normal(4, 5)] for _ in range(3)], "limits": float32_representable([0.5, 2.0, 90.0]), "alone": True}


def many(draw: Draw) -> dict[str, Any]:
    """Draw gradients of more parameters than a layer has."""
    return {"gradients": [[draw.normal(2, 3) for _ in range(40)]], "limits": np.array([3.0])}


def long_arrays(draw: Draw) -> dict[str, Any]:
    """Draw a gradient that is longer than the pieces in which scratch.optim works."""
    return {"gradients": [[draw.normal(2, BLOCK + 7)]], "limits": np.array([2.0])}


def norm_case(name: str, inputs: Callable[[Draw], dict[str, Any]], **options: Any) -> ParityCase:
    """Return a case of clipping by norm."""
    path = "torch.nn.utils.clip_grad_norm_"
    return ParityCase(name, "optim.clip_grad_norm_", reference=path, inputs=inputs, config=options)


def value_case(name: str, inputs: Callable[[Draw], dict[str, Any]]) -> ParityCase:
    """Return a case of clipping by value."""
    return ParityCase(name, "optim.clip_grad_value_", reference="torch.nn.utils.clip_grad_value_", inputs=inputs)


CASES = [
    norm_case("clip_grad_norm", limits_of_norm(2.0)),
    norm_case("clip_grad_norm-1", limits_of_norm(1.0), norm_type=1.0),
    norm_case("clip_grad_norm-3.5", limits_of_norm(3.5), norm_type=3.5),
    norm_case("clip_grad_norm-inf", limits_of_norm(math.inf), norm_type=math.inf),
    norm_case("clip_grad_norm-long", long_arrays),
    norm_case("clip_grad_norm-not-finite", not_finite),
    norm_case("clip_grad_norm-inf-not-finite", not_finite, norm_type=math.inf),
    norm_case("clip_grad_norm-absent", absent),
    norm_case("clip_grad_norm-alone", one_parameter),
    norm_case("clip_grad_norm-many", many),
    value_case("clip_grad_value", limits_of_values),
    value_case("clip_grad_value-not-finite", not_finite),
    value_case("clip_grad_value-alone", one_parameter),
]
