"""Faults of attention: scores, masks, softmax, grouped heads, blocks of queries, and the layer with its key-value cache."""

from functools import partial

from parity_tests.faults.fault import Fault

CULPRIT = "scaled_dot_product_attention|MultiheadAttention"
CASES = ("attention", "attention-causal", "MultiheadAttention")
CAUSAL = ("attention-causal", "attention-causal-fewer-queries", "MultiheadAttention-causal")
MASKED = ("attention-masked", "attention_weights-masked", "MultiheadAttention-masked")
BIASED = ("attention-bias", "MultiheadAttention-bias")
GROUPED = ("attention-grouped", "MultiheadAttention-grouped")
BLOCKS = ("attention-blocks", "attention-blocks-causal")
PAST = ("MultiheadAttention-past", "MultiheadAttention-past-grouped")

weights = partial(Fault, function="ops.attention.attention_weights", culprit=CULPRIT)
scores = partial(weights, cases=CASES)
masks = partial(weights, cases=MASKED)
bias = partial(weights, cases=BIASED)
values = partial(Fault, function="ops.attention.scaled_dot_product_attention", culprit=CULPRIT, cases=CASES)
dropped = partial(values, cases=("attention-dropout", "attention-dropout-ragged"))
grouped = partial(Fault, function="ops.attention._for_every_head", culprit=CULPRIT, cases=GROUPED)
blocks = partial(Fault, function="fast.blockwise_attention.Blocks.backward", culprit=CULPRIT, cases=BLOCKS)
blocks_forward = partial(blocks, function="fast.blockwise_attention.Blocks.forward")
blocks_scores = partial(blocks, function="fast.blockwise_attention.Blocks.scores")
blocks_triangle = partial(blocks, function="fast.blockwise_attention.Blocks.__init__")
blocks_seen = partial(blocks, function="fast.blockwise_attention.Blocks.seen_by")
blocks_options = partial(blocks, function="fast.blockwise_attention.blockwise_attention")
shares = partial(Fault, function="fast.blockwise_attention._shares", culprit=CULPRIT)
part = partial(Fault, function="fast.blockwise_attention._part", culprit=CULPRIT, cases=("attention-blocks-bias",))
causal_mask = partial(Fault, function="ops.masks.causal_mask", culprit="causal_mask", cases=("causal_mask", "causal_mask-offset"))
padding_mask = partial(Fault, function="ops.masks.padding_mask", culprit="padding_mask", cases=("padding_mask",))

layer = partial(Fault, culprit="MultiheadAttention", cases=("MultiheadAttention", "MultiheadAttention-ragged"))
forward = partial(layer, function="layers.attention.MultiheadAttention.forward")
split = partial(layer, function="layers.attention.MultiheadAttention._split")
options = partial(layer, function="layers.attention.MultiheadAttention._options", cases=PAST)
past = partial(layer, function="layers.attention.MultiheadAttention._continued", cases=PAST)

SCALE = "1 / math.sqrt(E) if scale is None else float(scale)"
CAUSAL_MASK = "np.tri(L, S, causal_offset, dtype=bool)"
MASK = "np.where(attn_mask, scores, -np.inf)"
SECOND_TERM = "dweights - (dweights * weights).sum(axis=-1, keepdims=True)"

DEFINITION = [
    scores("attention: not scaled", SCALE, "1.0", "forward", "does not scale the scores"),
    scores("attention: scaled by the width of the model", SCALE, "(E * query.shape[-3]) ** -0.5", "forward", "width of all heads"),
    scores("attention: divided by the width of a head", SCALE, "1 / E", "forward", "divides the scores by E"),
    scores("attention: multiplied by the root", SCALE, "math.sqrt(E)", "forward", "multiplies the scores by √E"),
    scores("attention: scaled twice", "* scale  #", "* scale * scale  #", "forward", "scales the scores twice"),
    scores(
        "attention: scale not taken notice of",
        SCALE,
        "1 / math.sqrt(E)",
        "forward",
        "ignores the option scale and uses 1/√E",
        cases=("attention-scale", "MultiheadAttention-bias"),
    ),
    scores(
        "attention: query and key swapped",
        "query @ keys.swapaxes(-1, -2) * scale",
        "keys @ query.swapaxes(-1, -2) * scale",
        "forward",
        "swaps query and key",
        cases=("attention-causal", "MultiheadAttention-causal"),
    ),
    scores(
        "attention: softmax over the queries",
        "highest = scores.max(axis=-1, keepdims=True, initial=-np.inf)",
        "weights = np.exp(scores); weights /= weights.sum(axis=-2, keepdims=True); return weights, None; highest = scores",
        "forward",
        "softmax over the queries",
        cases=("attention", "MultiheadAttention"),
    ),
    scores(
        "attention: largest score of all subtracted",
        "scores.max(axis=-1, keepdims=True, initial=-np.inf)",
        "scores.max(initial=-np.inf)",
        "forward",
        "float64 agrees|NaN or infinite",
        cases=("attention-spread",),
        dtype="float32",
    ),
    scores(
        "attention: largest score not subtracted",
        "np.exp(scores - np.where(highest == -np.inf, 0, highest))",
        "np.exp(scores)",
        "forward",
        "float64 agrees|NaN or infinite",
        cases=("attention-spread",),
        dtype="float32",
    ),
    scores(
        "attention: weights not divided by their total",
        "total == 0",
        "total == total",
        "forward",
        "does not divide the exponentials by their sum",
    ),
    scores(
        "attention: one key too many",
        CAUSAL_MASK,
        "np.tri(L, S, 1 + causal_offset, dtype=bool)",
        "forward",
        "one key too many",
        cases=CAUSAL,
    ),
    scores(
        "attention: one key too few",
        CAUSAL_MASK,
        "np.tri(L, S, causal_offset - 1, dtype=bool)",
        "forward",
        "one key too few",
        cases=CAUSAL,
    ),
    scores(
        "attention: later keys",
        CAUSAL_MASK,
        "~np.tri(L, S, causal_offset - 1, dtype=bool)",
        "forward",
        "lets each query attend to the keys after it",
        cases=CAUSAL,
    ),
    scores(
        "attention: causal mask aligned to the last key",
        CAUSAL_MASK,
        "np.tri(L, S, S - L, dtype=bool)",
        "forward",
        "aligns the causal mask to the last key",
        cases=("attention-causal-fewer-queries", "attention-causal-more-queries"),
    ),
    scores(
        "attention: offset not taken notice of",
        CAUSAL_MASK,
        "np.tri(L, S, dtype=bool)",
        "forward",
        "to the first key|ignores the offset",
        cases=("attention-causal-offset", *PAST),
    ),
    scores(
        "attention: not causal", "if is_causal:", "if False:", "forward", "ignores is_causal|leaves attn_mask out", cases=CAUSAL
    ),
    masks(
        "attention: mask turned round", MASK, "np.where(attn_mask, -np.inf, scores)", "forward", "masks the keys whose mask is true"
    ),
    masks("attention: mask left out", MASK, "scores", "forward", "leaves attn_mask out"),
    masks(
        "attention: mask multiplies the scores",
        MASK,
        "scores * attn_mask",
        "forward",
        "sets masked scores to 0; they are minus infinity",
    ),
    masks("attention: boolean mask added", "if attn_mask.dtype == bool else", "if attn_mask is None else", "forward", "as 0 and 1"),
    masks(
        "attention: 10,000 for infinity",
        MASK,
        "np.where(attn_mask, scores, -1e4)",
        "forward",
        "uses a large negative number for minus infinity",
    ),
    masks(
        "attention: 10,000 added for infinity",
        MASK,
        "np.where(attn_mask, scores, scores - 1e4)",
        "forward",
        "differs only|lacks the factor attn_mask",
    ),
    masks(
        "attention: lowest number for infinity",
        MASK,
        "np.where(attn_mask, scores, np.finfo(scores.dtype).min)",
        "forward",
        "uses a large negative number for minus infinity",
    ),
    masks("attention: nothing to attend divides by 0", "np.where(total == 0, 1, total)", "total", "forward", "NaN"),
    masks(
        "attention: nothing to attend has no largest score", "np.where(highest == -np.inf, 0, highest)", "highest", "forward", "NaN"
    ),
    masks(
        "attention: masked after the softmax",
        "weights /= np.where(total == 0, 1, total)",
        "free = np.exp(query @ keys.swapaxes(-1, -2) * scale); weights = free / free.sum(axis=-1, keepdims=True) * attn_mask",
        "forward",
        "masks after the softmax",
    ),
    bias(
        "attention: bias scaled too",
        "else scores + attn_mask",
        "else scores + attn_mask * scale",
        "forward",
        "scales the added mask together with the scores",
        cases=("attention-bias", "attention-bias-of-keys"),
    ),
    bias("attention: bias subtracted", "else scores + attn_mask", "else scores - attn_mask", "forward", None),
    bias(
        "attention: no gradient of the bias",
        "sum_to_shape(dscores, attn_mask.shape)",
        "None",
        "backward",
        "grad attn_mask is missing",
    ),
    bias(
        "attention: gradient of the bias scaled",
        "sum_to_shape(dscores, attn_mask.shape)",
        "sum_to_shape(dscores * scale, attn_mask.shape)",
        "backward",
        "grad attn_mask needs the factor",
        cases=("attention-bias",),
    ),
    bias(
        "attention: gradient of the bias not summed over the batch",
        "sum_to_shape(dscores, attn_mask.shape)",
        "dscores",
        "backward",
        "not summed over the broadcast axis 0",
        cases=("attention-bias-of-heads", "MultiheadAttention-bias"),
    ),
    bias(
        "attention: gradient of the bias of the first sample",
        "sum_to_shape(dscores, attn_mask.shape)",
        "dscores[0]",
        "backward",
        None,
        cases=("attention-bias-of-heads", "MultiheadAttention-bias"),
    ),
    scores(
        "attention: softmax's second term missing", SECOND_TERM, "dweights", "backward", "second term of the Jacobian is missing"
    ),
    scores(
        "attention: softmax's second term added", SECOND_TERM, SECOND_TERM.replace(" - ", " + "), "backward", "adds the second term"
    ),
    scores(
        "attention: softmax's second term over the queries",
        SECOND_TERM,
        SECOND_TERM.replace("-1", "-2"),
        "backward",
        "second term of the softmax's gradient over the queries",
    ),
    scores("attention: gradient not through the softmax", "weights * (dweights -", "(dweights -", "backward", None),
    scores(
        "attention: gradient of query not scaled",
        "dscores @ keys * scale",
        "dscores @ keys",
        "backward",
        "grad query needs the factor 1/√5",
        cases=("attention", "attention-causal"),
    ),
    scores(
        "attention: gradient of key not scaled",
        "@ query * scale)",
        "@ query)",
        "backward",
        "grad key needs the factor 1/√5",
        cases=("attention", "attention-causal"),
    ),
    scores(
        "attention: gradient of key of the scaled scores",
        "@ query * scale)",
        "@ query * scale * scale)",
        "backward",
        "grad key needs the factor √5",
        cases=("attention", "attention-causal"),
    ),
    scores(
        "attention: gradient of key transposed",
        "dscores.swapaxes(-1, -2) @ query",
        "dscores @ query",
        "backward",
        None,
        cases=("attention-causal", "MultiheadAttention-causal"),
    ),
    values(
        "attention: values' gradient by the transposed weights",
        "dropped.swapaxes(-1, -2) @ dy",
        "dropped @ dy",
        "backward",
        None,
        cases=("attention-causal", "MultiheadAttention-causal"),
    ),
    values(
        "attention: gradient of values with the sign wrong",
        "values_backward(dropped",
        "values_backward(-dropped",
        "backward",
        "grad value has the wrong sign",
        cases=("attention", "attention-causal"),
    ),
    values(
        "attention: mask of dropout not in the backward",
        "if dropout_backward is not None:",
        "if False:",
        "backward",
        None,
        cases=("attention-dropout", "attention-dropout-ragged"),
    ),
    dropped(
        "attention: values' gradient by weights that are not dropped", "(dropped.swapaxes", "(weights.swapaxes", "backward", None
    ),
    dropped("attention: dropout left out", "if keep is None else dropout", "if True else dropout", "forward", None),
    grouped(
        "attention: heads repeated in rounds",
        "np.repeat(x, each, axis=-3)",
        "np.concatenate([x] * each, axis=-3)",
        "forward",
        "repeats grouped heads in rounds",
    ),
    grouped("attention: gradient of grouped heads averaged", "sum(axis=-3)", "mean(axis=-3)", "backward", "needs the factor 3"),
    grouped(
        "attention: gradient of the first grouped head alone",
        "dy.reshape(*batch, G, each, S, D).sum(axis=-3)",
        "dy[..., ::each, :, :]",
        "backward",
        "gives grouped keys and values the gradient of only the first head in each group",
    ),
    grouped(
        "attention: gradient of grouped heads in rounds",
        "dy.reshape(*batch, G, each, S, D).sum(axis=-3)",
        "dy.reshape(*batch, each, G, S, D).sum(axis=-4)",
        "backward",
        None,
    ),
]

IN_BLOCKS = [
    blocks_scores(
        "blocks: scaled twice",
        "scaled[..., rows, :] @ keys",
        "self.scale * scaled[..., rows, :] @ keys",
        "forward",
        "scales the scores twice",
    ),
    blocks_triangle(
        "blocks: one key too many",
        "np.tri(BLOCK, dtype=bool)",
        "np.tri(BLOCK, BLOCK, 1, dtype=bool)",
        "forward",
        None,
        cases=("attention-blocks-causal", "attention-blocks-fewer-keys"),
    ),
    blocks_triangle(
        "blocks: one key too few",
        "np.tri(BLOCK, dtype=bool)",
        "np.tri(BLOCK, BLOCK, -1, dtype=bool)",
        "forward",
        "one key too few",
        cases=("attention-blocks-causal",),
    ),
    blocks_seen(
        "blocks: keys of the block itself left out",
        "slice(0, min(rows.stop + self.causal_offset, S)",
        "slice(0, min(rows.start + 1 + self.causal_offset, S)",
        "forward",
        None,
        cases=("attention-blocks-causal",),
    ),
    blocks_scores(
        "blocks: triangle at the first key",
        "s[..., rows.start + self.causal_offset :]",
        "s[..., self.causal_offset:][..., :BLOCK]",
        "forward",
        None,
        cases=("attention-blocks-causal",),
    ),
    blocks_seen(
        "blocks: offset not taken notice of",
        "min(rows.stop + self.causal_offset, S)",
        "min(rows.stop, S)",
        "forward",
        None,
        cases=("attention-blocks-causal-offset",),
    ),
    blocks_forward(
        "blocks: weights not divided by their total",
        "kept / sums, out",
        "kept / sums**0, out",
        "forward",
        "does not divide the exponentials by their sum",
    ),
    blocks(
        "blocks: gradient not divided by the total",
        "dy[at] * (self.kept / self.total[at])",
        "dy[at] * self.kept",
        "backward",
        None,
    ),
    blocks(
        "blocks: largest score of the backward's not subtracted",
        "weights -= self.highest[(*at, rows)]",
        "pass",
        "backward",
        "constant along axis 3",
    ),
    blocks(
        "blocks: second term not through the total",
        "dscores -= through_total[..., rows, :]",
        "pass",
        "backward",
        "second term of the Jacobian is missing",
    ),
    blocks("blocks: second term not divided by the total", "[..., None] / self.total[at]", "[..., None]", "backward", None),
    blocks(
        "blocks: gradient of query not scaled",
        "np.multiply(dscores @ keys[..., seen, :], self.scale,",
        "np.multiply(dscores @ keys[..., seen, :], 1,",
        "backward",
        "grad query needs the factor 1/√5",
    ),
    blocks(
        "blocks: gradient of key not scaled",
        "dscores.swapaxes(-1, -2) @ scaled[..., rows, :]",
        "dscores.swapaxes(-1, -2) @ self.query[(*at, rows)]",
        "backward",
        "grad key needs the factor 1/√5",
    ),
    blocks(
        "blocks: gradient of key of the last block alone", "dkey[(*group, seen)] +=", "dkey[(*group, seen)] =", "backward", None
    ),
    blocks(
        "blocks: gradient of value of the last block alone",
        "dvalue[(*group, seen)] +=",
        "dvalue[(*group, seen)] =",
        "backward",
        None,
    ),
    blocks(
        "blocks: dropped weights in the softmax's gradient",
        "dscores *= weights",
        "dscores *= dropped",
        "backward",
        None,
        cases=("attention-blocks-dropout",),
    ),
    blocks(
        "blocks: value's gradient by weights that are not dropped",
        "dropped.swapaxes(-1, -2) @",
        "weights.swapaxes(-1, -2) @",
        "backward",
        None,
        cases=("attention-blocks-dropout",),
    ),
    blocks_options(
        "blocks: dropout's scale left out",
        "1 if keep is None else 1 / (1 - dropout_p)",
        "1 if keep is None else 1",
        "forward",
        "factor 1/.1 - 0.3.",
        cases=("attention-blocks-dropout",),
    ),
    blocks(
        "blocks: gradient of the bias of one block",
        "part += sum_to_shape(dscores, part.shape)",
        "part[...] = sum_to_shape(dscores, part.shape)",
        "backward",
        None,
        cases=("attention-blocks-bias",),
    ),
    shares(
        "blocks: heads served in rounds",
        "slice(first * each + i, min(first + length, H) * each, each)",
        "slice(first + i * H, min(first + length, H) + i * H)",
        "forward",
        "in rounds",
        cases=("attention-blocks-grouped",),
    ),
    part(
        "blocks: bias of the first queries for all blocks",
        "block[len(block) - array.ndim :]",
        "(*block[:-2], slice(0, block[-2].stop - block[-2].start), block[-1])[len(block) - array.ndim :]",
        "forward",
        None,
    ),
]

MASKS = [
    causal_mask("causal_mask: one key too many", "np.tri(L, S, offset,", "np.tri(L, S, offset + 1,", "forward", "one key too many"),
    causal_mask("causal_mask: one key too few", "np.tri(L, S, offset,", "np.tri(L, S, offset - 1,", "forward", "one key too few"),
    causal_mask(
        "causal_mask: turned round",
        "np.tri(L, S, offset, dtype=bool)",
        "~np.tri(L, S, offset, dtype=bool)",
        "forward",
        "true where a key is masked",
    ),
    causal_mask(
        "causal_mask: later keys",
        "np.tri(L, S, offset, dtype=bool)",
        "~np.tri(L, S, offset - 1, dtype=bool)",
        "forward",
        "upper triangle",
    ),
    causal_mask(
        "causal_mask: offset not taken notice of",
        "np.tri(L, S, offset,",
        "np.tri(L, S, 0,",
        "forward",
        "ignores the offset",
        cases=("causal_mask-offset",),
    ),
    causal_mask("causal_mask: float", "dtype=bool)", "dtype=float)", "forward", None),
    padding_mask(
        "padding_mask: one too many",
        "< lengths[:, None]",
        "<= lengths[:, None]",
        "forward",
        "treats one step after the end as valid",
    ),
    padding_mask("padding_mask: turned round", "< lengths[:, None]", ">= lengths[:, None]", "forward", None),
    padding_mask(
        "padding_mask: for queries, not keys",
        "[:, None, None], lambda",
        "[:, None, :, None], lambda",
        "forward",
        None,
    ),
]

LAYER = [
    split(
        "MultiheadAttention: heads split by a reshape alone",
        "x.reshape(B, T, width // self.head_dim, self.head_dim).swapaxes(1, 2)",
        "x.reshape(B, width // self.head_dim, T, self.head_dim)",
        "forward",
        "splits heads with a reshape only",
    ),
    split(
        "MultiheadAttention: heads interleaved",
        "x.reshape(B, T, width // self.head_dim, self.head_dim).swapaxes(1, 2)",
        "x.reshape(B, T, self.head_dim, width // self.head_dim).transpose(0, 3, 1, 2)",
        "forward",
        "every H-th channel",
    ),
    Fault(
        "MultiheadAttention: heads joined by a reshape alone",
        "heads.swapaxes(1, 2).reshape",
        "heads.reshape",
        "forward",
        "joins heads with a reshape only",
        "layers.attention._side_by_side",
        ("MultiheadAttention", "MultiheadAttention-ragged"),
        "MultiheadAttention",
    ),
    forward(
        "MultiheadAttention: key and value swapped",
        "scaled_dot_product_attention, queries, keys, values,",
        "scaled_dot_product_attention, queries, values, keys,",
        "forward",
        "swaps key and value",
    ),
    forward(
        "MultiheadAttention: keys attended in place of values",
        "scaled_dot_product_attention, queries, keys, values,",
        "scaled_dot_product_attention, queries, keys, keys,",
        "forward",
        "uses the keys as values",
    ),
    forward(
        "MultiheadAttention: value projected as key",
        "self._continued(self.v_proj, value, past_values)",
        "self._continued(self.k_proj, value, past_values)",
        "forward",
        None,
    ),
    forward(
        "MultiheadAttention: no projection of the output",
        "self.out_proj(_side_by_side(attended))",
        "(_side_by_side(attended), lambda dy: dy)",
        "forward",
        "leaves out_proj out",
    ),
    forward(
        "MultiheadAttention: mask left out",
        "keys, values, attn_mask, keep",
        "keys, values, None, keep",
        "forward",
        "ignores attn_mask",
        cases=("MultiheadAttention-ragged", "MultiheadAttention-masked"),
    ),
    forward(
        "MultiheadAttention: no gradient of the mask",
        "dmask[0] if attn_mask is not None else None",
        "None",
        "backward",
        "grad attn_mask is missing",
        cases=("MultiheadAttention-bias",),
    ),
    forward(
        "MultiheadAttention: gradients of query and key swapped",
        "gradients = queries_backward(dqueries), keys_backward(dkeys),",
        "gradients = keys_backward(dkeys), queries_backward(dqueries),",
        "backward",
        "grad query is what grad key should be",
        cases=("MultiheadAttention-causal",),
    ),
    forward(
        "MultiheadAttention: dropout in eval mode",
        "self.training and self.dropout > 0",
        "self.dropout > 0",
        "forward",
        "as in training",
        cases=("MultiheadAttention-dropout-eval",),
    ),
    forward(
        "MultiheadAttention: no dropout in training",
        "self.training and self.dropout > 0",
        "False",
        "forward",
        "as in eval mode",
        cases=("MultiheadAttention-dropout",),
    ),
    forward(
        "MultiheadAttention: keeps with the probability of dropping",
        ">= self.dropout",
        "< self.dropout",
        "forward",
        "keeps a value with probability p",
        cases=("MultiheadAttention-dropout",),
    ),
    forward(
        "MultiheadAttention: keeps what was there before alone",
        "return (y, (keys, values)), backward",
        "return (y, (keys, values) if past is None else past), backward",
        "forward",
        "has shape|",
        cases=PAST,
    ),
    options(
        "MultiheadAttention: causal as if nothing had come before",
        "0 if past_keys is None else past_keys.shape[2]",
        "0",
        "forward",
        "to the first key|ignores the offset",
    ),
    options(
        "MultiheadAttention: causal mask one step late",
        "else past_keys.shape[2]",
        "else past_keys.shape[2] - 1",
        "forward",
        "one key too few",
    ),
    options(
        "MultiheadAttention: causal mask one step early",
        "else past_keys.shape[2]",
        "else past_keys.shape[2] + 1",
        "forward",
        "one key too many",
    ),
    past(
        "MultiheadAttention: the past behind what is new",
        "np.concatenate([past, heads], axis=2)",
        "np.concatenate([heads, past], axis=2)",
        "forward",
        "joins the tensors in reverse order",
    ),
    past("MultiheadAttention: the past left out", "if past is None:", "if True:", "forward", "has shape|"),
    past(
        "MultiheadAttention: gradient of the past for what is new",
        "dheads[:, :, past.shape[2] :]",
        "dheads[:, :, : heads.shape[2]]",
        "backward",
        None,
    ),
]

FAULTS = [*DEFINITION, *IN_BLOCKS, *MASKS, *LAYER]
