"""Transformer layers: self-attention, attention to a memory and a feed-forward block, each with a residual connection."""

from torch import Tensor, nn

from reference.layers.attention import MultiheadAttention
from reference.layers.feed_forward import FeedForward

Kept = tuple[Tensor, Tensor, Tensor, Tensor]


class _Layer(nn.Module):
    """Base of layers with residual connections: norm(x + part(x)), or x + part(norm(x)) with norm_first."""

    norm_first: bool

    def _before(self, norm: nn.Module, x: Tensor) -> Tensor:
        return norm(x) if self.norm_first else x

    def _after(self, norm: nn.Module, x: Tensor) -> Tensor:
        return x if self.norm_first else norm(x)


class TransformerEncoderLayer(_Layer):
    """Encoder layer: self-attention and a feed-forward block, for src (B, S, d_model).

    Unlike nn.TransformerEncoderLayer, it takes masks as F.scaled_dot_product_attention does.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str = "relu",
        layer_norm_eps: float = 1e-5,
        norm_first: bool = False,
        bias: bool = True,
    ):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias)
        self.feed_forward = FeedForward(d_model, dim_feedforward, activation, dropout, bias)
        self.norm1, self.norm2 = (nn.LayerNorm(d_model, layer_norm_eps, bias=bias) for _ in range(2))
        self.dropout1, self.dropout2 = (nn.Dropout(dropout) for _ in range(2))

    def forward(self, src: Tensor, src_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        x = self._before(self.norm1, src)
        x, _ = self.self_attn(x, x, x, src_mask, is_causal)
        attended = self._after(self.norm1, src + self.dropout1(x))
        x = self.feed_forward(self._before(self.norm2, attended))
        return self._after(self.norm2, attended + self.dropout2(x))

    def attend(self, src: Tensor, src_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """Return the attention weights (B, nhead, S, S) of the self-attention."""
        x = self._before(self.norm1, src)
        return self.self_attn.attend(x, x, x, src_mask, is_causal)


class TransformerDecoderLayer(_Layer):
    """Decoder layer: self-attention, attention to a memory (B, S, d_model) and a feed-forward block, for tgt (B, T, d_model).

    The value is (y, cache): the cache holds the keys and values of the self-attention and those of the memory. A later call
    takes it as `past`, without the memory: it puts the former before its own keys and values, and attends the latter. Masks
    are as in F.scaled_dot_product_attention.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str = "relu",
        layer_norm_eps: float = 1e-5,
        norm_first: bool = False,
        bias: bool = True,
    ):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn, self.multihead_attn = (MultiheadAttention(d_model, nhead, dropout, bias) for _ in range(2))
        self.feed_forward = FeedForward(d_model, dim_feedforward, activation, dropout, bias)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(d_model, layer_norm_eps, bias=bias) for _ in range(3))
        self.dropout1, self.dropout2, self.dropout3 = (nn.Dropout(dropout) for _ in range(3))

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor | None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        past: Kept | None = None,
    ) -> tuple[Tensor, Kept]:
        attended, own = self._attended(tgt, tgt_mask, tgt_is_causal, past)
        x = self._before(self.norm2, attended)
        x, of_memory = self.multihead_attn(x, memory, memory, memory_mask, False, past and past[2:])
        informed = self._after(self.norm2, attended + self.dropout2(x))
        x = self.feed_forward(self._before(self.norm3, informed))
        return self._after(self.norm3, informed + self.dropout3(x)), (*own, *of_memory)

    def attend(
        self,
        tgt: Tensor,
        memory: Tensor | None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        past: Kept | None = None,
    ) -> Tensor:
        """Return the attention weights (B, nhead, T, S) over the memory."""
        attended, _ = self._attended(tgt, tgt_mask, tgt_is_causal, past)
        x = self._before(self.norm2, attended)
        return self.multihead_attn.attend(x, memory, memory, memory_mask, False, past and past[2:])

    def _attended(
        self, tgt: Tensor, tgt_mask: Tensor | None, tgt_is_causal: bool, past: Kept | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the targets after self-attention, and the keys and values of this attention."""
        x = self._before(self.norm1, tgt)
        x, own = self.self_attn(x, x, x, tgt_mask, tgt_is_causal, past and past[:2])
        return self._after(self.norm1, tgt + self.dropout1(x)), own
