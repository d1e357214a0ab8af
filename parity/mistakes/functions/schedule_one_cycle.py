"""Mistakes in OneCycleLR, which returns a rate and a momentum; it takes the same arguments as schedules in schedule_steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from parity.mistakes.functions.schedule_cosine import Along, line, wave
from parity.mistakes.functions.schedule_cycle import Rate
from parity.mistakes.register import definition, mistake

wrong_one_cycle = partial(mistake, "OneCycleLR")


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
