"""Mistakes in schedules along cosines and in cycles; they take the same arguments as those in schedule_factors."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from parity.mistakes.register import definition, mistake

Rate = tuple[float, float]  # the learning rate and the momentum
Along = Callable[[float, float, float], float]
wrong_cosine = partial(mistake, "CosineAnnealingLR")
wrong_restarts = partial(mistake, "CosineAnnealingWarmRestarts")
wrong_cyclic = partial(mistake, "CyclicLR")
wrong_one_cycle = partial(mistake, "OneCycleLR")


def wave(start: float, end: float, share: float) -> float:
    """Go from start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def line(start: float, end: float, share: float) -> float:
    """Go from start to end along a line."""
    return start + (end - start) * share


@definition("CosineAnnealingLR")
def cosine(
    t: int,
    lr: float,
    T_max: int,
    eta_min: float = 0.0,
    *,
    share: Callable[[int, int], float] = lambda t, T_max: t / T_max,
    along: Along = wave,
) -> float:
    """Return the rate along a cosine, in stages."""
    return along(lr, eta_min, share(t, T_max))


@wrong_cosine("arrives one step early: divides by T_max - 1", "share")
def cosine_early(t: int, T_max: int) -> float:
    return t / (T_max - 1)


@wrong_cosine("takes twice as long: T_max is half a wave, not a whole one", "share")
def cosine_twice_as_long(t: int, T_max: int) -> float:
    return t / (2 * T_max)


@wrong_cosine("stays at eta_min; torch's rate rises again", "share")
def cosine_stays(t: int, T_max: int) -> float:
    return min(t / T_max, 1.0)


@wrong_cosine("begins again at the top after T_max; torch's rate rises as it fell", "share")
def cosine_again(t: int, T_max: int) -> float:
    return t / T_max % 1.0


@wrong_cosine("ignores eta_min")
def cosine_to_0(t: int, lr: float, T_max: int, eta_min: float = 0.0) -> float:
    return cosine(t, lr, T_max)


@wrong_cosine("adds eta_min to a wave from the whole rate to 0")
def eta_min_added(t: int, lr: float, T_max: int, eta_min: float = 0.0) -> float:
    return eta_min + cosine(t, lr, T_max)


wrong_cosine("falls along a line; it falls along a cosine", "along")(line)


@definition("CosineAnnealingWarmRestarts")
def restarts(
    t: int,
    lr: float,
    T_0: int,
    T_mult: int = 1,
    eta_min: float = 0.0,
    *,
    over: Callable[[int, int], bool] = lambda done, cycle: done >= cycle,
    next_cycle: Callable[[int, int, int], int] = lambda cycle, T_0, T_mult: cycle * T_mult,
) -> float:
    """Return the rate along a cosine that begins again, in stages."""
    done, cycle = t, T_0
    while over(done, cycle):
        done, cycle = done - cycle, next_cycle(cycle, T_0, T_mult)
    return wave(lr, eta_min, done / cycle)


@wrong_restarts("restarts one step late", "over")
def restarts_late(done: int, cycle: int) -> bool:
    return done > cycle


@wrong_restarts("ignores T_mult: all cycles have T_0 steps", "next_cycle")
def equal_cycles(cycle: int, T_0: int, T_mult: int) -> int:
    return cycle


@wrong_restarts("makes each cycle T_0 steps longer; T_mult multiplies the length", "next_cycle")
def cycles_added(cycle: int, T_0: int, T_mult: int) -> int:
    return cycle + T_0


@wrong_restarts("ignores eta_min")
def restarts_to_0(t: int, lr: float, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> float:
    return restarts(t, lr, T_0, T_mult)


@wrong_restarts("goes up in each cycle; it comes down")
def restarts_upward(t: int, lr: float, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> float:
    return restarts(t, eta_min, T_0, T_mult, lr)


def scaled(mode: str, height: float, cycle: int, t: int, gamma: float) -> float:
    """Scale the height of a cycle, which is counted from 0."""
    return height * {"triangular2": 0.5**cycle, "exp_range": gamma**t}.get(mode, 1.0)


@definition("CyclicLR")
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
    *,
    down: Callable[[int, int | None], int] = lambda up, down: up if down is None else down,
    scaled: Callable[[str, float, int, int, float], float] = scaled,
    momentum: Callable[[float, float, float, float], float] = lambda low, high, height, scaled: line(high, low, scaled),
) -> Rate:
    """Return the rate and the momentum of cycles, in stages."""
    steps_down = down(step_size_up, step_size_down)
    cycle, x = divmod(t, step_size_up + steps_down)
    height = x / step_size_up if x <= step_size_up else (step_size_up + steps_down - x) / steps_down
    scaled_height = scaled(mode, height, cycle, t, gamma)
    return line(base_lr, max_lr, scaled_height), momentum(base_momentum, max_momentum, height, scaled_height)


@wrong_cyclic("ignores step_size_down: comes down in as many steps as it goes up", "down")
def as_long_down(up: int, down: int | None) -> int:
    return up


@wrong_cyclic("ignores mode: all cycles have the same height", "scaled")
def equal_heights(mode: str, height: float, cycle: int, t: int, gamma: float) -> float:
    return height


@wrong_cyclic("halves the first cycle already: the halving counts the cycles from 0", "scaled")
def cycles_from_1(mode: str, height: float, cycle: int, t: int, gamma: float) -> float:
    return scaled(mode, height, cycle + 1, t, gamma)


@wrong_cyclic("halves at every step; it halves at every cycle", "scaled")
def halved_at_every_step(mode: str, height: float, cycle: int, t: int, gamma: float) -> float:
    return scaled(mode, height, t, t, gamma)


@wrong_cyclic("multiplies by gamma at every cycle; it is at every step", "scaled")
def gamma_at_every_cycle(mode: str, height: float, cycle: int, t: int, gamma: float) -> float:
    return scaled(mode, height, cycle, cycle + 1, gamma)


@wrong_cyclic("lets the momentum rise with the rate; it goes the other way", "momentum")
def momentum_with_rate(low: float, high: float, height: float, scaled: float) -> float:
    return line(low, high, scaled)


@wrong_cyclic("does not cycle the momentum", "momentum")
def momentum_kept(low: float, high: float, height: float, scaled: float) -> float:
    return high


@wrong_cyclic("does not scale the height of the momentum with that of the rate", "momentum")
def momentum_not_scaled(low: float, high: float, height: float, scaled: float) -> float:
    return line(high, low, height)


@definition("OneCycleLR")
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
    *,
    last_step: Callable[[float], float] = lambda steps: steps - 1,
    phases: Callable[[bool], bool] = lambda three_phase: three_phase,
    last: Callable[[float, float, float], float] = lambda first, max_lr, final_div_factor: first / final_div_factor,
    strategies: tuple[Along, Along] = (wave, line),
    momentum: Callable[[float, float, float], float] = lambda momentum, low, high: momentum,
) -> Rate:
    """Return the rate and the momentum of one cycle, in stages."""
    first, up = max_lr / div_factor, last_step(pct_start * total_steps)
    stops = [(0.0, first, max_momentum), (up, max_lr, base_momentum)]
    stops += [(2 * up, first, max_momentum)] if phases(three_phase) else []
    stops += [(last_step(total_steps), last(first, max_lr, final_div_factor), max_momentum)]
    k = next(k for k, (at, _, _) in enumerate(stops[1:]) if t <= at or k == len(stops) - 2)
    (start, rate, held), (stop, next_rate, next_held) = stops[k : k + 2]
    along, share = strategies[anneal_strategy == "linear"], (t - start) / (stop - start)
    return along(rate, next_rate, share), momentum(along(held, next_held, share), base_momentum, max_momentum)


@wrong_one_cycle("arrives one step late: a phase ends at step pct_start * total_steps; its last step is one less", "last_step")
def one_step_late(steps: float) -> float:
    return steps


@wrong_one_cycle("ignores three_phase", "phases")
def two_phases(three_phase: bool) -> bool:
    return False


@wrong_one_cycle("divides max_lr by final_div_factor; the first rate is divided", "last")
def last_from_max(first: float, max_lr: float, final_div_factor: float) -> float:
    return max_lr / final_div_factor


@wrong_one_cycle("ignores final_div_factor: ends at the first rate", "last")
def ends_at_first(first: float, max_lr: float, final_div_factor: float) -> float:
    return first


wrong_one_cycle("uses the other anneal_strategy", "strategies")((line, wave))


@wrong_one_cycle("lets the momentum rise with the rate; it goes the other way", "momentum")
def one_cycle_momentum_with_rate(momentum: float, low: float, high: float) -> float:
    return low + high - momentum


@wrong_one_cycle("does not cycle the momentum", "momentum")
def one_cycle_momentum_kept(momentum: float, low: float, high: float) -> float:
    return high
