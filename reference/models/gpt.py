"""GPT-2: the decoder of a Transformer as a language model (Radford et al. 2019, section 2.3)."""

from typing import Any

import torch
from torch import Tensor, nn

from reference.layers import FeedForward, LearnedPositions, MultiheadAttention

State = tuple[Tensor, Tensor]
RESIDUAL = ("attention.out_proj.weight", "mlp.linear2.weight")


class Block(nn.Module):
    """Block x + attention(ln_1(x)), then x + mlp(ln_2(x)), for x (B, T, width); it also returns the attention's key-value cache."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attention = MultiheadAttention(width, heads, dropout)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = FeedForward(width, 4 * width, "gelu_tanh")
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, past: State | None = None) -> tuple[Tensor, State]:
        normed = self.ln_1(x)
        attended, kept = self.attention(normed, normed, normed, None, True, past)
        x = x + self.dropout(attended)
        return x + self.dropout(self.mlp(self.ln_2(x))), kept


class GPT(nn.Module):
    """Language model from tokens (B, T) to the logits (B, T, vocab_size) of each next token.

    A state is the key-value cache of the previous tokens: the keys and the values of every layer, each (layers, B, heads,
    previous T, width / heads), as constants. Previous and new tokens together are at most `context`. `step` returns the
    state, so that generation reads each token only once; generate_beyond writes texts longer than the context:

        generate(model.eval().step, prompt, uniforms)
    """

    def __init__(self, vocab_size: int, context: int, width: int, layers: int, heads: int, dropout: float = 0.0):
        super().__init__()
        if min(layers, context) < 1:
            raise ValueError(f"GPT: expected at least one of each, got layers {layers} and context {context}")
        if heads < 1 or width % heads:
            raise ValueError(f"GPT: heads {heads} does not divide width {width}; each head has an equal share of it")
        self.context = context
        self.wte = nn.Embedding(vocab_size, width)
        self.wpe = LearnedPositions(context, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocab_size, bias=False)
        self.lm_head.weight = self.wte.weight
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.02 / (2 * layers) ** 0.5 if name.endswith(RESIDUAL) else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor, state: State | None = None) -> Tensor:
        logits, _ = self._read(tokens, state)
        return logits

    def step(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read tokens (B, T) after those of the state, and return the logits of each next token and the new state."""
        logits, kept = self._read(tokens, state)
        keys, values = zip(*kept, strict=True)
        return logits, (torch.stack(keys), torch.stack(values))

    def attend(self, tokens: Tensor) -> Tensor:
        """Return the attention weights (layers, B, heads, T, T)."""
        x = self._embed(tokens, 0)
        weights = []
        block: Any
        for block in self.blocks:
            normed = block.ln_1(x)
            weights.append(block.attention.attend(normed, normed, normed, None, True))
            x, _ = block(x, None)
        return torch.stack(weights)

    def _read(self, tokens: Tensor, state: State | None) -> tuple[Tensor, list[State]]:
        """Return the logits and the key-value cache of each layer."""
        x = self._embed(tokens, 0 if state is None else state[0].shape[3])
        kept = []
        for block, past in zip(self.blocks, [None] * len(self.blocks) if state is None else zip(*state, strict=True), strict=True):
            x, of_block = block(x, past)
            kept.append(of_block)
        return self.lm_head(self.ln_f(x)), kept

    def _embed(self, tokens: Tensor, before: int) -> Tensor:
        """Return the embeddings (B, T, width) of tokens and their positions, which start at `before`."""
        T = tokens.shape[1]
        if before + T > self.context:
            longer = f"{before} and {T} more" if before else f"{T}"
            raise ValueError(f"GPT: tokens is {longer} tokens long, expected at most {self.context}, the context")
        return self.dropout(self.wpe(self.wte(tokens), torch.arange(before, before + T, device=tokens.device)))
