"""Optimisers: every parameter after every step, and the optimiser's state after the last."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.inputs import Draw, float32_representable
from scratch.fast.threads import BLOCK
from scratch.module import Array

AFTER = ("yolo",)

STEPS = 60
SHAPES = ((), (5, 3), (7,), (2, 3, 4), (1,), (3, 1, 2), (4, 4), (2, 5), (), (6, 2))
SCALES = (1e-10, 1e-8, 1e-3, 1.0, 1e5)  # of the gradients, from far below to far above every eps
ANGLES = np.pi * np.arange(STEPS) / STEPS
FACTORS = float32_representable(np.where(np.arange(STEPS) == 7, 0.0, 0.55 + 0.45 * np.cos(ANGLES)))  # of the learning rate


def gradients(draw: Draw, shape: tuple[int, ...], scale: float) -> list[Array | None]:
    """Draw the gradients of one parameter: a tenth of the numbers is 0, and a tenth of the gradients is None."""
    sizes = scale * 10 ** draw.rng.uniform(-0.5, 0.5, STEPS)
    absent = draw.rng.random(STEPS) < 0.1
    absent[0] = False
    dense = [draw.normal(*shape, scale=size) * (draw.rng.random(shape) < 0.9) for size in sizes]
    return [None if missing else np.asarray(gradient) for missing, gradient in zip(absent, dense, strict=True)]


def replay(lr: float, groups: list[dict[str, Any]] | None = None) -> Callable[[Draw], dict[str, Any]]:
    """Return a draw of parameters and of gradients for each step, with a learning rate that falls and is 0 once.

    Half of the parameters begin about as large as the steps, so that no error in a step is lost behind the parameter. The
    last parameter never has a gradient.
    """

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        starts = [(scale, start) for scale in SCALES for start in (lr * scale, 1.0)]
        by_parameter = [gradients(draw, shape, scale) for shape, (scale, _) in zip(SHAPES, starts, strict=True)]
        parameters = [draw.normal(*shape, scale=start) for shape, (_, start) in zip(SHAPES, starts, strict=True)]
        parameters.append(draw.normal(3))
        by_step = [[*of_step, None] for of_step in zip(*by_parameter, strict=True)]
        return {"parameters": parameters, "gradients": by_step, "factors": FACTORS, "groups": groups}

    return draw_inputs


def long_arrays(draw: Draw) -> dict[str, Any]:
    """Draw arrays that are longer than the pieces in which scratch.optim works."""
    shapes = [(BLOCK + 1,), (3, BLOCK // 2), (BLOCK,)]
    parameters = [draw.normal(*shape, scale=1e-3) for shape in shapes]
    return {"parameters": parameters, "gradients": [[draw.normal(*shape) for shape in shapes] for _ in range(4)]}


def groups(**own: Any) -> list[dict[str, Any]]:
    """Return parameter groups that each differ in other options."""
    return [
        {"params": [0, 1, 2], "lr": 0.02},
        {"params": [3, 4, 5], "weight_decay": 0.2, **own},
        {"params": [6], "maximize": True},
        {"params": [7, 8, 9, 10], "name": "head"},
    ]


def case(name: str, optimiser: str, inputs: Callable[[Draw], dict[str, Any]] | None = None, **options: Any) -> ParityCase:
    """Return the case of an optimiser with these options."""
    inputs = inputs or replay(options.get("lr", 1e-3))
    return ParityCase(name, f"optim.{optimiser}", reference=f"torch.optim.{optimiser}", inputs=inputs, config=options)


CASES = [
    case("sgd", "SGD"),
    case("sgd-decay", "SGD", lr=0.02, weight_decay=0.3),
    case("sgd-decay-maximize", "SGD", lr=0.02, weight_decay=0.3, maximize=True),
    case("sgd-momentum", "SGD", lr=0.05, momentum=0.8),
    case("sgd-dampening", "SGD", lr=0.05, momentum=0.8, dampening=0.4, weight_decay=0.1),
    case("sgd-nesterov", "SGD", lr=0.05, momentum=0.8, nesterov=True),
    case("sgd-nesterov-maximize", "SGD", lr=0.05, momentum=0.8, nesterov=True, maximize=True),
    case("sgd-nesterov-decay-maximize", "SGD", lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.1, maximize=True),
    case("sgd-groups", "SGD", replay(0.02, groups(momentum=0.5, dampening=0.2)), lr=0.01),
    case("sgd-long", "SGD", long_arrays, momentum=0.9, nesterov=True, weight_decay=0.1),
    case("adam", "Adam"),
    case("adam-decay", "Adam", lr=0.02, betas=(0.7, 0.95), eps=1e-5, weight_decay=0.1),
    case("adam-decay-maximize", "Adam", lr=0.02, weight_decay=0.1, maximize=True),
    case("adam-decoupled", "Adam", lr=0.02, weight_decay=0.1, decoupled_weight_decay=True),
    case("adam-amsgrad", "Adam", lr=0.02, betas=(0.8, 0.6), weight_decay=0.1, amsgrad=True),
    case("adam-amsgrad-maximize", "Adam", lr=0.02, betas=(0.8, 0.6), amsgrad=True, maximize=True),
    case("adam-without-means", "Adam", betas=(0.0, 0.0), eps=1e-2),
    case("adam-groups", "Adam", replay(0.02, groups(betas=(0.5, 0.9))), lr=0.01),
    case("adamw", "AdamW"),
    case("adamw-decay", "AdamW", lr=0.02, betas=(0.7, 0.95), eps=1e-5, weight_decay=0.3),
    case("adamw-amsgrad-maximize", "AdamW", lr=0.02, betas=(0.8, 0.6), amsgrad=True, maximize=True),
    case("adamw-groups", "AdamW", replay(0.02, groups(eps=1e-3, amsgrad=True)), lr=0.01),
    case("adamw-long", "AdamW", long_arrays, amsgrad=True),
]
