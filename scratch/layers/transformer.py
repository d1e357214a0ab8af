"""Encoder and decoder layers of transformers: attention and a feed-forward block, each with a residual connection."""

from scratch.checks import divides, has_shape, is_mask, is_sequence
from scratch.layers.attention import MultiheadAttention
from scratch.layers.dropout import Dropout
from scratch.layers.feed_forward import FeedForward
from scratch.layers.norm import LayerNorm
from scratch.module import Array, Backward, Module

Kept = tuple[Array, Array, Array, Array]


class _Layer(Module):
    """A layer whose submodules have residual connections: norm(x + submodule(x)) (Vaswani et al. 2017, section 3.1).

    With norm_first it is x + submodule(norm(x)) (Xiong et al. 2020).
    """

    norm_first: bool

    def _before(self, norm: LayerNorm, x: Array) -> tuple[Array, Backward]:
        """Return the input of a submodule: x, normalised with norm_first."""
        return norm(x) if self.norm_first else (x, lambda dy: dy)

    def _after(self, norm: LayerNorm, x: Array) -> tuple[Array, Backward]:
        """Return the sum of a submodule and its residual connection, normalised without norm_first."""
        return (x, lambda dy: dy) if self.norm_first else norm(x)


class TransformerEncoderLayer(_Layer):
    """Self-attention and a feed-forward block, as torch.nn.TransformerEncoderLayer with batch_first.

    src (B, S, d_model) to (B, S, d_model). src_mask broadcasts to (B, nhead, S, S): boolean (true: may attend), or
    floating-point and added to the scores. With is_causal, later positions are hidden.
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
        divides("TransformerEncoderLayer", "nhead", nhead, "d_model", d_model)
        self.d_model, self.nhead, self.norm_first = d_model, nhead, norm_first
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias)
        self.feed_forward = FeedForward(d_model, dim_feedforward, activation, dropout, bias)
        self.norm1, self.norm2 = (LayerNorm(d_model, layer_norm_eps, bias=bias) for _ in range(2))
        self.dropout1, self.dropout2 = (Dropout(dropout) for _ in range(2))

    def forward(self, src: Array, src_mask: Array | None = None, is_causal: bool = False) -> tuple[Array, Backward]:
        self._check(src, src_mask)
        x, before1 = self._before(self.norm1, src)
        (x, _), self_attn = self.self_attn(x, x, x, src_mask, is_causal)
        x, dropout1 = self.dropout1(x)
        attended, after1 = self._after(self.norm1, src + x)

        x, before2 = self._before(self.norm2, attended)
        x, feed_forward = self.feed_forward(x)
        x, dropout2 = self.dropout2(x)
        y, after2 = self._after(self.norm2, attended + x)

        def backward(dy: Array) -> tuple[Array | None, ...]:
            dsum = after2(dy)
            dattended = dsum + before2(feed_forward(dropout2(dsum)))  # the residual connection and the block
            dsum = after1(dattended)
            dquery, dkey, dvalue, dmask, *_ = self_attn(dropout1(dsum))
            return dsum + before1(dquery + dkey + dvalue), dmask, None

        return y, backward

    def attend(self, src: Array, src_mask: Array | None = None, is_causal: bool = False) -> Array:
        """Return the weights (B, nhead, S, S) of the self-attention."""
        self._check(src, src_mask)
        x, _ = self._before(self.norm1, src)
        return self.self_attn.attend(x, x, x, src_mask, is_causal)

    def _check(self, src: Array, src_mask: Array | None) -> None:
        """Raise ValueError unless src and its mask have the right shapes."""
        is_sequence("TransformerEncoderLayer", "src", src, self.d_model)
        B, S, _ = src.shape
        is_mask("TransformerEncoderLayer", "src_mask", src_mask, (B, self.nhead, S, S), src.dtype)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to a memory and a feed-forward block, as torch.nn.TransformerDecoderLayer with batch_first.

    tgt is (B, T, d_model) and memory (B, S, d_model). tgt_mask broadcasts to (B, nhead, T, T) and memory_mask to (B, nhead, T, S):
    boolean (true: may attend), or floating-point and added to the scores. With tgt_is_causal, later positions are hidden.

    The value is (y (B, T, d_model), kept). `kept` is a key-value cache: keys and values (B, nhead, T, d_model / nhead) of the
    self-attention, and keys and values of the memory. A later call takes it as `past`, with None as memory. Then the former come
    before its own keys and values, and tgt_mask broadcasts to (B, nhead, T, past + T). They are constants there.
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
        divides("TransformerDecoderLayer", "nhead", nhead, "d_model", d_model)
        self.d_model, self.nhead, self.norm_first = d_model, nhead, norm_first
        self.self_attn, self.multihead_attn = (MultiheadAttention(d_model, nhead, dropout, bias) for _ in range(2))
        self.feed_forward = FeedForward(d_model, dim_feedforward, activation, dropout, bias)
        self.norm1, self.norm2, self.norm3 = (LayerNorm(d_model, layer_norm_eps, bias=bias) for _ in range(3))
        self.dropout1, self.dropout2, self.dropout3 = (Dropout(dropout) for _ in range(3))

    def forward(
        self,
        tgt: Array,
        memory: Array | None,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        tgt_is_causal: bool = False,
        past: Kept | None = None,
    ) -> tuple[tuple[Array, Kept], Backward]:
        own, of_memory = self._checked(tgt, memory, tgt_mask, memory_mask, past)
        x, before1 = self._before(self.norm1, tgt)
        (x, own), self_attn = self.self_attn(x, x, x, tgt_mask, tgt_is_causal, own)
        x, dropout1 = self.dropout1(x)
        attended, after1 = self._after(self.norm1, tgt + x)

        x, before2 = self._before(self.norm2, attended)
        (x, of_memory), multihead_attn = self.multihead_attn(x, memory, memory, memory_mask, False, of_memory)
        x, dropout2 = self.dropout2(x)
        informed, after2 = self._after(self.norm2, attended + x)

        x, before3 = self._before(self.norm3, informed)
        x, feed_forward = self.feed_forward(x)
        x, dropout3 = self.dropout3(x)
        y, after3 = self._after(self.norm3, informed + x)

        def backward(dy: Array) -> tuple[Array | None, ...]:
            dsum = after3(dy)
            dinformed = dsum + before3(feed_forward(dropout3(dsum)))  # the residual connection and the block
            dsum = after2(dinformed)
            dquery, dkey, dvalue, dmemory_mask, *_ = multihead_attn(dropout2(dsum))
            dmemory = None if memory is None else dkey + dvalue
            dattended = dsum + before2(dquery)
            dsum = after1(dattended)
            dquery, dkey, dvalue, dtgt_mask, *_ = self_attn(dropout1(dsum))
            return dsum + before1(dquery + dkey + dvalue), dmemory, dtgt_mask, dmemory_mask, None, None

        return (y, (*own, *of_memory)), backward

    def attend(
        self,
        tgt: Array,
        memory: Array | None,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        tgt_is_causal: bool = False,
        past: Kept | None = None,
    ) -> Array:
        """Return the weights (B, nhead, T, S) of the attention to the memory."""
        own, of_memory = self._checked(tgt, memory, tgt_mask, memory_mask, past)
        x, _ = self._before(self.norm1, tgt)
        (x, _), _ = self.self_attn(x, x, x, tgt_mask, tgt_is_causal, own)
        x, _ = self.dropout1(x)
        x, _ = self._after(self.norm1, tgt + x)
        x, _ = self._before(self.norm2, x)
        return self.multihead_attn.attend(x, memory, memory, memory_mask, False, of_memory)

    def _checked(
        self, tgt: Array, memory: Array | None, tgt_mask: Array | None, memory_mask: Array | None, past: Kept | None
    ) -> tuple[tuple[Array, Array] | None, tuple[Array, Array] | None]:
        """Return the past of the self-attention and of the attention to the memory; raise ValueError where a shape is wrong."""
        layer = "TransformerDecoderLayer"
        attended = memory if past is None else past[2]  # (..., S, width)
        if attended is None or (past is not None and memory is not None):
            raise ValueError(f"{layer}: expected memory or past, one of them and None for the other")
        is_sequence(layer, "tgt", tgt, self.d_model)
        is_sequence(layer, "memory", memory, self.d_model)
        B, T, _ = tgt.shape
        if memory is not None and len(memory) != B:
            raise ValueError(f"{layer}: expected a memory for each tgt, got memory {memory.shape} and tgt {tgt.shape}")
        for i, heads in enumerate(past or ()):
            has_shape(layer, f"past[{i}]", heads, (B, self.nhead, *heads.shape[2:3], self.d_model // self.nhead))
        earlier = 0 if past is None else past[0].shape[2]
        is_mask(layer, "tgt_mask", tgt_mask, (B, self.nhead, T, earlier + T), tgt.dtype)
        is_mask(layer, "memory_mask", memory_mask, (B, self.nhead, T, attended.shape[-2]), tgt.dtype)
        return (None, None) if past is None else (past[:2], past[2:])
