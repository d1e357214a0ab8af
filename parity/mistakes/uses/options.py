"""Mistakes in the options of a function: an option is left out, swapped, or has a popular other value."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch.nn.functional as F
from torch import Tensor

OTHER_VALUES: dict[str, tuple[float, ...]] = {
    "eps": (0.0, 1e-12, 1e-8, 1e-7, 1e-6, 1e-5, 1e-3),
    "negative_slope": (0.0, 0.02, 0.1, 0.2, 0.3),
    "align_corners": (True,),
    "dim": (0, 1, 2, 3),
    "padding_idx": (0,),
    "kernel_size": (2, 3),
    "stride": (2,),
}

# the signatures of torch's built-in functions, which Python cannot inspect
SIGNATURES: dict[str, Callable[..., Any]] = {
    "adaptive_avg_pool2d": lambda input, output_size: None,
    "avg_pool2d": lambda input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, *divisor: None,
    "conv2d": lambda input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1: None,
    "conv_transpose2d": lambda input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1: None,
    "flatten": lambda input, start_dim=0, end_dim=-1: None,
    "gelu": lambda input, approximate="none": None,
    "linear": lambda input, weight, bias=None: None,
    "max_pool2d": lambda input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False: None,
    "scaled_dot_product_attention": lambda query, key, value, attn_mask=None, *, is_causal=False, scale=None, **others: None,
}
NOT_CHANGED = {"inplace", "size_average", "reduce", "divisor", "ceil_mode", "dtype", "_stacklevel", "return_indices", "antialias"}
MAY_BE_NONE = {"stride", "padding_idx", "eps"}


def other_options(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Iterator[tuple[str, Callable[..., Tensor]]]:
    """Yield a message for each other value of an option, and the function with this value."""
    function = getattr(F, name, None)
    signature = _signature(name)
    if function is None or signature is None:
        return
    try:
        bound = signature.bind(*arguments, **options)
    except TypeError:  # the method of a tensor that has the function's name
        return
    bound.apply_defaults()
    for key, parameter in signature.parameters.items():
        if key in NOT_CHANGED or (parameter.default is inspect.Parameter.empty and key not in OTHER_VALUES):
            continue
        for message, other in _other_values(key, bound.arguments[key], parameter.default):
            yield message, _calling(function, signature, key, other)


def _other_values(key: str, value: Any, default: Any) -> Iterator[tuple[str, Any]]:
    """Yield a message for each other value of an option, and the value."""
    if isinstance(value, Tensor):
        if default is None:
            yield f"leaves {key} out", None
        return
    tried = {repr(value)}
    if isinstance(value, tuple) and len(set(value)) > 1:
        tried.add(repr(value[::-1]))
        yield f"swaps the height and the width of {key}, {value}", value[::-1]
    for other in (default, *OTHER_VALUES.get(key, ()), *((not value,) if isinstance(value, bool) else ())):
        unfit = other is inspect.Parameter.empty or (other is None and key not in MAY_BE_NONE)
        if unfit or repr(other) in tried or _same(value, other):
            continue
        tried.add(repr(other))
        if other == default:
            yield f"ignores {key} = {value!r}: uses the default, {other!r}", other
        else:
            this, that = (f"{v:g}" if isinstance(value, float) else repr(v) for v in (other, value))
            yield f"uses {key} = {this} instead of {that}", other


def _signature(name: str) -> inspect.Signature | None:
    if name in SIGNATURES:
        return inspect.signature(SIGNATURES[name])
    try:
        return inspect.signature(getattr(F, name))
    except (AttributeError, TypeError, ValueError):
        return None


def _calling(function: Callable[..., Any], signature: inspect.Signature, key: str, value: Any) -> Callable[..., Tensor]:
    def changed(*arguments: Any, **options: Any) -> Tensor:
        bound = signature.bind(*arguments, **options)
        bound.arguments[key] = value
        return function(*bound.args, **bound.kwargs)

    return changed


def _same(value: Any, other: Any) -> bool:
    """Return whether two ways to write an option mean the same: 1 and (1, 1)."""
    return value == other or (isinstance(value, tuple) and all(v == other for v in value))
