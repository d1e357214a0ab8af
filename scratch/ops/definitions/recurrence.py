"""The walk of a recurrent op through time, and back (backpropagation through time: Werbos 1990)."""

from collections.abc import Callable

import numpy as np

from scratch.module import Array, Backward

Step = Callable[..., tuple[tuple[Array, ...], Backward]]


def through_time(step: Step, x: Array, states: tuple[Array, ...], counts: Array | None) -> tuple[tuple[Array, ...], Backward]:
    """Run `step` for each time step of x (T, B, I), for the first counts[t] rows; the other rows keep their states.

    step(x_t, *states) returns the new states, of which the first is y_t, and a backward. That takes the gradients of the new
    states and returns those of x_t, of the old states and of the weights: (dx_t, dstates, dweights).
    """
    y, rows = np.zeros((*x.shape[:2], states[0].shape[1]), x.dtype), [len(s) for s in x] if counts is None else counts.tolist()
    backwards = []
    for t, n in enumerate(rows):
        new, step_backward = step(x[t, :n], *(state[:n] for state in states))
        states = tuple(np.concatenate([after, before[n:]]) for after, before in zip(new, states, strict=True))
        y[t, :n] = new[0]
        backwards.append(step_backward)

    def backward(dy: Array, *dstates: Array) -> tuple[Array | None, ...]:
        dx, total, ds = np.zeros_like(x), None, dstates
        for t, n in reversed(list(enumerate(rows))):
            dh, *others = (d[:n] for d in ds)
            dx[t, :n], before, dweights = backwards[t](dh + dy[t, :n], *others)
            ds = tuple(np.concatenate([d, after[n:]]) for d, after in zip(before, ds, strict=True))
            total = dweights if total is None else [a if a is None else a + b for a, b in zip(total, dweights, strict=True)]
        return dx, *ds, *(total or ())

    return (y, *states), backward
