"""Optimisers: every parameter after every step, and the optimiser's state after the last."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.inputs import Draw, float32_representable
from scratch.fast.threads import BLOCK
from scratch.module import Array

AFTER = ("yolo",)

STEPS = 60
SHAPES = ((), (5, 3), (7,), (2, 3, 4), (1,), (3, 1, 2), (4, 4), (2, 5), (), (6, 2))
EVERY = range(len(SHAPES))
A_FEW = (1, 3, 5, 6, 9)  # parameters of a training, whose gradients have all scales
SCALES = (1e-10, 1e-8, 1e-3, 1.0, 1e5)  # of the gradients, from far below to far above every eps
ANGLES = np.pi * np.arange(STEPS) / STEPS
WITHOUT_GRADIENT = (0, 6, 10, 33)  # steps in which every gradient is 0, as it is behind a dead ReLU
RESUMED = {1: 0, 20: 0, 41: 2000}  # after which steps, each with an addition to the count of steps
FACTORS = float32_representable(np.where(np.arange(STEPS) == 7, 0.0, 0.55 + 0.45 * np.cos(ANGLES)))  # of the learning rate


def gradients(draw: Draw, shape: tuple[int, ...], scale: float) -> list[Array | None]:
    """Draw the gradients of one parameter: a tenth of the numbers is 0, and a tenth of the gradients is None."""
    sizes = scale * 10 ** draw.rng.uniform(-0.5, 0.5, STEPS)
    absent = draw.rng.random(STEPS) < 0.1
    absent[0] = False
    dense = [draw.normal(*shape, scale=size) * (draw.rng.random(shape) < 0.9) for size in sizes]
    return [None if missing else np.asarray(gradient) for missing, gradient in zip(absent, dense, strict=True)]


def replay(
    lr: float, groups: list[dict[str, Any]] | None = None, chosen: Sequence[int] = EVERY
) -> Callable[[Draw], dict[str, Any]]:
    """Return a draw of parameters and of gradients for each step, with a learning rate that falls and is 0 once.

    Half of the parameters begin about as large as the steps, so that no error in a step is lost behind the parameter. The
    last parameter never has a gradient. `chosen` are the places of the others among the shapes.
    """

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        starts = [(scale, start) for scale in SCALES for start in (lr * scale, 1.0)]
        drawn = [(SHAPES[i], *starts[i]) for i in chosen]
        by_parameter = [gradients(draw, shape, scale) for shape, scale, _ in drawn]
        parameters = [draw.normal(*shape, scale=start) for shape, _, start in drawn]
        parameters.append(draw.normal(3))
        by_step = [[*of_step, None] for of_step in zip(*by_parameter, strict=True)]
        return {"parameters": parameters, "gradients": by_step, "factors": FACTORS, "groups": groups}

    return draw_inputs


def training(groups: list[dict[str, Any]] | None = None, **more: Any) -> Callable[[Draw], dict[str, Any]]:
    """Return a draw of what a training run has: gradients of 0 in some steps, and more inputs of OptimiserSteps.

    The learning rates are those of the groups, or of a schedule.
    """

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        inputs = replay(1.0, groups, A_FEW)(draw)
        for of_step in (inputs["parameters"], *inputs["gradients"]):
            of_step.insert(2, of_step.pop())  # the parameter without a gradient is not the last
        for step in WITHOUT_GRADIENT:
            inputs["gradients"][step] = [None if g is None else np.zeros_like(g) for g in inputs["gradients"][step]]
        return inputs | {"factors": None, "zero_grad": True} | more

    return draw_inputs


def dense(draw: Draw) -> dict[str, Any]:
    """Draw gradients none of which is 0."""
    parameters, *steps = ([draw.normal(*shape) for shape in SHAPES[:4]] for _ in range(13))
    return {"parameters": parameters, "gradients": steps}


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


def groups_of_a_few(**own: Any) -> list[dict[str, Any]]:
    """Return parameter groups that each differ in other options; one has no parameter."""
    return [
        {"params": [0, 1], "lr": 0.02},
        {"params": [], "lr": 0.5},
        {"params": [2, 3], "weight_decay": 0.2, **own},
        {"params": [4], "maximize": True},
        {"params": [5], "name": "head"},
    ]


def case(name: str, optimiser: str, inputs: Callable[[Draw], dict[str, Any]] | None = None, **options: Any) -> ParityCase:
    """Return the case of an optimiser with these options."""
    inputs = inputs or replay(options.get("lr", 1e-3))
    return ParityCase(name, f"optim.{optimiser}", reference=f"torch.optim.{optimiser}", inputs=inputs, config=options)


CHANGED_SGD = {
    10: {"momentum": 0.8, "dampening": 0.3},
    25: {"lr": 0.05, "weight_decay": 0.3},
    40: {"momentum": 0.5, "dampening": 0.2},
}
CHANGED_ADAM = {10: {"betas": (0.8, 0.95)}, 25: {"lr": 0.05, "weight_decay": 0.3}, 40: {"eps": 1e-2, "maximize": True}}

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
    case("sgd-resumed", "SGD", training(groups_of_a_few(dampening=0.2), resumed=RESUMED), lr=0.01, momentum=0.8),
    case(
        "sgd-scheduled",
        "SGD",
        training(groups_of_a_few(), schedule=("OneCycleLR", dict(max_lr=0.05, total_steps=STEPS)), resumed={29: 0}),
        momentum=0.9,
        nesterov=True,
    ),
    case("sgd-changed", "SGD", training(changed=CHANGED_SGD), lr=0.01),
    case("sgd-long", "SGD", long_arrays, momentum=0.9, nesterov=True, weight_decay=0.1),
    case("adam", "Adam"),
    case("adam-decay", "Adam", lr=0.02, betas=(0.7, 0.95), eps=1e-5, weight_decay=0.1),
    case("adam-decay-maximize", "Adam", lr=0.02, weight_decay=0.1, maximize=True),
    case("adam-decoupled", "Adam", lr=0.02, weight_decay=0.1, decoupled_weight_decay=True),
    case("adam-amsgrad", "Adam", lr=0.02, betas=(0.8, 0.6), weight_decay=0.1, amsgrad=True),
    case("adam-amsgrad-maximize", "Adam", lr=0.02, betas=(0.8, 0.6), amsgrad=True, maximize=True),
    case("adam-without-means", "Adam", betas=(0.0, 0.0), eps=1e-2),
    case("adam-groups", "Adam", replay(0.02, groups(betas=(0.5, 0.9))), lr=0.01),
    case("adam-resumed", "Adam", training(groups_of_a_few(amsgrad=True), resumed=RESUMED), lr=0.01, betas=(0.8, 0.6)),
    case(
        "adam-scheduled",
        "Adam",
        training(schedule=("CyclicLR", dict(base_lr=1e-3, max_lr=0.05, step_size_up=9)), resumed={29: 0}),
    ),
    case("adam-changed", "Adam", training(changed=CHANGED_ADAM), lr=0.01),
    case("adam-no-eps", "Adam", dense, lr=0.01, eps=0.0),
    case("adamw", "AdamW"),
    case("adamw-decay", "AdamW", lr=0.02, betas=(0.7, 0.95), eps=1e-5, weight_decay=0.3),
    case("adamw-amsgrad-maximize", "AdamW", lr=0.02, betas=(0.8, 0.6), amsgrad=True, maximize=True),
    case("adamw-groups", "AdamW", replay(0.02, groups(eps=1e-3, amsgrad=True)), lr=0.01),
    case("adamw-resumed", "AdamW", training(groups_of_a_few(eps=1e-3), resumed=RESUMED), lr=0.02, weight_decay=0.3),
    case(
        "adamw-scheduled",
        "AdamW",
        training(schedule=("CosineAnnealingLR", dict(T_max=40, eta_min=1e-4)), resumed={29: 0}),
        lr=0.02,
        weight_decay=0.1,
    ),
    case("adamw-long", "AdamW", long_arrays, amsgrad=True),
]
