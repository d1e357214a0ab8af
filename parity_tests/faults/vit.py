"""Faults of the Vision Transformer: lost tokens and positions, patches in the wrong order, mixed heads."""

from functools import partial

from parity_tests.faults.fault import Fault

interpolate = partial(
    Fault,
    function="ops.interpolate_positions.interpolate_positions",
    cases=("interpolate_positions-larger", "interpolate_positions-smaller", "interpolate_positions-one-side"),
    culprit="interpolate_positions",
)
cubic = partial(interpolate, function="ops.interpolate_positions.cubic_weights")
attention = partial(
    Fault,
    function="layers.self_attention.SelfAttention.forward",
    cases=("SelfAttention", "vit"),
    culprit="SelfAttention",
)
projected = partial(attention, function="layers.self_attention.SelfAttention._projected")
block = partial(Fault, function="models.vit.EncoderBlock.forward", cases=("vit", "vit-mean", "vit-deep"), culprit="EncoderBlock")
encoder = partial(Fault, function="models.vit.Encoder.forward", cases=("vit", "vit-larger", "vit-deep"), culprit="Encoder")
placed = partial(encoder, function="models.vit.Encoder._placed")
vit = partial(Fault, function="models.vit.ViT.forward", cases=("vit", "vit-dropout"), culprit="ViT")
embedded = partial(vit, function="models.vit.ViT._embed")

POSITIONS = [
    interpolate(
        "interpolate_positions: positions not interpolated",
        "weights @ positions[:, first:]",
        "np.resize(positions[:, first:], (1, H * W, positions.shape[2]))",
        "forward",
        "does not interpolate",
    ),
    interpolate(
        "interpolate_positions: the grid's width for its height",
        "(h, w), (H, W) = grid, size",
        "(w, h), (H, W) = grid, size",
        "forward",
        "swaps the width and the height of the grid",
        cases=("interpolate_positions-larger", "interpolate_positions-smaller"),
    ),
    interpolate(
        "interpolate_positions: transposed",
        "np.kron(cubic_weights(h, H), cubic_weights(w, W))",
        "np.kron(cubic_weights(h, W), cubic_weights(w, H))",
        "forward",
        None,
        cases=("interpolate_positions-larger", "interpolate_positions-smaller"),
    ),
    interpolate(
        "interpolate_positions: the token's position left out of the gradient",
        "[dy[:, :first], weights.T",
        "[0 * dy[:, :first], weights.T",
        "backward",
        "differs only first along axis 1",
        cases=("interpolate_positions-larger", "interpolate_positions-smaller"),
    ),
    interpolate(
        "interpolate_positions: the token's position at the end",
        "[positions[:, :first], weights @ positions[:, first:]]",
        "[weights @ positions[:, first:], positions[:, :first]]",
        "forward",
        "shifted by -1 along axis 1",
        cases=("interpolate_positions-larger", "interpolate_positions-smaller"),
    ),
    interpolate(
        "interpolate_positions: the gradient interpolated the other way",
        "weights.T @ dy[:, first:]",
        "np.kron(cubic_weights(H, h), cubic_weights(W, w)) @ dy[:, first:]",
        "backward",
        None,
    ),
    cubic(
        "interpolate_positions: corners aligned",
        "(np.arange(m) + 0.5) * n / m - 0.5",
        "np.arange(m) * (n - 1) / (m - 1)",
        "forward",
        "aligns the corners",
        cases=("interpolate_positions-larger", "interpolate_positions-smaller"),
    ),
    cubic("interpolate_positions: half a pixel off", " - 0.5\n", "\n", "forward", None),
    cubic(
        "interpolate_positions: linear",
        "np.where(d <= 1, near, far)",
        "np.maximum(1 - d, 0)",
        "forward",
        "interpolates linearly",
    ),
    cubic("interpolate_positions: another cubic", "(A + 2) * d - (A + 3)", "1.5 * d - 2.5", "forward", None),
    cubic(
        "interpolate_positions: zeros beyond the edges",
        "np.where(d <= 1, near, far)",
        "np.where(d <= 1, near, far) * (at == np.clip(at, 0, n - 1))",
        "forward",
        None,
    ),
    cubic(
        "interpolate_positions: numbers beyond the ends overwritten, not added",
        "n - 1)] += np",
        "n - 1)] = np",
        "forward",
        None,
    ),
]

ATTENTION = [
    projected(
        "SelfAttention: each head's queries, keys and values side by side",
        "reshape(B, T, 3, self.num_heads, width // self.num_heads).transpose(2, 0, 3, 1, 4)",
        "reshape(B, T, self.num_heads, 3, -1).transpose(3, 0, 2, 1, 4)",
        "forward",
        None,
    ),
    projected(
        "SelfAttention: heads take every n-th number",
        "reshape(B, T, 3, self.num_heads, width // self.num_heads).transpose(2, 0, 3, 1, 4)",
        "reshape(B, T, 3, -1, self.num_heads).transpose(2, 0, 4, 1, 3)",
        "forward",
        "puts every H-th channel into one head",
    ),
    projected(
        "SelfAttention: keys, queries and values in the gradient",
        "for d in dheads]",
        "for d in (dheads[1], dheads[0], dheads[2])]",
        "backward",
        "grad in_proj_(weight|bias) holds the right numbers in the wrong order",
    ),
    projected(
        "SelfAttention: no gradient through the values",
        "for d in dheads]",
        "for d in (dheads[0], dheads[1], 0 * dheads[2])]",
        "backward",
        None,
    ),
    projected(
        "SelfAttention: bias left out",
        "self.in_proj_weight, self.in_proj_bias)",
        "self.in_proj_weight, None)",
        "forward",
        "leaves bias out",
    ),
    attention(
        "SelfAttention: queries and keys in each other's place",
        "scaled_dot_product_attention(query, key, value)",
        "scaled_dot_product_attention(key, query, value)",
        "forward",
        "swaps query and key",
    ),
    attention(
        "SelfAttention: scores not scaled",
        "scaled_dot_product_attention(query, key, value)",
        "scaled_dot_product_attention(query, key, value, scale=1.0)",
        "forward",
        "scale",
    ),
    attention(
        "SelfAttention: scaled by the width of all heads",
        "scaled_dot_product_attention(query, key, value)",
        "scaled_dot_product_attention(query, key, value, scale=width**-0.5)",
        "forward",
        "the width of all heads",
    ),
    attention(
        "SelfAttention: causal, as in a language model",
        "scaled_dot_product_attention(query, key, value)",
        "scaled_dot_product_attention(query, key, value, is_causal=True)",
        "forward",
        "is_causal",
    ),
    attention(
        "SelfAttention: heads joined without their order",
        "attended.swapaxes(1, 2).reshape(B, T, width)",
        "attended.reshape(B, T, width)",
        "forward",
        "joins heads with a reshape only",
    ),
    attention(
        "SelfAttention: the last map left out",
        "y, out_backward = self.out_proj(attended.swapaxes(1, 2).reshape(B, T, width))",
        "y, out_backward = attended.swapaxes(1, 2).reshape(B, T, width), lambda dy: dy",
        "forward",
        "leaves out_proj out",
    ),
]

BLOCKS = [
    block("ViT: the attention's residual left out", "x = x + attended", "x = attended", "forward", "first term of sum 1 out"),
    block(
        "ViT: the feed-forward part's residual left out", "return x + hidden", "return hidden", "forward", "first term of sum 2 out"
    ),
    block(
        "ViT: the residual taken behind the norm",
        "self.ln_2(x)\n",
        "self.ln_2(x); x = normed\n",
        "forward",
        "takes the residual connection from after the norm in sum 2",
    ),
    block(
        "ViT: one norm for both parts",
        "self.ln_2(x)\n",
        "self.ln_1(x)\n",
        "forward",
        None,
    ),
    block(
        "ViT: dropout of the attention left out",
        "self.dropout(attended)",
        "(attended, lambda dy: dy)",
        "forward",
        "leaves dropout out",
        cases=("vit-dropout", "vit-smaller"),
    ),
    block(
        "ViT: no gradient through the attention's residual",
        "return dx + ln_1_backward",
        "return ln_1_backward",
        "backward",
        "loses the gradient of the first term of sum 1",
    ),
    block(
        "ViT: no gradient through the feed-forward part's residual",
        "dx = dy + ln_2_backward",
        "dx = ln_2_backward",
        "backward",
        "loses the gradient of the first term of sum 2",
    ),
    block(
        "ViT: the attention's gradient from the block's end",
        "dropout_backward(dx)",
        "dropout_backward(dy)",
        "backward",
        "grad self_attention.out_proj.bias is what grad mlp.3.bias should be",
    ),
    block(
        "ViT: GELU by tanh",
        "GELU()",
        'GELU("tanh")',
        "forward",
        "its approximate is 'tanh'",
        function="models.vit.EncoderBlock.__init__",
        culprit="GELU",
    ),
]

ENCODER = [
    placed(
        "ViT: positions left out",
        "self.dropout(x + positions)",
        "self.dropout(x + 0 * positions)",
        "forward",
        "leaves the second term of the sum out",
    ),
    placed(
        "ViT: positions added twice",
        "self.dropout(x + positions)",
        "self.dropout(x + positions + positions)",
        "forward",
        None,
    ),
    placed(
        "ViT: the same position for every patch",
        "self.dropout(x + positions)",
        "self.dropout(x + positions[:, :1])",
        "forward",
        None,
    ),
    placed(
        "ViT: positions in place of the patches",
        "self.dropout(x + positions)",
        "self.dropout(0 * x + positions)",
        "forward",
        None,
    ),
    placed(
        "ViT: positions not interpolated",
        "interpolate_positions(self.pos_embedding.data, self.grid, grid)",
        "np.concatenate([self.pos_embedding.data[:, :1], np.resize(self.pos_embedding.data[:, 1:], x[:1, 1:].shape)], axis=1), "
        "lambda dy: np.zeros_like(self.pos_embedding.data)",
        "forward",
        "does not interpolate",
        cases=("vit-larger", "vit-smaller"),
    ),
    placed(
        "ViT: the gradient of positions averaged over the batch",
        "dx.sum(axis=0, keepdims=True)",
        "dx.mean(axis=0, keepdims=True)",
        "backward",
        "grad pos_embedding needs the factor 3",
    ),
    placed(
        "ViT: positions not trained",
        "self.pos_embedding.accumulate(positions_backward(dx.sum(axis=0, keepdims=True)))",
        "pass",
        "backward",
        "grad pos_embedding is missing",
    ),
    placed(
        "ViT: dropout before the positions",
        "y, dropout_backward = self.dropout(x + positions)",
        "y, dropout_backward = self.dropout(x); y = y + positions",
        "forward",
        None,
        cases=("vit-dropout", "vit-smaller"),
    ),
    encoder(
        "ViT: the last norm left out",
        "y, ln_backward = self.ln(x)",
        "y, ln_backward = x, lambda dy: dy",
        "forward",
        "leaves ln out",
    ),
    encoder(
        "ViT: the layers left out of the backward",
        "layers_backward(ln_backward(dy))",
        "ln_backward(dy)",
        "backward",
        "is missing",
        cases=("vit", "vit-larger"),
    ),
]

MODEL = [
    vit("ViT: the first patch for the class token", "slice(0, 1)", "slice(1, 2)", "forward", None),
    vit(
        "ViT: the last patch for the class token",
        "slice(0, 1)",
        "slice(-1, None)",
        "forward",
        "takes the last entry along an axis instead of the first",
    ),
    vit(
        "ViT: mean pooling over the class token too",
        "slice(1, None)",
        "slice(0, None)",
        "forward",
        None,
        cases=("vit-mean", "vit-smaller"),
    ),
    vit(
        "ViT: mean pooling for the class token, and the class token for mean pooling",
        'self.pool == "token"',
        'self.pool == "mean"',
        "forward",
        None,
        cases=("vit", "vit-mean"),
    ),
    vit(
        "ViT: sum pooling for mean pooling",
        "x[:, seen].mean(axis=1)",
        "x[:, seen].sum(axis=1)",
        "forward",
        None,
        cases=("vit-mean", "vit-smaller"),
    ),
    vit(
        "ViT: the mean's gradient not divided",
        " / x[:, seen].shape[1]",
        "",
        "backward",
        "needs the factor 1/",
        cases=("vit-mean", "vit-smaller"),
    ),
    vit(
        "ViT: the head's gradient to every patch",
        "dx[:, seen] =",
        "dx[:] =",
        "backward",
        "gives the gradient of the first entry along an axis to all entries",
    ),
    embedded(
        "ViT: class token dropped",
        "np.broadcast_to(self.class_token.data, (B, 1, width))",
        "np.zeros((B, 1, width), patches.dtype)",
        "forward",
        None,
    ),
    embedded(
        "ViT: class token behind the patches",
        "[tokens, vectors]",
        "[vectors, tokens]",
        "forward",
        "joins the tensors in reverse order",
    ),
    embedded(
        "ViT: class token not trained",
        "self.class_token.accumulate(dx[:, :1].sum(axis=0, keepdims=True))",
        "pass",
        "backward",
        "grad class_token is missing",
    ),
    embedded(
        "ViT: the class token's gradient averaged over the batch",
        "dx[:, :1].sum(axis=0",
        "dx[:, :1].mean(axis=0",
        "backward",
        "grad class_token needs the factor 3",
    ),
    embedded(
        "ViT: patches column by column",
        "patches.reshape(B, width, h * w)",
        "patches.swapaxes(2, 3).reshape(B, width, h * w)",
        "forward",
        None,
    ),
    embedded(
        "ViT: patches cut across their channels",
        "patches.reshape(B, width, h * w).swapaxes(1, 2)",
        "patches.reshape(B, h * w, width)",
        "forward",
        "with a reshape only",
    ),
    embedded(
        "ViT: the patches' gradient across their channels",
        "dx[:, 1:].swapaxes(1, 2).reshape",
        "dx[:, 1:].reshape",
        "backward",
        None,
    ),
    vit(
        "ViT: patches that overlap by one",
        "stride=self.patch)",
        "stride=(self.patch[0], self.patch[1] - 1))",
        "forward",
        r"its stride is \(5, 2\), expected \(5, 3\)",
        function="models.vit.ViT.__init__",
        cases=("vit",),
        culprit="Conv2d",
    ),
]

FAULTS = [*POSITIONS, *ATTENTION, *BLOCKS, *ENCODER, *MODEL]
