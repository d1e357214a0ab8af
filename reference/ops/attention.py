"""Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from reference.ops.dropout import dropout


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
    """Call F.scaled_dot_product_attention, which takes neither a dropout mask nor is_causal beside an attention mask.

    `keep` is the dropout mask: true where a weight is kept. Raise ValueError where key and value differ in length: torch's
    kernel for the CPU would write outside its memory. Raise ValueError where they have no heads for grouped queries: torch
    would divide by zero and end the process.
    """
    if enable_gqa and 0 in (*key.shape[-3:-2], *value.shape[-3:-2]):
        raise ValueError(f"expected keys and values with heads, got {tuple(key.shape)} and {tuple(value.shape)}")
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(f"expected a value for each key, got {tuple(value.shape)} and {tuple(key.shape)}")
    # torch's causal kernel multiplies the masked scores, which are -inf, by the scale: 0 would give NaN
    if is_causal and (attn_mask is not None or causal_offset or scale == 0):
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


def attention_weights(
    query: Tensor,
    key: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    causal_offset: int = 0,
) -> Tensor:
    """Return the weights of F.scaled_dot_product_attention, by using the identity matrix as values."""
    S = key.shape[-2]
    ones = torch.eye(S, dtype=key.dtype, device=key.device).expand(*key.shape[:-1], S)
    return scaled_dot_product_attention(query, key, ones, attn_mask, None, 0.0, is_causal, scale, enable_gqa, causal_offset)
