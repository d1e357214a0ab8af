"""Adam and AdamW."""

import math
from collections.abc import Iterable

import numpy as np

from scratch.module import Array, Parameter
from scratch.optim.optimizer import Group, Optimizer, State, at_least_zero, over_pieces


class Adam(Optimizer):
    """Gradient descent with running means of the gradient g and of its square (Kingma & Ba 2015).

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g²
        p = p - lr * m̂ / (√v̂ + eps)      m̂ = m / (1 - beta1^t),  v̂ = v / (1 - beta2^t) at step t

    This is algorithm 1. With `maximize`, g is negated. Weight decay adds weight_decay * p to g. If decoupled, as in AdamW
    (Loshchilov & Hutter 2019, algorithm 2), it subtracts lr * weight_decay * p from p instead. With amsgrad, v̂ is computed from
    the largest v so far (Reddi, Kale & Kumar 2018).
    """

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ):
        super().__init__(
            params,
            dict(
                lr=lr,
                betas=betas,
                eps=eps,
                weight_decay=weight_decay,
                amsgrad=amsgrad,
                maximize=maximize,
                decoupled_weight_decay=decoupled_weight_decay,
            ),
        )

    def check(self, group: Group) -> None:
        at_least_zero(self._name, group, "lr", "eps", "weight_decay")
        if not all(0 <= beta < 1 for beta in group["betas"]):
            raise ValueError(f"{self._name}: betas are {group['betas']!r}, expected each at least 0 and below 1")

    def state_names(self, group: Group) -> tuple[str, ...]:
        return ("step", "exp_avg", "exp_avg_sq", *["max_exp_avg_sq"] * group["amsgrad"])

    def update(self, data: Array, grad: Array, state: State, group: Group) -> None:
        lr, eps, weight_decay = float(group["lr"]), float(group["eps"]), float(group["weight_decay"])
        beta1, beta2 = group["betas"]
        _, *moments = self.state_names(group)
        if not state:
            state["step"] = np.zeros((), np.float32)
            state.update({name: np.zeros_like(data) for name in moments})
        state["step"] += 1
        t = float(state["step"])
        # lr * m̂ / (√v̂ + eps), with the corrections applied to numbers, not to arrays, as at the end of the paper's section 2
        root = math.sqrt(1 - beta2**t)
        corrected_lr, corrected_eps = lr * root / (1 - beta1**t), eps * root

        def move(p: Array, g: Array, m: Array, v: Array, *rest: Array) -> None:
            *v_max, temporary, spare = rest
            if group["maximize"]:
                g = np.negative(g, out=spare)
            if weight_decay and group["decoupled_weight_decay"]:
                p *= 1 - lr * weight_decay
            elif weight_decay:
                g = np.add(g, np.multiply(p, weight_decay, out=temporary), out=spare)
            m *= beta1
            m += np.multiply(g, 1 - beta1, out=temporary)
            v *= beta2
            square = np.multiply(g, g, out=temporary)
            square *= 1 - beta2
            v += square
            if group["amsgrad"]:
                v = np.maximum(v, v_max[0], out=v_max[0])
            step = np.sqrt(v, out=temporary)
            step += corrected_eps
            np.divide(m, step, out=step)
            step *= corrected_lr
            p -= step

        over_pieces(move, data, grad, *(state[name] for name in moments), temporaries=2)


class AdamW(Adam):
    """Adam with decoupled weight decay: each step subtracts lr * weight_decay * p from p."""

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)

    def check(self, group: Group) -> None:
        super().check(group)
        if not group["decoupled_weight_decay"]:
            raise ValueError("AdamW: decoupled_weight_decay is False in a group, expected True; use Adam")
