"""Additive attention (Bahdanau, Cho & Bengio 2015, appendix A.1.2)."""

import torch
from torch import Tensor


def additive_attention(query: Tensor, key: Tensor, value: Tensor, weight: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """Return softmax(scores) value, where the score of query t and key s is weight · tanh(query_t + key_s).

    A query that may attend no key gets 0.
    """
    scores = torch.tanh(query[:, :, None] + key[:, None]) @ weight
    if attn_mask is None:
        return torch.softmax(scores, dim=-1) @ value
    weights = torch.softmax(scores.masked_fill(~attn_mask, torch.finfo(scores.dtype).min), dim=-1)
    return weights.masked_fill(~attn_mask, 0) @ value
