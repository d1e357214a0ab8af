"""torch functions in the form of scratch.ops, where torch.nn.functional takes its arguments otherwise."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def attention_weights(
    query: Tensor,
    key: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    causal_offset: int = 0,
) -> Tensor:
    """The weights of F.scaled_dot_product_attention, read off by attending a one for each key."""
    S = key.shape[-2]
    ones = torch.eye(S, dtype=key.dtype, device=key.device).expand(*key.shape[:-1], S)
    return scaled_dot_product_attention(query, key, ones, attn_mask, None, 0.0, is_causal, scale, enable_gqa, causal_offset)


def additive_attention(query: Tensor, key: Tensor, value: Tensor, weight: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """Bahdanau's attention: softmax over s of weight · tanh(query_t + key_s), times value; queries that may attend none have 0."""
    scores = torch.tanh(query[:, :, None] + key[:, None]) @ weight
    if attn_mask is None:
        return torch.softmax(scores, dim=-1) @ value
    weights = torch.softmax(scores.masked_fill(~attn_mask, torch.finfo(scores.dtype).min), dim=-1)
    return weights.masked_fill(~attn_mask, 0) @ value


def batch_norm(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """F.batch_norm that returns the new running statistics rather than writing into those it was given."""
    mean, var = (None if statistic is None else statistic.detach().clone() for statistic in (running_mean, running_var))
    return F.batch_norm(x, mean, var, weight, bias, training, momentum, eps), mean, var


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, pos_weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """F.binary_cross_entropy_with_logits with weights that are constants."""
    weight, pos_weight = (None if w is None else w.detach() for w in (weight, pos_weight))
    return F.binary_cross_entropy_with_logits(input, target, weight, pos_weight=pos_weight, reduction=reduction)


def causal_mask(L: int, S: int | None = None, offset: int = 0) -> Tensor:
    """A triangle of true below and on a diagonal."""
    return torch.ones(L, L if S is None else S, dtype=torch.bool).tril(offset)


def dice_loss(input: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - the mean Dice coefficient of the classes, over all pixels of the batch; target holds labels or shares of classes."""
    if not target.is_floating_point():
        target = F.one_hot(target.long(), input.shape[1]).movedim(-1, 1).to(input.dtype)
    pixels = (0, *range(2, input.dim()))
    overlap = 2 * (input * target).sum(pixels)
    total = input.square().sum(pixels) + target.square().sum(pixels)
    return 1 - ((overlap + smooth) / (total + smooth)).mean()


def dropout(x: Tensor, keep: Tensor, p: float) -> Tensor:
    """Dropout under a given boolean mask; torch's own draws one."""
    return x * keep * (1 / (1 - p) if p < 1 else 0)


def frozen_batch_norm(
    x: Tensor, weight: Tensor, bias: Tensor, running_mean: Tensor, running_var: Tensor, eps: float = 1e-5
) -> Tensor:
    """F.batch_norm by numbers that are constants."""
    return F.batch_norm(x, running_mean, running_var, weight.detach(), bias.detach(), eps=eps)


def group_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, num_groups: int, eps: float = 1e-5
) -> Tensor:
    """F.group_norm that takes its tensors first."""
    if weight is None and bias is not None:  # which torch refuses
        weight = torch.ones_like(bias)
    return F.group_norm(x, num_groups, weight, bias, eps)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    keep: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    causal_offset: int = 0,
) -> Tensor:
    """F.scaled_dot_product_attention, where `keep` is given with its dropout under that mask, and is_causal beside a mask.

    Raise ValueError where key and value differ in length: of such values torch's kernel for the CPU writes beyond its memory.
    """
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(f"expected a value for each key, got {tuple(value.shape)} and {tuple(key.shape)}")
    if is_causal and (attn_mask is not None or causal_offset):
        causal = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril(causal_offset)
        if attn_mask is None:
            attn_mask = causal
        else:
            attn_mask = attn_mask & causal if attn_mask.dtype == torch.bool else attn_mask.masked_fill(~causal, -torch.inf)
        is_causal = False
    if keep is None:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    weights = attention_weights(query, key, attn_mask, is_causal, scale, enable_gqa)
    values = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3) if enable_gqa else value
    return dropout(weights, keep, dropout_p) @ values


def masked_mean(x: Tensor, lengths: Tensor) -> Tensor:
    """The mean over the first lengths (B,) steps of x (B, T, C)."""
    return x.masked_fill(_beyond(x, lengths), 0).sum(dim=1) / lengths[:, None]


def masked_max(x: Tensor, lengths: Tensor) -> Tensor:
    """The maximum over the first lengths (B,) steps of x (B, T, C)."""
    return x.masked_fill(_beyond(x, lengths), -torch.inf).max(dim=1).values


def layer_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, normalized_shape: tuple[int, ...], eps: float = 1e-5
) -> Tensor:
    """F.layer_norm that takes its tensors first."""
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


def rms_norm(x: Tensor, weight: Tensor | None = None, *, normalized_shape: tuple[int, ...], eps: float | None = None) -> Tensor:
    """F.rms_norm that takes its tensors first."""
    return F.rms_norm(x, normalized_shape, weight, eps)


def pad_images(images: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Images (C, h, w) padded with zeros to the right and below, (N, C, H, W), and where they are no padding, (N, H, W)."""
    H, W = (max(image.shape[axis] for image in images) for axis in (1, 2))

    def padded(images: Iterable[Tensor]) -> Tensor:
        return torch.stack([F.pad(image, (0, W - image.shape[-1], 0, H - image.shape[-2])) for image in images])

    return padded(images), padded(torch.ones_like(image[0], dtype=torch.bool) for image in images)


def padding_mask(lengths: Tensor, T: int) -> Tensor:
    """True in the first `lengths` of T places, (B, 1, 1, T)."""
    return (torch.arange(T, device=lengths.device) < lengths[:, None])[:, None, None]


def rnn(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    counts: Tensor | None = None,
    nonlinearity: str = "tanh",
) -> tuple[Tensor, Tensor]:
    """One layer of torch.rnn_tanh or torch.rnn_relu in one direction."""
    y, (h,) = _recurrent(
        {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}[nonlinearity], x, (h0,), counts, weight_ih, weight_hh, bias_ih, bias_hh
    )
    return y, h


def gru(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    counts: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One layer of torch.gru in one direction."""
    y, (h,) = _recurrent(torch.gru, x, (h0,), counts, weight_ih, weight_hh, bias_ih, bias_hh)
    return y, h


def lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    weight_hr: Tensor | None = None,
    counts: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """One layer of torch.lstm in one direction."""
    y, (h, c) = _recurrent(torch.lstm, x, (h0, c0), counts, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr)
    return y, h, c


def _beyond(x: Tensor, lengths: Tensor) -> Tensor:
    """Which steps of x (B, T, C) lie beyond the lengths (B,): (B, T, 1)."""
    return (torch.arange(x.shape[1], device=x.device) >= lengths[:, None])[:, :, None]


def _recurrent(
    kernel: Callable[..., tuple[Tensor, ...]],
    x: Tensor,
    states: tuple[Tensor, ...],
    counts: Tensor | None,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    weight_hr: Tensor | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """One of torch's recurrent kernels over one layer; with counts, over the packed sequence that they describe."""
    (T, B, I), rows, width, H = x.shape, len(weight_ih), weight_hh.shape[1], len(weight_ih) // GATES[kernel]
    fitting: list[tuple[Tensor | None, tuple[int, ...]]] = []
    fitting += [(weight_ih, (rows, I)), (weight_hh, (rows, H if weight_hr is None else width)), (weight_hr, (width, H))]
    fitting += [(bias_ih, (rows,)), (bias_hh, (rows,)), (counts, (T,))]
    fitting += [(states[0], (B, width)), *((state, (B, H)) for state in states[1:])]
    for tensor, shape in fitting:  # of others the kernels read memory that is not theirs
        if tensor is not None and tensor.shape != shape:
            raise ValueError(f"expected shapes that fit each other, got {tuple(tensor.shape)} in place of {shape}")
    hx: Any = [state[None] for state in states]
    hx = hx if len(hx) > 1 else hx[0]
    biased = bias_ih is not None or bias_hh is not None
    biases = [x.new_zeros(rows) if bias is None else bias for bias in (bias_ih, bias_hh)] if biased else []
    given = [weight_ih, weight_hh, *biases, *([] if weight_hr is None else [weight_hr])]
    options = biased, 1, 0.0, False, False  # layers, dropout, training, both directions
    if counts is None:
        y, *ends = kernel(x, hx, given, *options, False)
        return y, [end[0] for end in ends]
    if counts.is_floating_point() or counts.long().diff().gt(0).any() or counts[0] != B or counts[-1] < 0:
        raise ValueError(f"expected counts from {B} down, got {counts}")
    running = torch.arange(B) < counts[:, None]
    packed, *ends = kernel(x[running], counts[counts > 0].long().cpu(), hx, given, *options)
    y = packed.new_zeros(T, B, packed.shape[-1])
    return y.masked_scatter(running[:, :, None], packed), [end[0] for end in ends]


GATES: dict[Callable[..., Any], int] = {torch.rnn_tanh: 1, torch.rnn_relu: 1, torch.gru: 3, torch.lstm: 4}
