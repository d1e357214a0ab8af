"""Learning-rate schedules: the learning rate and the momentum of every parameter group before every step."""

import math
from typing import Any

from parity.case import ParityCase
from parity.inputs import Draw, float32_representable

AFTER = ("optimisers",)

STEPS = 300
SAVED = (1, 9, 31, 57, 150)  # steps after which a schedule of AdamW is saved and resumed; two are milestones


class Halving:
    """A factor that is halved every so many steps, as an object with a state."""

    def __init__(self, every: int):
        self.every = every

    def __call__(self, step: float) -> float:
        return float(0.5 ** (step // self.every))


def three_groups(steps: int, **more: Any) -> Any:
    """Return a draw of the first learning rates of three groups."""
    return lambda draw: {"rates": first_rates(draw), "steps": steps, **more}


def first_rates(draw: Draw) -> Any:
    """Draw learning rates from 1e-4 to 1."""
    return float32_representable(10 ** draw.rng.uniform(-4, 0, 3))


def three(low: float, high: float) -> dict[str, Any]:
    """Return limits of the learning rate for each of three groups."""
    return {"base_lr": [low, low / 10, low * 3], "max_lr": [high, high / 7, high * 2]}


def case(
    name: str, schedule: str, steps: int = STEPS, saved: tuple[int, ...] = SAVED, resumed_with: Any = None, **options: Any
) -> list[ParityCase]:
    """Return the cases of a schedule of SGD, and of AdamW where it is saved and resumed, at times by one with other options."""
    of_sgd = three_groups(steps, optimiser="SGD")
    of_adamw = three_groups(steps, optimiser="AdamW", saved=saved, resumed_with=resumed_with)
    return [with_inputs(name, schedule, of_sgd, options), with_inputs(f"{name}-betas", schedule, of_adamw, options)]


def restarted(name: str, schedule: str, steps: int = 130, **options: Any) -> ParityCase:
    """Return the case of a schedule that goes on from last_epoch, without a state of its own.

    The schedules of torch that change the last rate go on in another way in each version of torch.
    """
    return with_inputs(f"{name}-restarted", schedule, three_groups(steps, optimiser="SGD", restarted=(1, 20, 57)), options)


def with_inputs(name: str, schedule: str, inputs: Any, options: dict[str, Any]) -> ParityCase:
    """Return the case of a schedule with these inputs and options."""
    path = f"optim.lr_scheduler.{schedule}"
    return ParityCase(name, path, reference=f"torch.{path}", inputs=inputs, config=options)


def within_epochs(draw: Draw) -> dict[str, Any]:
    """Draw first learning rates, and the epochs that a schedule is set to: fractions, the boundary of a cycle, back and on."""
    epochs = [0.0, 0.25, 0.5, 2.75, 3.0, 4.5, None, 8.9, 9, 10.25, None, None, 1.5, None]
    return {"rates": first_rates(draw), "steps": len(epochs) + 1, "optimiser": "SGD", "epochs": epochs}


def warm_up(name: str, factor: str, **options: Any) -> ParityCase:
    """Return the case of a factor that begins with a warm-up."""
    return ParityCase(name, f"optim.lr_scheduler.{factor}", three_groups(STEPS), options)


CASES = [
    *case("lambda-lr", "LambdaLR", lr_lambda=lambda step: 0.97**step),
    *case(
        "lambda-lr-each",
        "LambdaLR",
        saved=(1, 9, 57),  # where the sine is positive: no optimiser loads a negative learning rate
        lr_lambda=[lambda step: 1 / (1 + step), Halving(40), lambda step: math.sin(step)],
    ),
    *case("step-lr", "StepLR", resumed_with=dict(step_size=3, gamma=0.5), step_size=7, gamma=0.6),
    *case("step-lr-default", "StepLR", step_size=30),
    *case("step-lr-each", "StepLR", step_size=1, gamma=0.99),
    *case("multi-step-lr", "MultiStepLR", resumed_with=dict(milestones=[2], gamma=0.5), milestones=[30, 5, 5, 19], gamma=0.7),
    *case("multi-step-lr-default", "MultiStepLR", milestones=[30, 31, 120, 200]),
    *case("multi-step-lr-from-0", "MultiStepLR", milestones=[120, 5, 60, 60, 0], gamma=0.3),
    *case("constant-lr", "ConstantLR", resumed_with=dict(factor=0.9, total_iters=40), factor=0.3, total_iters=11),
    *case("constant-lr-default", "ConstantLR"),
    *case("constant-lr-long", "ConstantLR", factor=0.25, total_iters=90),
    *case(
        "linear-lr",
        "LinearLR",
        resumed_with=dict(start_factor=0.5, end_factor=0.6, total_iters=9),
        start_factor=0.2,
        end_factor=0.9,
        total_iters=23,
    ),
    *case("linear-lr-default", "LinearLR"),
    *case("linear-lr-down", "LinearLR", start_factor=0.9, end_factor=0.2, total_iters=77),
    *case("linear-lr-to-0", "LinearLR", start_factor=1.0, end_factor=0.0, total_iters=50),
    *case("exponential-lr", "ExponentialLR", resumed_with=dict(gamma=0.5), gamma=0.93),
    *case("exponential-lr-up", "ExponentialLR", gamma=1.01),
    *case("polynomial-lr", "PolynomialLR", resumed_with=dict(total_iters=300, power=2.0), total_iters=31, power=1.7),
    *case("polynomial-lr-default", "PolynomialLR"),
    *case("polynomial-lr-long", "PolynomialLR", total_iters=130, power=1.7),
    *case("cosine-lr", "CosineAnnealingLR", resumed_with=dict(T_max=7, eta_min=0.0), T_max=19, eta_min=1e-3),
    *case("cosine-lr-default", "CosineAnnealingLR", T_max=100),
    *case("cosine-lr-waves", "CosineAnnealingLR", T_max=13, eta_min=1e-3),
    *case(
        "restarts-lr", "CosineAnnealingWarmRestarts", resumed_with=dict(T_0=2, T_mult=1, eta_min=0.0), T_0=5, T_mult=3, eta_min=1e-3
    ),
    *case("restarts-lr-default", "CosineAnnealingWarmRestarts", T_0=40),
    *case("restarts-lr-longer", "CosineAnnealingWarmRestarts", T_0=9, T_mult=3, eta_min=1e-3),
    *case("cyclic-lr", "CyclicLR", base_lr=0.01, max_lr=0.3, step_size_up=7, step_size_down=11, mode="triangular2"),
    *case("cyclic-lr-triangular", "CyclicLR", base_lr=0.01, max_lr=0.4, step_size_up=20),
    *case(
        "cyclic-lr-halving",
        "CyclicLR",
        resumed_with=dict(base_lr=0.1, max_lr=0.2, step_size_up=5, base_momentum=0.2, max_momentum=0.3),
        **three(0.01, 0.4),
        step_size_up=11,
        step_size_down=19,
        mode="triangular2",
        base_momentum=[0.5, 0.6, 0.7],
    ),
    *case(
        "cyclic-lr-range",
        "CyclicLR",
        resumed_with=dict(base_lr=0.1, max_lr=0.2, gamma=0.5),
        base_lr=0.01,
        max_lr=0.3,
        step_size_up=8,
        mode="exp_range",
        gamma=0.95,
    ),
    *case(
        "cyclic-lr-range-each",
        "CyclicLR",
        base_lr=0.01,
        max_lr=0.4,
        step_size_up=31,
        mode="exp_range",
        gamma=0.99,
        max_momentum=[0.9, 0.95, 0.99],
    ),
    *case("cyclic-lr-by-cycle", "CyclicLR", base_lr=0.01, max_lr=0.4, step_size_up=10, scale_fn=Halving(2)),
    *case(
        "cyclic-lr-by-step",
        "CyclicLR",
        base_lr=0.01,
        max_lr=0.4,
        step_size_up=15,
        scale_fn=lambda step: 1 / (1 + step),
        scale_mode="iterations",
        cycle_momentum=False,
    ),
    *case(
        "one-cycle-lr",
        "OneCycleLR",
        60,
        resumed_with=dict(max_lr=0.1, total_steps=90, pct_start=0.2),
        max_lr=0.3,
        total_steps=60,
        pct_start=0.4,
        final_div_factor=8.0,
    ),
    *case("one-cycle-lr-linear", "OneCycleLR", 60, max_lr=0.3, total_steps=60, three_phase=True, anneal_strategy="linear"),
    *case("one-cycle-lr-default", "OneCycleLR", max_lr=0.4, total_steps=STEPS),
    *case(
        "one-cycle-lr-epochs",
        "OneCycleLR",
        max_lr=[0.4, 0.1, 3.0],
        epochs=3,
        steps_per_epoch=100,
        pct_start=0.21,
        anneal_strategy="linear",
    ),
    *case(
        "one-cycle-lr-three-phases",
        "OneCycleLR",
        resumed_with=dict(three_phase=False, base_momentum=0.2),
        max_lr=0.4,
        total_steps=333,
        three_phase=True,
        div_factor=10.0,
        final_div_factor=7.0,
        base_momentum=0.7,
        max_momentum=0.9,
    ),
    *case("one-cycle-lr-no-momentum", "OneCycleLR", max_lr=0.4, total_steps=301, pct_start=0.0, cycle_momentum=False),
    *case(
        "sequential-lr",
        "SequentialLR",
        schedulers=[
            ("LinearLR", dict(start_factor=0.2, total_iters=9)),
            ("CosineAnnealingLR", dict(T_max=13)),
            ("ExponentialLR", dict(gamma=0.9)),
        ],
        milestones=[9, 31],
    ),
    *case(
        "sequential-lr-restarts",
        "SequentialLR",
        schedulers=[
            ("LinearLR", dict(start_factor=0.1, total_iters=20)),
            ("CosineAnnealingWarmRestarts", dict(T_0=17, T_mult=2)),
            ("ExponentialLR", dict(gamma=0.98)),
        ],
        milestones=[20, 150],
    ),
    *case(
        "sequential-lr-of-five",
        "SequentialLR",
        schedulers=[
            ("CosineAnnealingWarmRestarts", dict(T_0=7)),
            ("LambdaLR", dict(lr_lambda=lambda step: 1 / (1 + step))),
            ("StepLR", dict(step_size=9, gamma=0.5)),
            ("PolynomialLR", dict(total_iters=60, power=2.0)),
            ("CosineAnnealingLR", dict(T_max=30)),
        ],
        milestones=[20, 45, 100, 170],
    ),
    with_inputs("restarts-lr-epochs", "CosineAnnealingWarmRestarts", within_epochs, dict(T_0=3, T_mult=2)),
    restarted("lambda-lr", "LambdaLR", lr_lambda=lambda step: 0.97**step),
    restarted("restarts-lr", "CosineAnnealingWarmRestarts", T_0=200),
    restarted("cyclic-lr", "CyclicLR", base_lr=0.01, max_lr=0.3, step_size_up=7, step_size_down=11, mode="triangular2"),
    restarted("one-cycle-lr", "OneCycleLR", max_lr=0.4, total_steps=STEPS),
    warm_up("linear-warm-up", "linear_warm_up", warm_up_steps=13),
    warm_up("warm-up-cosine", "warm_up_cosine", warm_up_steps=13, total_steps=51, lowest=0.1),
    warm_up("noam", "noam", d_model=96, warm_up_steps=17),
]
