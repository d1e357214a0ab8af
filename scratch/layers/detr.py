"""Transformer layers of DETR, which add the positions again in every layer (Carion et al. 2020, appendix A.3).

They are the post-norm layers of transformer.py, norm(x + submodule(x)). In every attention, positions are added to queries and
keys, and not to values.
"""

from scratch.checks import divides, has_shape, is_mask, is_sequence, one_float_dtype
from scratch.layers.attention import MultiheadAttention
from scratch.layers.dropout import Dropout
from scratch.layers.feed_forward import FeedForward
from scratch.layers.norm import LayerNorm
from scratch.module import Array, Backward, Module


class DETREncoderLayer(Module):
    """Self-attention and a feed-forward block, each with a residual connection: src and positions (B, S, d_model) to the same.

    src_mask broadcasts to (B, nhead, S, S): boolean (true: may attend), or floating-point and added to the scores.
    """

    def __init__(self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1):
        divides("DETREncoderLayer", "nhead", nhead, "d_model", d_model)
        self.d_model, self.nhead = d_model, nhead
        self.self_attn = MultiheadAttention(d_model, nhead, dropout)
        self.feed_forward = FeedForward(d_model, dim_feedforward, dropout=dropout)
        self.norm1, self.norm2 = (LayerNorm(d_model) for _ in range(2))
        self.dropout1, self.dropout2 = (Dropout(dropout) for _ in range(2))

    def forward(self, src: Array, positions: Array, src_mask: Array | None = None) -> tuple[Array, Backward]:
        is_sequence("DETREncoderLayer", "src", src, self.d_model)
        one_float_dtype("DETREncoderLayer", src=src, positions=positions)
        has_shape("DETREncoderLayer", "positions", positions, src.shape)
        B, S, _ = src.shape
        is_mask("DETREncoderLayer", "src_mask", src_mask, (B, self.nhead, S, S), src.dtype)
        placed = src + positions
        (x, _), self_attn = self.self_attn(placed, placed, src, src_mask)
        x, dropout1 = self.dropout1(x)
        attended, norm1 = self.norm1(src + x)

        x, feed_forward = self.feed_forward(attended)
        x, dropout2 = self.dropout2(x)
        y, norm2 = self.norm2(attended + x)

        def backward(dy: Array) -> tuple[Array | None, ...]:
            dsum = norm2(dy)
            dsum = norm1(dsum + feed_forward(dropout2(dsum)))  # the residual connection and the block
            dquery, dkey, dvalue, dmask, *_ = self_attn(dropout1(dsum))
            dpositions = dquery + dkey
            return dsum + dpositions + dvalue, dpositions, dmask

        return y, backward


class DETRDecoderLayer(Module):
    """Self-attention, attention to a memory and a feed-forward block, each with a residual connection.

    tgt (B, T, d_model) and memory (B, S, d_model), each with positions of its shape, to (B, T, d_model). memory_mask broadcasts to
    (B, nhead, T, S): boolean (true: may attend), or floating-point and added to the scores.
    """

    def __init__(self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1):
        divides("DETRDecoderLayer", "nhead", nhead, "d_model", d_model)
        self.d_model, self.nhead = d_model, nhead
        self.self_attn, self.multihead_attn = (MultiheadAttention(d_model, nhead, dropout) for _ in range(2))
        self.feed_forward = FeedForward(d_model, dim_feedforward, dropout=dropout)
        self.norm1, self.norm2, self.norm3 = (LayerNorm(d_model) for _ in range(3))
        self.dropout1, self.dropout2, self.dropout3 = (Dropout(dropout) for _ in range(3))

    def forward(
        self, tgt: Array, memory: Array, tgt_positions: Array, positions: Array, memory_mask: Array | None = None
    ) -> tuple[Array, Backward]:
        self._check(tgt, memory, tgt_positions, positions, memory_mask)
        attended, attended_backward = self._attended(tgt, tgt_positions)
        (x, _), multihead_attn = self.multihead_attn(attended + tgt_positions, memory + positions, memory, memory_mask)
        x, dropout2 = self.dropout2(x)
        informed, norm2 = self.norm2(attended + x)

        x, feed_forward = self.feed_forward(informed)
        x, dropout3 = self.dropout3(x)
        y, norm3 = self.norm3(informed + x)

        def backward(dy: Array) -> tuple[Array | None, ...]:
            dsum = norm3(dy)
            dsum = norm2(dsum + feed_forward(dropout3(dsum)))  # the residual connection and the block
            dquery, dkey, dvalue, dmask, *_ = multihead_attn(dropout2(dsum))
            dtgt, dtgt_positions = attended_backward(dsum + dquery)
            return dtgt, dkey + dvalue, dtgt_positions + dquery, dkey, dmask

        return y, backward

    def attend(self, tgt: Array, memory: Array, tgt_positions: Array, positions: Array, memory_mask: Array | None = None) -> Array:
        """Return the weights (B, nhead, T, S) of the attention to the memory."""
        self._check(tgt, memory, tgt_positions, positions, memory_mask)
        attended, _ = self._attended(tgt, tgt_positions)
        return self.multihead_attn.attend(attended + tgt_positions, memory + positions, memory, memory_mask)

    def _attended(self, tgt: Array, tgt_positions: Array) -> tuple[Array, Backward]:
        """Return tgt after the self-attention, its residual connection and its norm."""
        placed = tgt + tgt_positions
        (x, _), self_attn = self.self_attn(placed, placed, tgt)
        x, dropout1 = self.dropout1(x)
        attended, norm1 = self.norm1(tgt + x)

        def backward(dattended: Array) -> tuple[Array, Array]:
            dsum = norm1(dattended)
            dquery, dkey, dvalue, *_ = self_attn(dropout1(dsum))
            dpositions = dquery + dkey
            return dsum + dpositions + dvalue, dpositions

        return attended, backward

    def _check(self, tgt: Array, memory: Array, tgt_positions: Array, positions: Array, memory_mask: Array | None) -> None:
        """Raise ValueError unless the arrays fit each other."""
        layer = "DETRDecoderLayer"
        is_sequence(layer, "tgt", tgt, self.d_model)
        is_sequence(layer, "memory", memory, self.d_model)
        one_float_dtype(layer, tgt=tgt, memory=memory, tgt_positions=tgt_positions, positions=positions)
        (B, T, _), S = tgt.shape, memory.shape[1]
        has_shape(layer, "memory", memory, (B, S, self.d_model))
        has_shape(layer, "tgt_positions", tgt_positions, tgt.shape)
        has_shape(layer, "positions", positions, memory.shape)
        is_mask(layer, "memory_mask", memory_mask, (B, self.nhead, T, S), tgt.dtype)
