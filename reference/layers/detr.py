"""DETR's transformer layers, which add the positions to queries and keys in every layer (Carion et al. 2020, appendix A.3)."""

from torch import Tensor, nn

from reference.layers.attention import MultiheadAttention
from reference.layers.feed_forward import FeedForward


class DETREncoderLayer(nn.Module):
    """Encoder layer: self-attention and a feed-forward block, for src and its positions (B, S, d_model)."""

    def __init__(self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1):
        super().__init__()
        self.self_attn = MultiheadAttention(d_model, nhead, dropout)
        self.feed_forward = FeedForward(d_model, dim_feedforward, dropout=dropout)
        self.norm1, self.norm2 = (nn.LayerNorm(d_model) for _ in range(2))
        self.dropout1, self.dropout2 = (nn.Dropout(dropout) for _ in range(2))

    def forward(self, src: Tensor, positions: Tensor, src_mask: Tensor | None = None) -> Tensor:
        placed = src + positions
        x, _ = self.self_attn(placed, placed, src, src_mask)
        attended = self.norm1(src + self.dropout1(x))
        return self.norm2(attended + self.dropout2(self.feed_forward(attended)))


class DETRDecoderLayer(nn.Module):
    """Decoder layer: self-attention, attention to a memory and a feed-forward block.

    The targets and their positions are (B, T, d_model), the memory and its positions (B, S, d_model).
    """

    def __init__(self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1):
        super().__init__()
        self.self_attn, self.multihead_attn = (MultiheadAttention(d_model, nhead, dropout) for _ in range(2))
        self.feed_forward = FeedForward(d_model, dim_feedforward, dropout=dropout)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(d_model) for _ in range(3))
        self.dropout1, self.dropout2, self.dropout3 = (nn.Dropout(dropout) for _ in range(3))

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_positions: Tensor, positions: Tensor, memory_mask: Tensor | None = None
    ) -> Tensor:
        attended = self._attended(tgt, tgt_positions)
        x, _ = self.multihead_attn(attended + tgt_positions, memory + positions, memory, memory_mask)
        informed = self.norm2(attended + self.dropout2(x))
        return self.norm3(informed + self.dropout3(self.feed_forward(informed)))

    def attend(
        self, tgt: Tensor, memory: Tensor, tgt_positions: Tensor, positions: Tensor, memory_mask: Tensor | None = None
    ) -> Tensor:
        """Return the attention weights (B, nhead, T, S) over the memory."""
        attended = self._attended(tgt, tgt_positions)
        return self.multihead_attn.attend(attended + tgt_positions, memory + positions, memory, memory_mask)

    def _attended(self, tgt: Tensor, tgt_positions: Tensor) -> Tensor:
        """Return the targets after self-attention."""
        placed = tgt + tgt_positions
        x, _ = self.self_attn(placed, placed, tgt)
        return self.norm1(tgt + self.dropout1(x))
