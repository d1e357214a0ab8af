"""Faults of GPT: positions, the place of the norms, residual connections, tied weights, the key-value cache, and attention."""

from functools import partial

from parity_tests.faults.fault import Fault

CASES = ("gpt",)
DEEP = ("gpt", "gpt-deep")  # the second takes long
CACHED = ("gpt-continued", "gpt-one-token")
model = partial(Fault, culprit="GPT", cases=CASES)
built = partial(model, function="models.gpt.GPT.__init__")
read = partial(model, function="models.gpt.GPT._read")
embed = partial(model, function="models.gpt.GPT._embed")
block = partial(Fault, function="models.gpt.Block.forward", culprit="Block", cases=CASES)
attention = partial(Fault, culprit="MultiheadAttention", cases=CASES)

POSITIONS = "np.arange(before, before + tokens.shape[1])"
POST_NORM = """(attended, kept), attention_backward = self.attention(x, x, x, None, True, past)
        x, ln_1_backward = self.ln_1(x + attended)
        hidden, mlp_backward = self.mlp(x)
        y, ln_2_backward = self.ln_2(x + hidden)

        def post_norm_backward(dy):
            dsum = ln_2_backward(dy)
            dsum = ln_1_backward(dsum + mlp_backward(dsum))
            dquery, dkey, dvalue, *_ = attention_backward(dsum)
            return dsum + dquery + dkey + dvalue, None

        return (y, kept), post_norm_backward
        normed, ln_1_backward = self.ln_1(x)"""

EMBEDDINGS = [
    embed(
        "GPT: positions begin at 1",
        POSITIONS,
        "1 + " + POSITIONS,
        "forward",
        r"passes positions \+ 1 to wpe",
        cases=DEEP,
    ),
    embed(
        "GPT: positions begin anew behind the cache",
        POSITIONS,
        "np.arange(tokens.shape[1])",
        "forward",
        "passes numbers from 0 on as positions to wpe",
        cases=CACHED,
    ),
    embed(
        "GPT: positions behind the cache one step late",
        POSITIONS,
        POSITIONS + " - (before > 0)",
        "forward",
        "passes positions - 1 to wpe",
        cases=CACHED,
    ),
    embed(
        "GPT: positions left out",
        "self.wpe(x, " + POSITIONS + ")",
        "x, lambda dx: (dx, None)",
        "forward",
        "leaves wpe out",
    ),
    embed(
        "GPT: embeddings multiplied by the root of their width",
        "self.wpe(x, ",
        "self.wpe(x * x.shape[-1] ** 0.5, ",
        "forward",
        "multiplies the output of wte by the root of its width",
    ),
    embed(
        "GPT: the gradient of the tied weight is the head's alone",
        "wte_backward(dx)",
        "pass",
        "backward",
        "loses the gradient of the output of wte",
        cases=DEEP,
    ),
    embed(
        "GPT: dropout of the embeddings left out",
        "self.dropout(x)",
        "x, lambda dx: dx",
        "forward",
        "leaves dropout out",
        cases=("gpt-dropout", "gpt-continued-to-the-end"),
    ),
    read(
        "GPT: the gradient of the tied weight is the embedding's alone",
        "ln_f_backward(lm_head_backward(dlogits))",
        "ln_f_backward(dlogits @ self.lm_head.weight.data)",
        "backward",
        "loses the gradient of lm_head for its shared parameters",
    ),
    built(
        "GPT: weights tied by a copy, whose gradients go apart",
        "self.lm_head.weight = self.wte.weight",
        "self.lm_head.weight.data = self.wte.weight.data",
        "backward",
        r"lm_head.weight is not expected",
    ),
]

NORMS = [
    block(
        "Block: post-norm for pre-norm",
        "normed, ln_1_backward = self.ln_1(x)",
        POST_NORM,
        "forward",
        "normalises after each sum",
        cases=DEEP,
    ),
    block(
        "Block: attention added to what is normalised",
        "x = x + attended",
        "x = normed + attended",
        "forward",
        "takes the residual connection from after the norm in sum 1",
        cases=DEEP,
    ),
    block(
        "Block: the feed-forward part added to what is normalised",
        "(x + hidden, kept)",
        "(normed + hidden, kept)",
        "forward",
        "takes the residual connection from after the norm in sum 2",
    ),
    block("Block: attention not normalised", "self.ln_1(x)", "x, lambda dx: dx", "forward", "leaves ln_1 out"),
    block("Block: the feed-forward part not normalised", "self.ln_2(x)", "x, lambda dx: dx", "forward", "leaves ln_2 out"),
    read("GPT: the last norm left out", "self.ln_f(x)", "x, lambda dx: dx", "forward", "leaves ln_f out"),
    block("Block: one norm for both parts", "self.ln_2(x)", "self.ln_1(x)", "forward", None),
]

PAST_THE_PARTS = [
    block("Block: nothing goes past attention", "x = x + attended", "x = attended", "forward", "the first term of sum 1 out"),
    block("Block: attention left out", "x = x + attended", "x = x + 0 * attended", "forward", "second term of sum 1 out"),
    block(
        "Block: nothing goes past the feed-forward part",
        "(x + hidden, kept)",
        "(hidden, kept)",
        "forward",
        "leaves the first term of sum 2 out",
    ),
    block(
        "Block: no gradient past attention",
        "return dx + ln_1_backward(",
        "return ln_1_backward(",
        "backward",
        "loses the gradient of the first term of sum 1",
        cases=DEEP,
    ),
    block(
        "Block: no gradient past the feed-forward part",
        "dx = dy + ln_2",
        "dx = ln_2",
        "backward",
        "loses the gradient of the first term of sum 2",
    ),
    block(
        "Block: no gradient through the feed-forward part",
        "ln_2_backward(mlp_backward(hidden_dropout_backward(dy)))",
        "0 * ln_2_backward(mlp_backward(hidden_dropout_backward(dy)))",
        "backward",
        "argument input of ln_2",
    ),
    block(
        "Block: no gradient through the keys",
        "dquery + dkey + dvalue",
        "dquery + dvalue",
        "backward",
        "loses the gradient of the argument key of attention",
    ),
    block(
        "Block: no gradient through the values",
        "dquery + dkey + dvalue",
        "dquery + dkey",
        "backward",
        "loses the gradient of the argument value of attention",
    ),
    block(
        "Block: dropout of the feed-forward part left out",
        "self.dropout(hidden)",
        "hidden, lambda dy: dy",
        "forward",
        "leaves call 2 of dropout out",
        cases=("gpt-dropout",),
    ),
    block(
        "Block: dropout of attention left out of the backward",
        "attention_backward(attended_dropout_backward(dx))",
        "attention_backward(dx)",
        "backward",
        "leaves call 1 of dropout out of the backward pass",
        cases=("gpt-dropout",),
    ),
    read(
        "GPT: the blocks' backwards in the order of the forward pass",
        "run_in_reverse(backwards,",
        "run_in_reverse(backwards[::-1],",
        "backward",
        "is what grad blocks",
    ),
    read("GPT: the last block backwards alone", "(backwards,", "(backwards[-1:],", "backward", "is missing"),
]

CACHE = [
    read(
        "GPT: the cache read one step late",
        "zip(*state, strict=True)",
        "zip(*(part[..., :-1, :] for part in state), strict=True)",
        "forward",
        "passes past without its last step to every module in blocks",
        cases=CACHED,
    ),
    read(
        "GPT: the cache not read",
        "block(x, past)",
        "block(x, None)",
        "forward",
        "pass past to every module in blocks",
        cases=CACHED,
    ),
    read(
        "GPT: keys and values of the cache swapped",
        "zip(*state, strict=True)",
        "zip(*state[::-1], strict=True)",
        "forward",
        "passes the tensors of past in reverse order to every module in blocks",
        cases=CACHED,
    ),
    read(
        "GPT: the layers' caches in the reverse order",
        "zip(*state, strict=True)",
        "zip(*(part[::-1] for part in state), strict=True)",
        "forward",
        None,
        cases=CACHED,
    ),
]

ATTENTION = [
    attention(
        "GPT: scores not scaled",
        "1 / math.sqrt(E) if scale is None else float(scale)",
        "1.0",
        "forward",
        "does not scale the scores",
        function="ops.attention.attention_weights",
        cases=DEEP,
    ),
    attention(
        "GPT: scores scaled by the width of the model",
        '"scale": self.scale',
        '"scale": self.embed_dim**-0.5',
        "forward",
        "width of all heads",
        function="layers.attention.MultiheadAttention._options",
        cases=DEEP,
    ),
    attention(
        "GPT: each token sees the next",
        "np.tri(L, S, causal_offset, dtype=bool)",
        "np.tri(L, S, causal_offset + 1, dtype=bool)",
        "forward",
        "one key too many",
        function="ops.attention.attention_weights",
        cases=DEEP,
    ),
    attention(
        "GPT: no token sees itself",
        "np.tri(L, S, causal_offset, dtype=bool)",
        "np.tri(L, S, causal_offset - 1, dtype=bool)",
        "forward",
        "one key too few",
        function="ops.attention.attention_weights",
    ),
    attention(
        "GPT: heads split without the transpose",
        "x.reshape(B, T, width // self.head_dim, self.head_dim).swapaxes(1, 2)",
        "x.reshape(B, width // self.head_dim, T, self.head_dim)",
        "forward",
        "with a reshape only",
        function="layers.attention.MultiheadAttention._split",
        cases=DEEP,
    ),
    block(
        "Block: attention not causal",
        "normed, None, True, past)",
        "normed, None, False, past)",
        "forward",
        "passes is_causal = False to attention",
    ),
]

FAULTS = [*EMBEDDINGS, *NORMS, *PAST_THE_PARTS, *CACHE, *ATTENTION]
