"""Optimisers, gradient clipping and schedules."""

import math

import numpy as np

from parity_tests.variants.variant import variant


def _gradient(data, grad, group):
    """Return the gradient with its sign and, unless it is decoupled, with the weight decay."""
    grad = -grad if group["maximize"] else grad
    if group["weight_decay"] and not group.get("decoupled_weight_decay"):
        grad = grad + data.dtype.type(group["weight_decay"]) * data
    return grad


def _moments(data, state, names):
    """Make the state at the first step; return the number of this step."""
    if not state:
        state["step"] = np.zeros((), np.float32)
        state.update({name: np.zeros_like(data) for name in names})
    state["step"] = state["step"] + np.float32(1)
    return int(state["step"])


def _decay(data, group):
    if group["weight_decay"] and group.get("decoupled_weight_decay"):
        data -= data.dtype.type(group["lr"] * group["weight_decay"]) * data


@variant("optim.Adam.update", also="adamw*")
def adam_of_the_textbook(self, data, grad, state, group):
    """Compute m̂ and v̂, and p - lr m̂ / (√v̂ + eps), as in algorithm 1."""
    (beta1, beta2), grad = group["betas"], _gradient(data, grad, group)
    t = _moments(data, state, self.state_names(group)[1:])
    _decay(data, group)
    m = state["exp_avg"] = (beta1 * state["exp_avg"] + (1 - beta1) * grad).astype(data.dtype)
    v = state["exp_avg_sq"] = (beta2 * state["exp_avg_sq"] + (1 - beta2) * grad**2).astype(data.dtype)
    if group["amsgrad"]:
        v = state["max_exp_avg_sq"] = np.maximum(state["max_exp_avg_sq"], v)
    m_hat, v_hat = m / data.dtype.type(1 - beta1**t), v / data.dtype.type(1 - beta2**t)
    data -= data.dtype.type(group["lr"]) * m_hat / (np.sqrt(v_hat) + data.dtype.type(group["eps"]))


@variant("optim.Adam.update", also="adamw*")
def adam_by_steps_to_the_gradient(self, data, grad, state, group):
    """Move the means a share of the way to the new number, and correct the step size, as torch does."""
    (beta1, beta2), grad = group["betas"], _gradient(data, grad, group)
    t = _moments(data, state, self.state_names(group)[1:])
    _decay(data, group)
    m, v = state["exp_avg"], state["exp_avg_sq"]
    m[...], v[...] = _on_the_way(m, grad, beta1), _on_the_way(v, grad * grad, beta2)
    if group["amsgrad"]:
        np.maximum(state["max_exp_avg_sq"], v, out=state["max_exp_avg_sq"])
        v = state["max_exp_avg_sq"]
    root = np.sqrt(v) / data.dtype.type(math.sqrt(1 - beta2**t)) + data.dtype.type(group["eps"])
    data -= data.dtype.type(group["lr"] / (1 - beta1**t)) * (m / root)


def _on_the_way(start, end, kept):
    """Return the number at a share of 1 - kept from start to end, computed from the nearer of both, so that no digits are lost."""
    kept, moved = (start.dtype.type(share) for share in (kept, 1 - kept))
    return start + moved * (end - start) if kept > 0.5 else end - kept * (end - start)


@variant("optim.Adam.update", also="adamw*")
def adam_in_float64(self, data, grad, state, group):
    """Update in float64 and cast back."""
    wide_state = {name: value if name == "step" else value.astype(np.float64) for name, value in state.items()}
    wide = data.astype(np.float64)
    adam_of_the_textbook(self, wide, grad.astype(np.float64), wide_state, group)
    state.update({name: value if name == "step" else value.astype(data.dtype) for name, value in wide_state.items()})
    data[...] = wide


@variant("optim.SGD.update")
def sgd_of_whole_arrays(self, data, grad, state, group):
    """Write each line of the definition over the whole arrays."""
    grad, momentum = _gradient(data, grad, group), data.dtype.type(group["momentum"])
    if momentum:
        share = data.dtype.type(1 - group["dampening"])
        buffer = grad.copy() if "momentum_buffer" not in state else momentum * state["momentum_buffer"] + share * grad
        state["momentum_buffer"] = buffer
        grad = grad + momentum * buffer if group["nesterov"] else buffer
    data -= data.dtype.type(group["lr"]) * grad


@variant("optim.SGD.update", only="sgd sgd-decay* sgd-momentum sgd-dampening sgd-nesterov sgd-groups")
def sgd_number_by_number(self, data, grad, state, group):
    """Loop over the numbers with Python's floats, which have all digits of float64."""
    grad, momentum, first = _gradient(data, grad, group), group["momentum"], "momentum_buffer" not in state
    if momentum and first:
        state["momentum_buffer"] = np.zeros_like(data)
    for at in np.ndindex(data.shape):
        step = float(grad[at])
        if momentum:
            buffer = step if first else momentum * float(state["momentum_buffer"][at]) + (1 - group["dampening"]) * step
            state["momentum_buffer"][at] = buffer
            step = step + momentum * buffer if group["nesterov"] else buffer
        data[at] = float(data[at]) - group["lr"] * step


def _with_gradients(parameters):
    parameters = parameters if hasattr(parameters, "__iter__") else [parameters]
    return [parameter for parameter in parameters if parameter.grad is not None]


def _scaled(held, total, max_norm):
    for parameter in held:
        if max_norm / (total + 1e-6) < 1:
            parameter.grad = np.asarray(parameter.grad * parameter.grad.dtype.type(max_norm / (total + 1e-6)))
    return total


@variant("optim.clip_grad_norm_", but="*-not-finite")
def clip_grad_norm_of_one_vector(parameters, max_norm, norm_type=2.0):
    """Join all gradients to one vector."""
    held = _with_gradients(parameters)
    vector = np.concatenate([np.zeros(1), *(p.grad.ravel().astype(np.float64) for p in held)])
    return _scaled(held, float(np.linalg.norm(vector, norm_type)), max_norm)


@variant("optim.clip_grad_norm_", but="*-not-finite")
def clip_grad_norm_by_sums_of_powers(parameters, max_norm, norm_type=2.0):
    """Add the powers of all gradients, and take the root at the end."""
    held = _with_gradients(parameters)
    sizes = [np.abs(p.grad.astype(np.float64)) for p in held]
    if norm_type == math.inf:
        return _scaled(held, max((float(size.max(initial=0)) for size in sizes), default=0.0), max_norm)
    return _scaled(held, math.fsum(float((size**norm_type).sum()) for size in sizes) ** (1 / norm_type), max_norm)


@variant("optim.clip_grad_value_")
def clip_grad_value_by_minimum(parameters, clip_value):
    """Use minimum and maximum."""
    for parameter in _with_gradients(parameters):
        limit = parameter.grad.dtype.type(clip_value)
        parameter.grad = np.asarray(np.maximum(np.minimum(parameter.grad, limit), -limit))


@variant("optim.lr_scheduler.CosineAnnealingLR.get_lr")
def cosine_by_square_of_sine(self):
    """Compute (1 - cos) / 2 as the square of a sine."""
    fall = math.sin(math.pi * self.last_epoch / self.T_max / 2) ** 2
    return [base - (base - self.eta_min) * fall for base in self.base_lrs]


@variant("optim.lr_scheduler.CosineAnnealingWarmRestarts.get_lr")
def restarts_by_square_of_cosine(self):
    """Compute (1 + cos) / 2 as the square of a cosine."""
    height = math.cos(math.pi * self.T_cur / (2 * self.T_i)) ** 2
    return [self.eta_min * (1 - height) + base * height for base in self.base_lrs]


@variant("optim.lr_scheduler.ExponentialLR.multiplier")
def exponential_by_products(self):
    """Multiply step after step."""
    return math.prod([self.gamma] * self.last_epoch)


@variant("optim.lr_scheduler.StepLR.multiplier")
def step_by_products(self):
    """Multiply at each step that is a multiple of the step size."""
    factor = 1.0
    for step in range(1, self.last_epoch + 1):
        factor *= self.gamma if step % self.step_size == 0 else 1
    return factor


@variant("optim.lr_scheduler.MultiStepLR.multiplier")
def milestones_by_products(self):
    """Multiply once for each milestone that has passed."""
    return math.prod(self.gamma**count for milestone, count in self.milestones.items() if milestone <= self.last_epoch)


@variant("optim.lr_scheduler.LinearLR.multiplier")
def linear_as_a_weighted_mean(self):
    """Weigh start and end by the steps that are left and done."""
    done = min(self.last_epoch, self.total_iters)
    return (self.start_factor * (self.total_iters - done) + self.end_factor * done) / self.total_iters


@variant("optim.lr_scheduler.PolynomialLR.multiplier")
def polynomial_of_steps_left(self):
    """Take the power of the steps that are left, and of all steps."""
    return max(self.total_iters - self.last_epoch, 0) ** self.power / self.total_iters**self.power


@variant("optim.lr_scheduler.noam")
def noam_by_cases(d_model, warm_up_steps):
    """Choose between warm-up and decay by the number of the step."""

    def factor(step):
        n = step + 1
        return n / warm_up_steps / math.sqrt(d_model * warm_up_steps) if n < warm_up_steps else 1 / math.sqrt(d_model * n)

    return factor


@variant("optim.lr_scheduler.warm_up_cosine")
def warm_up_cosine_by_square(warm_up_steps, total_steps, lowest=0.0):
    """Compute (1 + cos) / 2 as the square of a cosine."""

    def factor(step):
        if step + 1 <= warm_up_steps:
            return (step + 1) / warm_up_steps
        share = min(step - warm_up_steps, total_steps - warm_up_steps) / (total_steps - warm_up_steps)
        height = math.cos(math.pi / 2 * share) ** 2
        return height + lowest * (1 - height)

    return factor
