"""Mistakes in learning-rate schedules, as functions of the number of the step, the first rate and the schedule's options.

They return the rate, or the rate and the momentum.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from functools import partial
from typing import Any

Rate = float | tuple[float, float]


def wave(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def line(start: float, end: float, share: float) -> float:
    """From start to end along a line."""
    return start + (end - start) * share


def linear(t: int, lr: float, start_factor: float, end_factor: float, total_iters: int, change: str = "") -> float:
    """Along a line with one change."""
    share = (t + (change == "ahead")) / (total_iters - (change == "one step short"))
    start, end = (end_factor, start_factor) if change == "turned round" else (start_factor, end_factor)
    start, end = 0.0 if change == "from 0" else start, 1.0 if change == "to 1" else end
    return lr * line(start, end, share if change == "no end" else min(share, 1.0))


def polynomial(t: int, lr: float, total_iters: int, power: float, change: str = "") -> float:
    """A power of what is left with one change."""
    done = t % total_iters if change == "again" else min(t + (change == "ahead"), total_iters)
    if change == "of what is done":
        return lr * (1 - (done / total_iters) ** power)
    return lr * (1 - done / total_iters) ** (1.0 if change == "no power" else power)


def cosine(t: int, lr: float, T_max: int, eta_min: float = 0.0, change: str = "") -> float:
    """Along a cosine with one change."""
    share = t / {"one step short": T_max - 1, "half a wave too long": 2 * T_max}.get(change, T_max)
    share = min(share, 1.0) if change == "stays" else share % 1.0 if change == "restarts" else share
    low = 0.0 if change == "no eta_min" else eta_min
    if change == "eta_min added":
        return eta_min + wave(lr, 0.0, share)
    return line(lr, low, share) if change == "line" else wave(lr, low, share)


def restarts(t: int, lr: float, T_0: int, T_mult: int = 1, eta_min: float = 0.0, change: str = "") -> float:
    """Along a cosine again and again, with one change."""
    done, cycle = t, T_0
    while done > cycle or (done == cycle and change != "one step late"):
        done -= cycle
        cycle = cycle + T_0 if change == "added" else cycle if change == "no T_mult" else cycle * T_mult
    low = 0.0 if change == "no eta_min" else eta_min
    return wave(low, lr, done / cycle) if change == "upside down" else wave(lr, low, done / cycle)


def cyclic(
    t: int,
    lr: float,
    base_lr: float,
    max_lr: float,
    step_size_up: int,
    step_size_down: int | None = None,
    mode: str = "triangular",
    gamma: float = 1.0,
    base_momentum: float = 0.8,
    max_momentum: float = 0.9,
    change: str = "",
) -> Rate:
    """Cycles with one change."""
    down = step_size_up if step_size_down is None or change == "no step_size_down" else step_size_down
    cycle, x = divmod(t, step_size_up + down)
    height = x / step_size_up if x <= step_size_up else (step_size_up + down - x) / down
    mode = "triangular" if change == "no mode" else mode
    n = t if change == "by step" else cycle + (change == "cycles from 1")
    momentum_height = height
    if mode == "triangular2":
        height *= 0.5**n
    elif mode == "exp_range":
        height *= gamma ** (cycle + 1 if change == "by cycle" else t)
    momentum_height = momentum_height if change == "momentum not scaled" else height
    high, low = (base_momentum, max_momentum) if change == "momentum alike" else (max_momentum, base_momentum)
    return line(base_lr, max_lr, height), max_momentum if change == "momentum kept" else line(high, low, momentum_height)


def one_cycle(
    t: int,
    lr: float,
    max_lr: float,
    total_steps: int,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    base_momentum: float = 0.85,
    max_momentum: float = 0.95,
    div_factor: float = 25.0,
    final_div_factor: float = 10000.0,
    three_phase: bool = False,
    change: str = "",
) -> Rate:
    """One cycle with one change."""
    first = max_lr / div_factor
    last = {"from max_lr": max_lr, "no final_div_factor": first * final_div_factor}.get(change, first) / final_div_factor
    up, end = pct_start * total_steps - 1, total_steps - 1.0
    up, end = (up + 1, end + 1) if change == "one step long" else (up, end)
    three_phase = three_phase and change != "two phases"
    stops = [(0.0, first, max_momentum), (up, max_lr, base_momentum), (end, last, max_momentum)]
    stops.insert(2, (2 * up, first, max_momentum)) if three_phase else None
    k = next(k for k, (at, _, _) in enumerate(stops[1:]) if t <= at or k == len(stops) - 2)
    (start, rate, momentum), (stop, next_rate, next_momentum) = stops[k : k + 2]
    along = line if (anneal_strategy == "linear") != (change == "other strategy") else wave
    share = (t - start) / (stop - start)
    found = along(momentum, next_momentum, share)
    if change == "momentum alike":
        found = base_momentum + max_momentum - found
    return along(rate, next_rate, share), max_momentum if change == "momentum kept" else found


def sequential(t: int, lr: float, parts: list[Callable[[int, float], float]], milestones: list[int], change: str = "") -> float:
    """One schedule after another, with one change."""
    shift = {"one step late": 1, "one step early": -1}.get(change, 0)
    k = bisect_right([milestone + shift for milestone in milestones], t)
    begun = 0 if k == 0 or change == "goes on" else milestones[k - 1] + shift
    if change == "first step skipped":
        begun -= k > 0
    return parts[k](t - begun, lr)


def _with(function: Callable[..., Any], texts: dict[str, str]) -> list[tuple[str, Callable[..., Any]]]:
    return [(text, partial(function, change=change)) for change, text in texts.items()]


def noam(t: int, lr: float, d_model: int, warm_up_steps: int, change: str = "") -> float:
    """The Transformer's rate with one change."""
    step = t + (change != "from 0")
    rising, falling = step * warm_up_steps**-1.5, step**-0.5 if step else math.inf
    pick = max if change == "the larger" else min
    scale = {"no d_model": 1.0, "d_model upside down": d_model**0.5}.get(change, d_model**-0.5)
    return lr * scale * (falling if change == "no warm-up" else pick(rising, falling))


def warm_up_cosine(t: int, lr: float, warm_up_steps: int, total_steps: int, lowest: float = 0.0, change: str = "") -> float:
    """A warm-up and a cosine with one change."""
    if t < warm_up_steps and change != "no warm-up":
        return lr * (t + (change != "from 0")) / warm_up_steps
    begun = {"cosine from 0": 0, "no warm-up": 0}.get(change, warm_up_steps)
    share = min((t - begun) / (total_steps - (0 if change in ("total after", "no warm-up") else warm_up_steps)), 1.0)
    return lr * wave(1.0, 0.0 if change == "no lowest" else lowest, share)


TABLE: dict[str, list[tuple[str, Callable[..., Any]]]] = {
    "StepLR": [
        ("decays at every step, not every step_size of them", lambda t, lr, step_size, gamma: lr * gamma**t),
        ("decays one step late", lambda t, lr, step_size, gamma: lr * gamma ** (max(t - 1, 0) // step_size)),
        ("decays one step early", lambda t, lr, step_size, gamma: lr * gamma ** ((t + 1) // step_size)),
        ("multiplies by 1 - gamma", lambda t, lr, step_size, gamma: lr * (1 - gamma) ** (t // step_size)),
        ("divides by gamma", lambda t, lr, step_size, gamma: lr / gamma ** (t // step_size)),
        ("subtracts gamma of the first rate each time", lambda t, lr, step_size, gamma: lr * (1 - (1 - gamma) * (t // step_size))),
    ],
    "MultiStepLR": [
        ("decays one step late", lambda t, lr, milestones, gamma: lr * gamma ** bisect_left(sorted(milestones), t)),
        ("decays one step early", lambda t, lr, milestones, gamma: lr * gamma ** bisect_right(sorted(milestones), t + 1)),
        (
            "decays once at a milestone that comes twice",
            lambda t, lr, milestones, gamma: lr * gamma ** bisect_right(sorted(set(milestones)), t),
        ),
        (
            "decays once, however many milestones have passed",
            lambda t, lr, milestones, gamma: lr * gamma ** (t >= min(milestones)),
        ),
    ],
    "ConstantLR": [
        ("holds one step too long", lambda t, lr, factor, total_iters: lr * (factor if t <= total_iters else 1)),
        ("holds one step too short", lambda t, lr, factor, total_iters: lr * (factor if t < total_iters - 1 else 1)),
        ("never ends", lambda t, lr, factor, total_iters: lr * factor),
        ("multiplies after total_iters, not before", lambda t, lr, factor, total_iters: lr * (1 if t < total_iters else factor)),
    ],
    "LinearLR": _with(
        linear,
        {
            "ahead": "is one step ahead",
            "no end": "does not stop at end_factor",
            "one step short": "arrives one step early: divides by total_iters - 1",
            "turned round": "goes from end_factor to start_factor",
            "to 1": "ends at the whole rate, not at end_factor",
            "from 0": "begins at 0, not at start_factor",
        },
    ),
    "ExponentialLR": [
        ("is one step ahead: the first rate is decayed already", lambda t, lr, gamma: lr * gamma ** (t + 1)),
        ("multiplies by 1 - gamma", lambda t, lr, gamma: lr * (1 - gamma) ** t),
        ("multiplies by e^-gamma", lambda t, lr, gamma: lr * math.exp(-gamma * t)),
        ("decays once", lambda t, lr, gamma: lr * gamma ** min(t, 1)),
    ],
    "PolynomialLR": _with(
        polynomial,
        {
            "ahead": "is one step ahead",
            "no power": "ignores power: falls in equal steps",
            "of what is done": "takes the power of what is done, not of what is left",
            "again": "begins again after total_iters",
        },
    ),
    "CosineAnnealingLR": _with(
        cosine,
        {
            "one step short": "arrives one step early: divides by T_max - 1",
            "half a wave too long": "takes twice as long: T_max is half a wave, not a whole one",
            "stays": "stays at eta_min; torch's rate goes up again",
            "restarts": "begins again at the top after T_max; torch's rate goes up as it came down",
            "no eta_min": "ignores eta_min",
            "eta_min added": "adds eta_min to a wave from the whole rate to 0",
            "line": "falls along a line; it is a cosine",
        },
    ),
    "CosineAnnealingWarmRestarts": _with(
        restarts,
        {
            "one step late": "restarts one step late",
            "no T_mult": "ignores T_mult: all cycles have T_0 steps",
            "added": "makes each cycle T_0 steps longer; T_mult multiplies",
            "no eta_min": "ignores eta_min",
            "upside down": "goes up in each cycle; it comes down",
        },
    ),
    "CyclicLR": _with(
        cyclic,
        {
            "no step_size_down": "ignores step_size_down: comes down in as many steps as it goes up",
            "no mode": "ignores mode: all cycles have the same height",
            "cycles from 1": "halves the first cycle already: the cycles are counted from 0 by the halving",
            "by step": "halves at every step; it is at every cycle",
            "by cycle": "multiplies by gamma at every cycle; it is at every step",
            "momentum alike": "lets the momentum rise with the rate; it goes the other way",
            "momentum kept": "does not cycle the momentum",
            "momentum not scaled": "does not scale the momentum's height with the rate's",
        },
    ),
    "OneCycleLR": _with(
        one_cycle,
        {
            "one step long": "arrives one step late: takes pct_start * total_steps for the last step of a phase, which is one less",
            "two phases": "ignores three_phase",
            "from max_lr": "divides max_lr by final_div_factor; it is the first rate that is divided",
            "no final_div_factor": "ignores final_div_factor: ends at the first rate",
            "other strategy": "takes the other anneal_strategy",
            "momentum alike": "lets the momentum rise with the rate; it goes the other way",
            "momentum kept": "does not cycle the momentum",
        },
    ),
    "SequentialLR": _with(
        sequential,
        {
            "one step late": "goes over to the next schedule one step late",
            "one step early": "goes over to the next schedule one step early",
            "goes on": "begins the next schedule at the number of all steps; it begins at its own start",
            "first step skipped": "skips the first step of the next schedule",
        },
    ),
    "linear_warm_up": [
        (
            "begins at 0: its steps are counted from 0, not from 1",
            lambda t, lr, warm_up_steps: lr * min(t / warm_up_steps, 1.0),
        ),
        ("does not stop at the whole rate", lambda t, lr, warm_up_steps: lr * (t + 1) / warm_up_steps),
        ("takes one step more", lambda t, lr, warm_up_steps: lr * min((t + 1) / (warm_up_steps + 1), 1.0)),
        ("takes one step fewer", lambda t, lr, warm_up_steps: lr * min((t + 2) / warm_up_steps, 1.0)),
    ],
    "warm_up_cosine": _with(
        warm_up_cosine,
        {
            "from 0": "begins at 0: its steps are counted from 0, not from 1",
            "no warm-up": "leaves the warm-up out",
            "cosine from 0": "begins the cosine at step 0, not after the warm-up",
            "total after": "takes total_steps for those after the warm-up",
            "no lowest": "ignores lowest: goes down to 0",
        },
    ),
    "noam": _with(
        noam,
        {
            "from 0": "counts the steps from 0; the first is 1",
            "no d_model": "leaves out d_model^-0.5",
            "d_model upside down": "multiplies by √d_model; it divides by it",
            "the larger": "takes the larger of the two; it is the smaller",
            "no warm-up": "leaves the warm-up out",
        },
    ),
}
