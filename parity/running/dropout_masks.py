"""Dropout masks that PyTorch draws from a given source of random numbers, so that both backends use the same masks.

scratch takes its random numbers from scratch.random.use_generator; PyTorch gets them here in the same form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

import torch
from torch.overrides import handle_torch_function, has_torch_function

from scratch.module import Array

Uniform = Callable[[tuple[int, ...]], Array]  # a shape to uniform numbers in [0, 1), as numpy.random.Generator.random

kernels: Any = torch._VF
attention_kernel = torch.nn.functional.scaled_dot_product_attention
RECURRENT_KERNELS = ("rnn_tanh", "rnn_relu", "lstm", "gru")


@contextmanager
def shared_noise(random: Uniform) -> Iterator[None]:
    """Inside the block, PyTorch's dropout keeps a number where `random` gives p or more, as scratch's does."""

    def dropout(input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
        if not training or p == 0:
            return input
        keep = torch.from_numpy(random(tuple(input.shape)) >= p).to(input.device)
        return input * keep / (1 - p) if p < 1 else input * 0

    with ExitStack() as stack:
        stack.enter_context(patch.object(torch.nn.functional, "dropout", _overridable(dropout)))
        stack.enter_context(patch.object(torch.nn.functional, "scaled_dot_product_attention", _attention))
        for name in RECURRENT_KERNELS:
            kernel = getattr(kernels, name)
            stack.enter_context(patch.object(kernels, name, _overridable(wraps(kernel)(_layer_by_layer(kernel))), create=True))
        yield


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """Compute attention with torch.nn.functional.dropout of the weights; attention to an identity matrix gives the weights."""
    options: dict[str, Any] = dict(attn_mask=attn_mask, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa)
    if dropout_p == 0:
        return attention_kernel(query, key, value, **options)
    S = key.shape[-2]
    ones = torch.eye(S, dtype=key.dtype, device=key.device).expand(*key.shape[:-1], S)
    weights = torch.nn.functional.dropout(attention_kernel(query, key, ones, **options), dropout_p)
    each = query.shape[-3] // key.shape[-3] if enable_gqa else 1
    return weights @ (value.repeat_interleave(each, -3) if each > 1 else value)


def _overridable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function so that a TorchFunctionMode can override it like torch's own functions."""

    @wraps(function)
    def call(x: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        if has_torch_function((x,)):
            return handle_torch_function(call, (x,), x, *arguments, **options)
        return function(x, *arguments, **options)

    return call


def _layer_by_layer(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Return a recurrent kernel of torch with torch.nn.functional.dropout between its layers."""

    def run(x: torch.Tensor, *arguments: Any) -> Any:
        packed = isinstance(arguments[0], torch.Tensor) and not arguments[0].is_floating_point()
        sizes, rest = (arguments[:1], arguments[1:]) if packed else ((), arguments)
        hx, weights, biases, layers, p, training, both, *batch_first = rest
        if not training or p == 0 or layers == 1:
            return kernel(x, *arguments)
        rows, each = (2 if both else 1), len(weights) // layers
        ends = []
        for layer in range(layers):
            part = slice(layer * rows, (layer + 1) * rows)
            states = hx[part] if isinstance(hx, torch.Tensor) else tuple(state[part] for state in hx)
            x = torch.nn.functional.dropout(x, p) if layer else x
            own = weights[layer * each : (layer + 1) * each]
            x, *end = kernel(x, *sizes, states, own, biases, 1, 0.0, True, both, *batch_first)
            ends.append(end)
        return x, *(torch.cat(parts) for parts in zip(*ends, strict=True))

    return run
