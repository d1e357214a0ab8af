"""Stochastic gradient descent."""

from collections.abc import Iterable

import numpy as np

from scratch.module import Array, Parameter
from scratch.optim.optimizer import Group, Optimizer, State, at_least_zero, over_pieces


class SGD(Optimizer):
    """Gradient descent with momentum.

        b = momentum * b + (1 - dampening) * g  at the first step, b = g
        p = p - lr * b                          with nesterov, p - lr * (g + momentum * b)

    Here g is the gradient plus weight_decay * p; with `maximize`, the gradient is negated. Without momentum, p = p - lr * g.
    Nesterov's form is that of Sutskever, Martens, Dahl & Hinton 2013, with lr outside b as in torch.optim.SGD.
    """

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[Group],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov, maximize=maximize),
        )

    def check(self, group: Group) -> None:
        at_least_zero("SGD", group, "lr", "momentum", "weight_decay")
        momentum, dampening = group["momentum"], group["dampening"]
        if group["nesterov"] and (momentum == 0 or dampening != 0):
            raise ValueError(f"SGD: nesterov needs momentum above 0 and dampening 0, got {momentum!r} and {dampening!r}")

    def state_names(self, group: Group) -> tuple[str, ...]:
        return ("momentum_buffer",)

    def update(self, data: Array, grad: Array, state: State, group: Group) -> None:
        lr, momentum, dampening, weight_decay = (float(group[name]) for name in ("lr", "momentum", "dampening", "weight_decay"))
        first = "momentum_buffer" not in state
        if momentum and first:
            state["momentum_buffer"] = np.empty_like(data)
        buffers = [state["momentum_buffer"]] if momentum else []

        def move(p: Array, g: Array, *rest: Array) -> None:
            *b, temporary, spare = rest
            if group["maximize"]:
                g = np.negative(g, out=spare)
            if weight_decay:
                g = np.add(g, np.multiply(p, weight_decay, out=temporary), out=spare)
            if momentum:
                if first:
                    b[0][...] = g
                else:
                    b[0] *= momentum
                    b[0] += np.multiply(g, 1 - dampening, out=temporary) if dampening else g
                g = np.add(g, np.multiply(b[0], momentum, out=temporary), out=spare) if group["nesterov"] else b[0]
            p -= np.multiply(g, lr, out=temporary)

        over_pieces(move, data, grad, *buffers, temporaries=2)
