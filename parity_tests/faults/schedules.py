"""Faults of learning-rate schedules."""

from functools import partial

from parity_tests.faults.fault import Fault


def of(schedule: str, file: str, *settings: str, method: str = "multiplier") -> partial:
    """Return a maker of faults in one method of a schedule, for its settings; three schedules are in the sequence, too."""
    in_sequence = schedule in ("LinearLR", "CosineAnnealingLR", "ExponentialLR")
    return partial(
        Fault,
        phase="step",
        function=f"optim.lr_scheduler.{file}.{schedule}.{method}",
        cases=settings,
        culprit=f"{schedule}|SequentialLR" if in_sequence else schedule,
    )


def of_function(factor: str, setting: str) -> partial:
    """Return a maker of faults in a warm-up."""
    return partial(Fault, phase="step", function=f"optim.lr_scheduler.warm_up.{factor}", cases=(setting,), culprit=factor)


step = of("StepLR", "factor", "step-lr")
multi_step = of("MultiStepLR", "factor", "multi-step-lr")
constant = of("ConstantLR", "factor", "constant-lr")
linear = of("LinearLR", "factor", "linear-lr")
exponential = of("ExponentialLR", "factor", "exponential-lr")
polynomial = of("PolynomialLR", "factor", "polynomial-lr")
cosine = of("CosineAnnealingLR", "cosine", "cosine-lr", method="get_lr")
restarts = of("CosineAnnealingWarmRestarts", "cosine", "restarts-lr", method="step")
restarts_rate = of("CosineAnnealingWarmRestarts", "cosine", "restarts-lr", method="get_lr")
cyclic = of("CyclicLR", "cycle", "cyclic-lr", method="_height")
cyclic_range = of("CyclicLR", "cycle", "cyclic-lr-range", method="_height")
cyclic_momentum = of("CyclicLR", "cycle", "cyclic-lr", "cyclic-lr-range", method="get_momentum")
one_cycle = of("OneCycleLR", "one_cycle", "one-cycle-lr", "one-cycle-lr-linear", method="__init__")
one_cycle_momentum = of("OneCycleLR", "one_cycle", "one-cycle-lr", "one-cycle-lr-linear", method="get_momentum")
sequential = of("SequentialLR", "sequential", "sequential-lr", method="step")
loaded = of("LRScheduler", "scheduler", "step-lr-betas", method="load_state_dict")
linear_warm_up = of_function("linear_warm_up", "linear-warm-up")
warm_up_cosine = of_function("warm_up_cosine", "warm-up-cosine")
noam = of_function("noam", "noam")

FAULTS = [
    step("StepLR: decays at every step", "self.last_epoch // self.step_size", "self.last_epoch", cause="at every step"),
    step("StepLR: one step late", "(self.last_epoch //", "(max(self.last_epoch - 1, 0) //", cause="one step late"),
    step("StepLR: one step early", "(self.last_epoch //", "((self.last_epoch + 1) //", cause="one step early"),
    step("StepLR: times 1 - gamma", "self.gamma **", "(1 - self.gamma) **", cause="multiplies by 1 - gamma"),
    step("StepLR: divides", "self.gamma **", "(1 / self.gamma) **", cause="divides by gamma"),
    step(
        "StepLR: subtracts",
        "self.gamma ** (self.last_epoch // self.step_size)",
        "1 - (1 - self.gamma) * (self.last_epoch // self.step_size)",
        cause="subtracts gamma",
    ),
    step("StepLR: in shares of a step", "self.last_epoch // self.step_size", "self.last_epoch / self.step_size", cause=None),
    multi_step("MultiStepLR: one step late", "self.last_epoch)", "self.last_epoch - 1)", cause="one step late"),
    multi_step("MultiStepLR: one step early", "self.last_epoch)", "self.last_epoch + 1)", cause="one step early"),
    multi_step("MultiStepLR: twice the same milestone once", "self.milestones.elements()", "self.milestones", cause="comes twice"),
    multi_step(
        "MultiStepLR: decays once",
        "bisect_right(sorted(self.milestones.elements()), self.last_epoch)",
        "(self.last_epoch >= min(self.milestones))",
        cause="decays once, however",
    ),
    constant("ConstantLR: one step too long", "self.last_epoch < ", "self.last_epoch <= ", cause="one step too long"),
    constant("ConstantLR: one step too short", "self.last_epoch < ", "self.last_epoch + 1 < ", cause="one step too short"),
    constant("ConstantLR: never ends", "if self.last_epoch < self.total_iters else 1.0", "", cause="never ends"),
    constant("ConstantLR: after, not before", "self.last_epoch < ", "self.last_epoch >= ", cause="after total_iters, not before"),
    linear("LinearLR: one step ahead", "min(self.last_epoch /", "min((self.last_epoch + 1) /", cause="one step ahead"),
    linear(
        "LinearLR: does not stop",
        "min(self.last_epoch / self.total_iters, 1.0)",
        "self.last_epoch / self.total_iters",
        cause="does not stop",
    ),
    linear("LinearLR: total_iters less one", "/ self.total_iters", "/ (self.total_iters - 1)", cause="total_iters - 1"),
    linear(
        "LinearLR: turned round",
        "self.start_factor + (self.end_factor - self.start_factor) * share",
        "self.end_factor + (self.start_factor - self.end_factor) * share",
        cause="from end_factor to start_factor",
    ),
    linear("LinearLR: to the whole rate", "(self.end_factor -", "(1.0 -", cause="ends at the whole rate"),
    linear(
        "LinearLR: from 0",
        "self.start_factor + (self.end_factor - self.start_factor) * share",
        "self.end_factor * share",
        cause="begins at 0",
    ),
    exponential("ExponentialLR: one step ahead", "**self.last_epoch", "**(self.last_epoch + 1)", cause="one step ahead"),
    exponential("ExponentialLR: times 1 - gamma", "self.gamma**", "(1 - self.gamma)**", cause="multiplies by 1 - gamma"),
    exponential("ExponentialLR: decays once", "**self.last_epoch", "**min(self.last_epoch, 1)", cause="decays once"),
    exponential("ExponentialLR: e^-gamma", "self.gamma**", "math.exp(-self.gamma)**", cause="multiplies by e.-gamma"),
    polynomial("PolynomialLR: one step ahead", "min(self.last_epoch /", "min((self.last_epoch + 1) /", cause="one step ahead"),
    polynomial("PolynomialLR: power ignored", " ** self.power", "", cause="ignores power"),
    polynomial(
        "PolynomialLR: power of what is done",
        "(1 - min(self.last_epoch / self.total_iters, 1.0)) ** self.power",
        "1 - min(self.last_epoch / self.total_iters, 1.0) ** self.power",
        cause="of what is done",
    ),
    polynomial(
        "PolynomialLR: begins again",
        "min(self.last_epoch / self.total_iters, 1.0)",
        "self.last_epoch % self.total_iters / self.total_iters",
        cause="begins again",
    ),
    cosine("CosineAnnealingLR: T_max less one", "/ self.T_max", "/ (self.T_max - 1)", cause="T_max - 1"),
    cosine("CosineAnnealingLR: T_max for a whole wave", "/ self.T_max", "/ self.T_max / 2", cause="twice as long"),
    cosine(
        "CosineAnnealingLR: stays down",
        "self.last_epoch / self.T_max",
        "min(self.last_epoch / self.T_max, 1)",
        cause="stays at eta_min",
    ),
    cosine(
        "CosineAnnealingLR: restarts",
        "self.last_epoch / self.T_max",
        "self.last_epoch % self.T_max / self.T_max",
        cause="begins again at the top",
    ),
    cosine("CosineAnnealingLR: eta_min ignored", "self.eta_min", "0.0", cause="ignores eta_min"),
    cosine(
        "CosineAnnealingLR: eta_min added",
        "along_cosine(base_lr, self.eta_min,",
        "self.eta_min + along_cosine(base_lr, 0.0,",
        cause="adds eta_min",
    ),
    restarts(
        "CosineAnnealingWarmRestarts: one step late",
        "self.T_cur >= self.T_i",
        "self.T_cur > self.T_i",
        cause="restarts one step late",
    ),
    restarts("CosineAnnealingWarmRestarts: T_mult ignored", "self.T_i *= self.T_mult", "pass", cause="ignores T_mult"),
    restarts(
        "CosineAnnealingWarmRestarts: T_mult added", "self.T_i *= self.T_mult", "self.T_i += self.T_0", cause="T_0 steps longer"
    ),
    restarts_rate("CosineAnnealingWarmRestarts: eta_min ignored", "self.eta_min", "0.0", cause="ignores eta_min"),
    restarts_rate(
        "CosineAnnealingWarmRestarts: upside down",
        "(base_lr, self.eta_min,",
        "(self.eta_min, base_lr,",
        cause="goes up in each cycle",
    ),
    cyclic("CyclicLR: first cycle halved", "(n - 1)", "n", cause="halves the first cycle"),
    cyclic("CyclicLR: halved at every step", "0.5 ** (n - 1)", "0.5 ** self.last_epoch", cause="halves at every step"),
    cyclic("CyclicLR: mode ignored", "[self.mode]", '["triangular"]', cause="ignores mode"),
    cyclic_range(
        "CyclicLR: times gamma at every cycle", "self.gamma**n", "self.gamma**cycle", cause="at every cycle; it is at every step"
    ),
    of("CyclicLR", "cycle", "cyclic-lr", method="__init__")(
        "CyclicLR: step_size_down ignored",
        "step_size_up if step_size_down is None else step_size_down",
        "step_size_up",
        cause="ignores step_size_down",
    ),
    cyclic_momentum(
        "CyclicLR: momentum rises with the rate",
        "highest - (highest - base) * height",
        "base + (highest - base) * height",
        cause="goes the other way",
    ),
    cyclic_momentum("CyclicLR: momentum not cycled", "(highest - base) * height", "0 * base", cause="does not cycle the momentum"),
    one_cycle(
        "OneCycleLR: phases one step too long",
        "pct_start * total_steps - 1, total_steps - 1",
        "pct_start * total_steps, total_steps",
        cause="arrives one step late",
        cases=("one-cycle-lr",),
    ),
    one_cycle(
        "OneCycleLR: three_phase ignored",
        "if three_phase:",
        "if False:",
        cause="ignores three_phase",
        cases=("one-cycle-lr-linear",),
    ),
    one_cycle(
        "OneCycleLR: last rate from max_lr",
        'group["initial_lr"] / final_div_factor',
        "max_lrs[i] / final_div_factor",
        cause="divides max_lr by final",
    ),
    one_cycle(
        "OneCycleLR: final_div_factor ignored",
        'group["initial_lr"] / final_div_factor',
        'group["initial_lr"]',
        cause="ignores final_div_factor",
    ),
    one_cycle(
        "OneCycleLR: the other strategy",
        "self._anneal_func_type = total_steps, anneal_strategy",
        'self._anneal_func_type = total_steps, "cos" if anneal_strategy == "linear" else "linear"',
        cause="other anneal_strategy",
    ),
    one_cycle_momentum(
        "OneCycleLR: momentum rises with the rate",
        'self._now("momentum")',
        '[g["base_momentum"] + g["max_momentum"] - m for g, m in zip(self.optimizer.param_groups, self._now("momentum"))]',
        cause="goes the other way",
    ),
    one_cycle_momentum(
        "OneCycleLR: momentum not cycled",
        'self._now("momentum")',
        '[g["max_momentum"] for g in self.optimizer.param_groups]',
        cause="does not cycle the momentum",
    ),
    sequential(
        "SequentialLR: next schedule goes on at the number of all steps",
        "scheduler._go_to(0)",
        "scheduler._go_to(self.last_epoch)",
        cause="number of all steps",
    ),
    sequential(
        "SequentialLR: first step of the next schedule skipped",
        "scheduler._go_to(0)",
        "scheduler._go_to(1)",
        cause="skips the first step",
    ),
    linear_warm_up("linear_warm_up: from 0", "(step + 1) /", "step /", cause="begins at 0"),
    linear_warm_up(
        "linear_warm_up: does not stop", "min((step + 1) / warm_up_steps, 1.0)", "(step + 1) / warm_up_steps", cause="does not stop"
    ),
    linear_warm_up(
        "linear_warm_up: one step too many", "(step + 1) / warm_up_steps", "(step + 1) / (warm_up_steps + 1)", cause="one step more"
    ),
    linear_warm_up("linear_warm_up: one step too few", "(step + 1) /", "(step + 2) /", cause="one step fewer"),
    warm_up_cosine("warm_up_cosine: from 0", "(step + 1) /", "step /", cause="begins at 0"),
    warm_up_cosine("warm_up_cosine: no warm-up", "if step < warm_up_steps:", "if False:", cause=None),
    warm_up_cosine(
        "warm_up_cosine: cosine from step 0", "min((step - warm_up_steps)", "min(step", cause="begins the cosine at step 0"
    ),
    warm_up_cosine(
        "warm_up_cosine: total_steps after the warm-up",
        "(total_steps - warm_up_steps)",
        "total_steps",
        cause="for those after the warm-up",
    ),
    warm_up_cosine("warm_up_cosine: lowest ignored", "return lowest + (1 - lowest) * (1", "return (1", cause="ignores lowest"),
    noam(
        "noam: steps from 0",
        "(step + 1) ** -0.5, (step + 1) *",
        "max(step, 1e-300) ** -0.5, step *",
        cause="counts the steps from 0",
    ),
    noam("noam: no d_model", "d_model**-0.5 *", "", cause="leaves out d_model"),
    noam("noam: d_model upside down", "d_model**-0.5", "d_model**0.5", cause="multiplies by √d_model"),
    noam("noam: the larger", "min(", "max(", cause="the larger of the two"),
    noam(
        "noam: no warm-up",
        "min((step + 1) ** -0.5, (step + 1) * warm_up_steps**-1.5)",
        "(step + 1) ** -0.5",
        cause="leaves the warm-up out",
    ),
    loaded("LRScheduler: last_epoch lost", "for name in own}", "for name in own if name != 'last_epoch'}", cause=None),
    loaded("LRScheduler: base_lrs lost", "for name in own}", "for name in own if name != 'base_lrs'}", cause=None),
    loaded(
        "LRScheduler: length of the cycle lost",
        "for name in own}",
        "for name in own if name != 'T_i'}",
        cases=("restarts-lr-betas",),
        cause=None,
    ),
    of("LRScheduler", "scheduler", "step-lr-betas", method="_write")(
        "LRScheduler: last rates are the first", "= rates", "= self._last_lr or rates", cause="first step from get_last_lr"
    ),
    of("LRScheduler", "scheduler", "cyclic-lr-restarted", method="__init__")(
        "LRScheduler: restarted at the step before", "= last_epoch", "= max(last_epoch - 1, -1)", cause=None
    ),
    of("CosineAnnealingWarmRestarts", "cosine", "restarts-lr-epochs", method="step")(
        "CosineAnnealingWarmRestarts: whole epochs only", "= epoch, self.T_0", "= math.floor(epoch), self.T_0", cause=None
    ),
    of("CycleLR", "cycle", "cyclic-lr-betas", method="_write")(
        "CycleLR: both betas cycled", '*group["betas"][1:]', "momentum", cause="is what momentum"
    ),
    of("SequentialLR", "sequential", "sequential-lr-betas", method="load_state_dict")(
        "SequentialLR: states of its schedules not loaded", "scheduler.load_state_dict(state)", "pass", cause=None
    ),
]
