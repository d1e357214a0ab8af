"""GPT-2: a decoder-only transformer that predicts each next token (Radford et al. 2019, section 2.3)."""

import numpy as np

from scratch.checks import divides, has_shape, one_float_dtype, tokens_within
from scratch.layers import Dropout, Embedding, FeedForward, LayerNorm, LearnedPositions, Linear, MultiheadAttention
from scratch.layers.container import run_in_reverse
from scratch.layers.init import normal_
from scratch.module import Array, Backward, Module

State = tuple[Array, Array]
RESIDUAL = ("attention.out_proj.weight", "mlp.linear2.weight")


class Block(Module):
    """x + attention(ln_1(x)), then x + mlp(ln_2(x)): x (B, T, width) to (y (B, T, width), (keys, values)).

    The keys and values of an earlier call, `past`, come before those of x and are constants.
    """

    def __init__(self, width: int, heads: int, dropout: float):
        self.ln_1 = LayerNorm(width)
        self.attention = MultiheadAttention(width, heads, dropout)
        self.ln_2 = LayerNorm(width)
        self.mlp = FeedForward(width, 4 * width, "gelu_tanh")
        self.dropout = Dropout(dropout)

    def forward(self, x: Array, past: State | None = None) -> tuple[tuple[Array, State], Backward]:
        normed, ln_1_backward = self.ln_1(x)
        (attended, kept), attention_backward = self.attention(normed, normed, normed, None, True, past)
        attended, attended_dropout_backward = self.dropout(attended)
        x = x + attended
        normed, ln_2_backward = self.ln_2(x)
        hidden, mlp_backward = self.mlp(normed)
        hidden, hidden_dropout_backward = self.dropout(hidden)

        def backward(dy: Array) -> tuple[Array, None]:
            dx = dy + ln_2_backward(mlp_backward(hidden_dropout_backward(dy)))  # the residual connection and the block
            dquery, dkey, dvalue, *_ = attention_backward(attended_dropout_backward(dx))
            return dx + ln_1_backward(dquery + dkey + dvalue), None

        return (x + hidden, kept), backward


class GPT(Module):
    """Tokens (B, T) to the logits (B, T, vocab_size) of each next token.

    The state holds the keys and values of all earlier tokens, (layers, B, heads, earlier T, width / heads) each; they are
    constants. Together with the new tokens they may be at most `context`. `step` returns the state, so that a text is not
    read again for each new token; generate_beyond writes texts longer than the context.

        generate(model.eval().step, prompt, uniforms)

    Embedding and head share one weight. Dropout acts on the embeddings, the attention weights and the output of each submodule.
    The parameters are those of public GPT-2 weights, in which linear weights are transposed. There, attn.c_attn holds q_proj,
    k_proj and v_proj, attn.c_proj is out_proj, mlp.c_fc is linear1 and mlp.c_proj is linear2.
    """

    def __init__(self, vocab_size: int, context: int, width: int, layers: int, heads: int, dropout: float = 0.0):
        if min(layers, context) < 1:
            raise ValueError(f"GPT: expected at least one of each, got layers {layers} and context {context}")
        divides("GPT", "heads", heads, "width", width)
        self.vocab_size, self.context = vocab_size, context
        self.wte = Embedding(vocab_size, width)
        self.wpe = LearnedPositions(context, width)
        self.dropout = Dropout(dropout)
        self.blocks = [Block(width, heads, dropout) for _ in range(layers)]
        self.ln_f = LayerNorm(width)
        self.lm_head = Linear(width, vocab_size, bias=False)
        self.lm_head.weight = self.wte.weight
        for name, parameter in self.named_parameters():
            if parameter.data.ndim > 1:  # 2 * layers submodules add to x, so each of them starts smaller
                normal_(parameter, 0.02 / (2 * layers) ** 0.5 if name.endswith(RESIDUAL) else 0.02)
            elif name.endswith("bias"):
                parameter.data = np.zeros_like(parameter.data)

    def forward(self, tokens: Array, state: State | None = None) -> tuple[Array, Backward]:
        logits, _, backward = self._read(tokens, state)
        return logits, backward if state is None else lambda dlogits: (backward(dlogits), None)

    def step(self, tokens: Array, state: State | None = None) -> tuple[tuple[Array, State], None]:
        """Read tokens (B, T) after those of the state; return the logits of each next token and the state, and no backward."""
        logits, kept, _ = self._read(tokens, state)
        keys, values = zip(*kept, strict=True)
        return (logits, (np.stack(keys), np.stack(values))), None

    def attend(self, tokens: Array) -> Array:
        """Return the attention weights (layers, B, heads, T, T)."""
        x, _ = self._embed(tokens, 0)
        weights = []
        for block in self.blocks:
            normed, _ = block.ln_1(x)
            weights.append(block.attention.attend(normed, normed, normed, None, True))
            (x, _), _ = block(x, None)
        return np.stack(weights)

    def _read(self, tokens: Array, state: State | None) -> tuple[Array, list[State], Backward]:
        """Return the logits, the keys and values of each layer, and the backward."""
        x, embed_backward = self._embed(tokens, 0 if state is None else self._length(state, len(tokens)))
        pasts = [None] * len(self.blocks) if state is None else zip(*state, strict=True)
        kept, backwards = [], []
        for block, past in zip(self.blocks, pasts, strict=True):
            (x, of_block), block_backward = block(x, past)
            kept.append(of_block)
            backwards.append(block_backward)
        normed, ln_f_backward = self.ln_f(x)
        logits, lm_head_backward = self.lm_head(normed)

        def backward(dlogits: Array) -> None:
            dx, *_ = run_in_reverse(backwards, ln_f_backward(lm_head_backward(dlogits)))
            embed_backward(dx)

        return logits, kept, backward

    def _embed(self, tokens: Array, before: int) -> tuple[Array, Backward]:
        """Return tokens, which come after `before` others, as vectors with their positions (B, T, width)."""
        tokens_within("GPT", "tokens", tokens, self.vocab_size, self.context, before)
        x, wte_backward = self.wte(tokens)
        x, wpe_backward = self.wpe(x, np.arange(before, before + tokens.shape[1]))
        x, dropout_backward = self.dropout(x)

        def backward(dx: Array) -> None:
            dx, _ = wpe_backward(dropout_backward(dx))
            wte_backward(dx)

        return x, backward

    def _length(self, state: State, B: int) -> int:
        """Return the number of tokens in a state, or raise ValueError unless it fits this model and B texts."""
        attention, length = self.blocks[0].attention, state[0].shape[3:4]
        expected = len(self.blocks), B, attention.num_heads, *length, attention.head_dim
        for name, part in zip(("the keys of state", "the values of state"), state, strict=True):
            has_shape("GPT", name, part, expected)
        one_float_dtype("GPT", keys=state[0], values=state[1], weight=self.wte.weight.data)
        return length[0]
