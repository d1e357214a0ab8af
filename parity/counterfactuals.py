"""References that are wrong on purpose: the mistakes that people make, each in one line of torch.

If a scratch twin equals one of these to rounding, then that is what it computes. Each stands in for a function of
torch.nn.functional while the reference runs again, so that it serves the function itself and every layer built on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Wrong = Callable[..., Tensor]
EPSILONS = (0.0, 1e-12, 1e-8, 1e-7, 1e-6, 1e-5, 1e-3)

# The functions as they are, before anything is patched.
_batch_norm, _conv2d, _linear, _gelu = F.batch_norm, F.conv2d, F.linear, F.gelu
_avg_pool2d, _smooth_l1_loss = F.avg_pool2d, F.smooth_l1_loss
_cross_entropy, _nll_loss, _bce = F.cross_entropy, F.nll_loss, F.binary_cross_entropy_with_logits
_softmax, _log_softmax, _leaky_relu = F.softmax, F.log_softmax, F.leaky_relu


def counterfactuals() -> Iterator[tuple[str, str, Wrong]]:
    """(name in torch.nn.functional, what it does wrong, the wrong function)."""
    for name, entries in TABLE.items():
        yield from ((name, text, wrong) for text, wrong in entries)


def _batch_norm_with(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    change: str,
) -> Tensor:
    """Batch normalisation spelt out, with one change."""
    axes = [0, *range(2, input.dim())]
    count = input.numel() // input.shape[1]
    along = [1, -1, *[1] * (input.dim() - 2)]
    mean, var = input.mean(axes), input.var(axes, correction=0)
    if running_mean is not None and running_var is not None:
        if training and change != "keeps statistics":
            share = 1 - momentum if change == "momentum" else momentum
            spread = var * (1 if change in ("biased running_var", "correction twice") else count / (count - 1))
            spread = spread * (count / (count - 1)) ** 2 if change == "correction twice" else spread
            spread = (spread + eps).sqrt() if change == "running std" else spread
            with torch.no_grad():
                running_mean.mul_(1 - share).add_(mean * share)
                running_var.mul_(1 - share).add_(spread * share)
        if (not training) != (change == "other statistics"):
            mean, var = running_mean.clone(), running_var.clone()
    if change == "unbiased":
        var = var * count / (count - 1)
    if change in ("mean constant", "both constant"):
        mean = mean.detach()
    if change in ("variance constant", "both constant"):
        var = var.detach()
    inverse = 1 / (var.sqrt() + eps) if change == "eps outside" else (var + eps).rsqrt()
    inverse = 1 / (var + eps) if change == "no root" else inverse
    y = (input - mean.view(along)) * inverse.view(along)
    weight = None if change == "no weight" else weight
    bias = None if change == "no bias" else bias
    y = y if weight is None else y * weight.view(along)
    return y if bias is None else y + bias.view(along)


def _batch_norm_eps(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    eps_instead: float,
) -> Tensor:
    return _batch_norm_with(input, running_mean, running_var, weight, bias, training, momentum, eps_instead, change="")


def _conv2d_with(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    change: str,
) -> Tensor:
    """Convolution with one change; where the change alters the output's size, it is no candidate."""
    stride, padding, dilation = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation))
    (ph, pw), C = padding, input.shape[1]
    if change == "flipped":
        weight = weight.flip(-1, -2)
    elif change == "transposed":
        weight = weight.transpose(-1, -2)
    elif change == "no bias":
        bias = None
    elif change == "stride swapped":
        stride = stride[::-1]
    elif change == "padding swapped":
        padding = padding[::-1]
    elif change == "dilation swapped":
        dilation = dilation[::-1]
    elif change == "padding after":
        input, padding = F.pad(input, (0, 2 * pw, 0, 2 * ph)), (0, 0)
    elif change == "padding before":
        input, padding = F.pad(input, (2 * pw, 0, 2 * ph, 0)), (0, 0)
    elif change == "replicated":
        input, padding = F.pad(input, (pw, pw, ph, ph), mode="replicate"), (0, 0)
    elif change == "inputs interleaved":
        input = input.unflatten(1, (C // groups, groups)).transpose(1, 2).flatten(1, 2)
    elif change == "outputs interleaved":
        y = _conv2d(input, weight, None, stride, padding, dilation, groups)
        y = y.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)
        return y if bias is None else y + bias.view(-1, 1, 1)
    return _conv2d(input, weight, bias, stride, padding, dilation, groups)


def _windows(input: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, value: float) -> Tensor:
    """The windows of a pooling as (..., C, OH, OW, KH * KW)."""
    (kh, kw), (ph, pw), (dh, dw) = (v if isinstance(v, tuple) else (v, v) for v in (kernel_size, padding, dilation))
    stride = kernel_size if stride is None else stride
    sh, sw = stride if isinstance(stride, tuple) else (stride, stride)
    padded = F.pad(input, (pw, pw, ph, ph), value=value)
    windows = padded.unfold(-2, dh * (kh - 1) + 1, sh).unfold(-2, dw * (kw - 1) + 1, sw)
    return windows[..., ::dh, ::dw].flatten(-2)


def _max_pool2d_with(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *options: Any,
    change: str,
    **rest: Any,
) -> Tensor:
    """Max-pooling with one change."""
    windows = _windows(input, kernel_size, stride, padding, dilation, 0.0 if change == "zero padding" else float("-inf"))
    if change == "shared":
        return windows.amax(-1)  # whose gradient torch shares equally among equal maxima
    highest = windows.max(-1, keepdim=True).values
    if change == "all":
        ties = (windows == highest).sum(-1)
        y = windows.amax(-1)
        return y * ties - (y * ties - y).detach()
    if change == "last":
        last = windows.shape[-1] - 1 - (windows == highest).flip(-1).int().argmax(-1, keepdim=True)
        return windows.gather(-1, last).squeeze(-1)
    return windows.gather(-1, (windows == highest).int().argmax(-1, keepdim=True)).squeeze(-1)


def _avg_pool2d_with(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    return _avg_pool2d(input, kernel_size, stride, padding, ceil_mode, not count_include_pad)


def _cross_entropy_with(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    change: str,
) -> Tensor:
    """Cross-entropy with one change."""
    options: dict[str, Any] = {"weight": weight, "ignore_index": ignore_index, "reduction": reduction, "label_smoothing": label_smoothing}
    if change == "no weight":
        return _cross_entropy(input, target, **options | {"weight": None})
    if change == "no smoothing":
        return _cross_entropy(input, target, **options | {"label_smoothing": 0.0})
    if change == "nothing ignored":
        return _cross_entropy(input, target, **options | {"ignore_index": -100})
    if change == "smoothing to others" and not target.is_floating_point():
        C = input.shape[1]
        spread = label_smoothing * C / (C - 1)
        return _cross_entropy(input, target, **options | {"label_smoothing": spread})
    if change == "smoothing added" and not target.is_floating_point():
        plain = _cross_entropy(input, target, **options | {"label_smoothing": 0.0})
        smooth = _cross_entropy(input, target, **options)
        return smooth + label_smoothing * plain
    if reduction == "mean" and not target.is_floating_point():
        total = _cross_entropy(input, target, **options | {"reduction": "sum"})
        if change == "divided by all":
            return total / target.numel()
        if change == "divided by batch":
            return total / target.shape[0]
        if change == "divided by counted":
            return total / (target != ignore_index).sum()
    if reduction == "mean" and target.is_floating_point() and change == "divided by classes":
        return _cross_entropy(input, target, **options) / input.shape[1]
    return _cross_entropy(input, target, **options)


def _nll_loss_with(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    *,
    change: str,
) -> Tensor:
    """Negative log-likelihood with one change."""
    if change == "no weight":
        return _nll_loss(input, target, None, ignore_index=ignore_index, reduction=reduction)
    if change == "nothing ignored":
        return _nll_loss(input, target, weight, reduction=reduction)
    if reduction == "mean":
        total = _nll_loss(input, target, weight, ignore_index=ignore_index, reduction="sum")
        return total / (target.numel() if change == "divided by all" else (target != ignore_index).sum())
    return _nll_loss(input, target, weight, ignore_index=ignore_index, reduction=reduction)


def _bce_with(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
    *,
    change: str,
) -> Tensor:
    """Binary cross-entropy with one change."""
    if change == "no weight":
        weight = None
    elif change == "no pos_weight":
        pos_weight = None
    elif change == "pos_weight on both" and pos_weight is not None:
        weight = pos_weight if weight is None else weight * pos_weight
        pos_weight = None
    return _bce(input, target, weight, reduction=reduction, pos_weight=pos_weight)


def _smooth_l1_with(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
    *,
    change: str,
) -> Tensor:
    """Smooth L1 with one change."""
    if change == "huber":
        return F.huber_loss(input, target, reduction=reduction, delta=beta)
    return _smooth_l1_loss(input, target, reduction=reduction, beta=1.0)


def _softmax_with(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None, *, change: str, log: bool
) -> Tensor:
    """Softmax or its logarithm with one change."""
    dim = -1 if dim is None else dim
    shifted = input - input.amax(dim, keepdim=True).detach()
    total = shifted.exp().sum(dim, keepdim=True)
    if change == "normaliser constant":
        total = total.detach()
    elif change.startswith("axis"):
        return (_log_softmax if log else _softmax)(input, int(change.split()[1]))
    return shifted - total.log() if log else shifted.exp() / total


def _closed_relu(input: Tensor, inplace: bool = False, negative_slope: float = 0.0) -> Tensor:
    """Rectifier whose slope at 0 is 1."""
    return torch.where(input >= 0, input, negative_slope * input)


def _leaky_relu_slope(input: Tensor, negative_slope: float = 0.01, inplace: bool = False, *, instead: float) -> Tensor:
    return _leaky_relu(input, instead)


def _gelu_toggled(input: Tensor, approximate: str = "none") -> Tensor:
    return _gelu(input, approximate="none" if approximate == "tanh" else "tanh")


TABLE: dict[str, list[tuple[str, Wrong]]] = {
    "linear": [
        ("leaves the bias out", lambda input, weight, bias=None: _linear(input, weight)),
    ],
    "conv2d": [
        (
            "flips the kernel: that is convolution in the mathematical sense, torch's is cross-correlation",
            partial(_conv2d_with, change="flipped"),
        ),
        ("swaps the kernel's height and width", partial(_conv2d_with, change="transposed")),
        ("leaves the bias out", partial(_conv2d_with, change="no bias")),
        ("swaps the stride's height and width", partial(_conv2d_with, change="stride swapped")),
        ("swaps the padding's height and width", partial(_conv2d_with, change="padding swapped")),
        ("swaps the dilation's height and width", partial(_conv2d_with, change="dilation swapped")),
        ("puts all padding after the image rather than half before it", partial(_conv2d_with, change="padding after")),
        ("puts all padding before the image rather than half after it", partial(_conv2d_with, change="padding before")),
        ("pads with the edge's values rather than zeros", partial(_conv2d_with, change="replicated")),
        (
            "gives each group every n-th input channel rather than a block of them",
            partial(_conv2d_with, change="inputs interleaved"),
        ),
        (
            "interleaves the groups' output channels rather than joining them in blocks",
            partial(_conv2d_with, change="outputs interleaved"),
        ),
    ],
    "max_pool2d": [
        ("shares the gradient among equal maxima; torch gives it to the first", partial(_max_pool2d_with, change="shared")),
        (
            "gives each of several equal maxima the whole gradient; torch gives it to the first",
            partial(_max_pool2d_with, change="all"),
        ),
        ("gives the gradient to the last of equal maxima; torch gives it to the first", partial(_max_pool2d_with, change="last")),
        (
            "pads with zeros, which win over negative numbers; torch pads with -inf",
            partial(_max_pool2d_with, change="zero padding"),
        ),
    ],
    "avg_pool2d": [("counts padding the other way: see count_include_pad", _avg_pool2d_with)],
    "batch_norm": [
        *((f"uses eps = {eps:g}", partial(_batch_norm_eps, eps_instead=eps)) for eps in EPSILONS),
        ("adds eps to the standard deviation; it belongs under the root", partial(_batch_norm_with, change="eps outside")),
        ("divides by the variance rather than its root", partial(_batch_norm_with, change="no root")),
        (
            "normalises with the unbiased variance, / (n - 1); torch uses the biased one, / n",
            partial(_batch_norm_with, change="unbiased"),
        ),
        (
            "stores the biased variance in running_var; torch stores the unbiased one, x n / (n - 1)",
            partial(_batch_norm_with, change="biased running_var"),
        ),
        ("stores the standard deviation in running_var", partial(_batch_norm_with, change="running std")),
        (
            "takes momentum for the share of the old statistics; torch's is the share of the new ones",
            partial(_batch_norm_with, change="momentum"),
        ),
        ("does not update the running statistics", partial(_batch_norm_with, change="keeps statistics")),
        (
            "uses the batch's statistics in eval mode or the running ones in training",
            partial(_batch_norm_with, change="other statistics"),
        ),
        ("takes the batch's mean for a constant in the backward", partial(_batch_norm_with, change="mean constant")),
        ("takes the batch's variance for a constant in the backward", partial(_batch_norm_with, change="variance constant")),
        ("takes the batch's mean and variance for constants in the backward", partial(_batch_norm_with, change="both constant")),
        ("leaves the weight out", partial(_batch_norm_with, change="no weight")),
        ("leaves the bias out", partial(_batch_norm_with, change="no bias")),
    ],
    "relu": [("lets the gradient through where x is 0; torch's is 0 there", _closed_relu)],
    "leaky_relu": [
        *((f"uses the slope {slope:g}", partial(_leaky_relu_slope, instead=slope)) for slope in (0.0, 0.01, 0.02, 0.1, 0.2, 0.3)),
        (
            "has slope 1 where x is 0; torch's is the negative slope",
            lambda input, negative_slope=0.01, inplace=False: _closed_relu(input, negative_slope=negative_slope),
        ),
    ],
    "gelu": [
        ("computes the other form of GELU: see approximate", _gelu_toggled),
        (
            "computes x * sigmoid(1.702 x), a third form of GELU",
            lambda input, approximate="none": input * torch.sigmoid(1.702 * input),
        ),
        (
            "lacks the term x * density(x) in the backward",
            lambda input, approximate="none": input * (_gelu(input, approximate=approximate) / input).detach(),
        ),
    ],
    "silu": [
        ("takes sigmoid(x) for a constant in the backward", lambda input, inplace=False: input * torch.sigmoid(input).detach()),
    ],
    "softmax": [
        (
            "takes the normaliser for a constant in the backward: the Jacobian's second term is missing",
            partial(_softmax_with, change="normaliser constant", log=False),
        ),
        *((f"normalises along axis {axis}", partial(_softmax_with, change=f"axis {axis}", log=False)) for axis in range(4)),
    ],
    "log_softmax": [
        (
            "takes the normaliser for a constant in the backward: the second term is missing",
            partial(_softmax_with, change="normaliser constant", log=True),
        ),
        *((f"normalises along axis {axis}", partial(_softmax_with, change=f"axis {axis}", log=True)) for axis in range(4)),
    ],
    "cross_entropy": [
        (
            "divides by the number of all labels; torch divides by the weight of those that count",
            partial(_cross_entropy_with, change="divided by all"),
        ),
        (
            "divides by the batch size; torch divides by the weight of the labels that count",
            partial(_cross_entropy_with, change="divided by batch"),
        ),
        (
            "divides by the number of labels that count; torch divides by their weight",
            partial(_cross_entropy_with, change="divided by counted"),
        ),
        ("divides by the number of classes as well", partial(_cross_entropy_with, change="divided by classes")),
        ("leaves the class weights out", partial(_cross_entropy_with, change="no weight")),
        ("leaves label smoothing out", partial(_cross_entropy_with, change="no smoothing")),
        (
            "shares label_smoothing among the other classes only, / (C - 1); torch shares it among all, / C",
            partial(_cross_entropy_with, change="smoothing to others"),
        ),
        (
            "adds the smoothed part to the whole loss; its own weight is to be 1 - label_smoothing",
            partial(_cross_entropy_with, change="smoothing added"),
        ),
        ("does not leave ignore_index out", partial(_cross_entropy_with, change="nothing ignored")),
    ],
    "nll_loss": [
        (
            "divides by the number of all labels; torch divides by the weight of those that count",
            partial(_nll_loss_with, change="divided by all"),
        ),
        (
            "divides by the number of labels that count; torch divides by their weight",
            partial(_nll_loss_with, change="divided by counted"),
        ),
        ("leaves the class weights out", partial(_nll_loss_with, change="no weight")),
        ("does not leave ignore_index out", partial(_nll_loss_with, change="nothing ignored")),
    ],
    "smooth_l1_loss": [
        ("does not divide by beta: that is the Huber loss", partial(_smooth_l1_with, change="huber")),
        ("uses beta = 1", partial(_smooth_l1_with, change="beta")),
    ],
    "binary_cross_entropy_with_logits": [
        ("leaves weight out", partial(_bce_with, change="no weight")),
        ("leaves pos_weight out", partial(_bce_with, change="no pos_weight")),
        ("applies pos_weight to the negative term too", partial(_bce_with, change="pos_weight on both")),
    ],
}
