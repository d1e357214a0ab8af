"""Dropout masks that PyTorch draws from a given source of noise, so that both backends can have the same.

scratch takes its noise from scratch.random.use_generator; what is given here to PyTorch has the same form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch

from scratch.module import Array

Uniform = Callable[[tuple[int, ...]], Array]  # a shape to uniform numbers in [0, 1), as numpy.random.Generator.random

kernels: Any = torch._VF
RECURRENT_KERNELS = ("rnn_tanh", "rnn_relu", "lstm", "gru")


@contextmanager
def shared_noise(random: Uniform) -> Iterator[None]:
    """Inside the block, PyTorch's dropout keeps where `random` gives p or more, as scratch's does."""

    def dropout(input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
        if not training or p == 0:
            return input
        keep = torch.from_numpy(random(tuple(input.shape)) >= p).to(input.device)
        return input * keep / (1 - p) if p < 1 else input * 0

    with ExitStack() as stack:
        stack.enter_context(patch.object(torch.nn.functional, "dropout", dropout))
        for name in RECURRENT_KERNELS:
            stack.enter_context(patch.object(kernels, name, _layer_by_layer(getattr(kernels, name)), create=True))
        yield


def _layer_by_layer(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """A recurrent kernel of torch whose dropout between layers is torch.nn.functional.dropout.

    Packed sequences keep the kernel's own: their elements lie in another order.
    """

    def run(x: torch.Tensor, hx: Any, weights: Any, *options: Any) -> Any:
        if len(options) < 6 or not isinstance(weights, list | tuple):
            return kernel(x, hx, weights, *options)
        biases, layers, p, training, both, batch_first = options
        if not training or p == 0 or layers == 1:
            return kernel(x, hx, weights, *options)
        rows, each = (2 if both else 1), len(weights) // layers
        ends = []
        for layer in range(layers):
            part = slice(layer * rows, (layer + 1) * rows)
            states = hx[part] if isinstance(hx, torch.Tensor) else tuple(state[part] for state in hx)
            x = torch.nn.functional.dropout(x, p) if layer else x
            x, *end = kernel(x, states, weights[layer * each : (layer + 1) * each], biases, 1, 0.0, True, both, batch_first)
            ends.append(end)
        return x, *(torch.cat(parts) for parts in zip(*ends, strict=True))

    return run
