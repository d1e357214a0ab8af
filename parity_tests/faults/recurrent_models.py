"""Faults of recurrent models and their parts: lost states, lengths and masks, and gradients that are lost or misdirected."""

from functools import partial

from parity_tests.faults.fault import Fault

char_lm = partial(
    Fault,
    function="models.char_language_model.CharLanguageModel.forward",
    cases=("char-lm-lstm", "char-lm-gru-deep"),
    culprit="CharLanguageModel",
)
names = partial(
    Fault, function="models.name_generator.NameGenerator.forward", cases=("names", "names-ragged"), culprit="NameGenerator"
)
sentiment = partial(
    Fault,
    function="models.sentiment_classifier.SentimentClassifier.forward",
    cases=("sentiment", "sentiment-max"),
    culprit="SentimentClassifier",
)
masked_mean = partial(
    Fault, function="ops.masked_pool.masked_mean", cases=("masked_mean", "sentiment"), culprit="masked_mean|MaskedMean"
)
masked_max = partial(
    Fault, function="ops.masked_pool.masked_max", cases=("masked_max-ties", "MaskedMax"), culprit="masked_max|MaskedMax"
)
additive = partial(
    Fault,
    function="ops.additive_attention.additive_attention",
    cases=("additive_attention-masked", "seq2seq-additive"),
    culprit="additive_attention|AdditiveAttention",
)
additive_layer = partial(
    Fault, function="layers.alignment.AdditiveAttention.forward", cases=("AdditiveAttention",), culprit="AdditiveAttention"
)
dot = partial(
    Fault, function="layers.alignment.DotAttention.forward", cases=("DotAttention", "seq2seq-dot"), culprit="DotAttention"
)
TRANSLATORS = ("seq2seq-dot", "seq2seq-additive")
seq2seq = partial(Fault, function="models.seq2seq.Seq2Seq.forward", cases=TRANSLATORS, culprit="Seq2Seq")
encoder = partial(Fault, function="models.seq2seq.Encoder.forward", cases=TRANSLATORS, culprit="Encoder")
decoder = partial(Fault, function="models.seq2seq.Decoder.forward", cases=TRANSLATORS, culprit="Decoder")

LANGUAGE_MODELS = [
    char_lm(
        "CharLanguageModel: weights tied by a copy, whose gradients go apart",
        "self.embedding.weight = self.head.weight",
        "self.embedding.weight.data = self.head.weight.data",
        "backward",
        "head.weight is not expected",
        function="models.char_language_model.CharLanguageModel.__init__",
        cases=("char-lm-gru-tied",),
    ),
    char_lm(
        "CharLanguageModel: the embedding not trained",
        "return embedding_backward(dx), dfirst",
        "return None, dfirst",
        "backward",
        "embedding.weight is missing",
    ),
    char_lm(
        "CharLanguageModel: the head's gradient alone where the embedding has its weight",
        "return embedding_backward(dx), dfirst",
        "return None, dfirst",
        "backward",
        "loses the gradient of the output of embedding",
        cases=("char-lm-lstm-tied",),
    ),
    char_lm(
        "CharLanguageModel: the state is not carried in",
        "self.rnn(x, state)",
        "self.rnn(x, None if state is None else 0 * state)",
        "forward",
        "ignores state",
        cases=("char-lm-gru", "char-lm-rnn-deep"),
    ),
    char_lm(
        "CharLanguageModel: the state that comes back is the one that was given",
        "return (logits, new_state)",
        "return (logits, state)",
        "forward",
        None,
    ),
    char_lm(
        "CharLanguageModel: no gradient through the last state",
        "head_backward(dlogits)), *dstate)",
        "head_backward(dlogits)))",
        "backward",
        "loses the gradient of the output y.1 of rnn",
    ),
    char_lm(
        "CharLanguageModel: no gradient for the state that was given",
        "return embedding_backward(dx), dfirst",
        "return embedding_backward(dx), None",
        "backward",
        r"state(\.0)? is missing",
    ),
    char_lm(
        "CharLanguageModel: dropout left out",
        "self.head(dropped)",
        "self.head(values)",
        "forward",
        "leaves dropout out",
        cases=("char-lm-gru-deep",),
    ),
    char_lm(
        "CharLanguageModel: dropout left out of the backward",
        "dropout_backward(head_backward(dlogits))",
        "head_backward(dlogits)",
        "backward",
        "leaves dropout out of the backward pass",
        cases=("char-lm-gru-deep",),
    ),
    names(
        "NameGenerator: the start has the gradient of the first name",
        "dfirst.sum(axis=1, keepdims=True)",
        "dfirst[:, :1]",
        "backward",
        None,
    ),
    names(
        "NameGenerator: the start's gradient averaged over the names",
        "dfirst.sum(axis=1, keepdims=True)",
        "dfirst.mean(axis=1, keepdims=True)",
        "backward",
        r"grad start needs the factor 5 = tokens\.shape\[0\]",
    ),
    names(
        "NameGenerator: the start's gradient not summed over the names",
        "dfirst.sum(axis=1, keepdims=True)",
        "dfirst",
        "backward",
        r"a gradient has shape \(\d, 5, 6\), expected that of its parameter, \(\d, 1, 6\)",
    ),
    names(
        "NameGenerator: the start not trained",
        "self.start.accumulate(dfirst.sum(axis=1, keepdims=True))",
        "pass",
        "backward",
        "start is missing",
    ),
    names(
        "NameGenerator: begins at zero",
        "np.broadcast_to(self.start.data, (",
        "0 * np.broadcast_to(self.start.data, (",
        "forward",
        "passes zeros to rnn as hx",
    ),
    names(
        "NameGenerator: begins at the start although a state is given",
        "if state is None else state\n",
        "if True else state\n",
        "forward",
        "ignores state",
        cases=("names-state", "names-ragged-state"),
    ),
    names(
        "NameGenerator: lengths not passed on",
        "self.rnn(x, first, lengths)",
        "self.rnn(x, first)",
        "forward",
        "ignores lengths",
        cases=("names-ragged", "names-deep"),
    ),
]

SENTIMENT = [
    sentiment(
        "SentimentClassifier: padding_idx with a gradient",
        ", padding_idx=0",
        "",
        "backward",
        r"ignores padding_idx = 0",
        function="models.sentiment_classifier.SentimentClassifier.__init__",
        culprit="Embedding",
    ),
    sentiment(
        "SentimentClassifier: the LSTM reads the padding",
        "self.rnn(x, None, lengths)",
        "self.rnn(x, None, 0 * lengths + x.shape[1])",
        "forward",
        "does not pass lengths to rnn",
    ),
    sentiment(
        "SentimentClassifier: the pooling takes the padding in",
        "self.pool(values, lengths)",
        "self.pool(values, 0 * lengths + x.shape[1])",
        "forward",
        None,
    ),
    sentiment(
        "SentimentClassifier: dropout of what is pooled left out of the backward",
        "pool_backward(pooled_dropout_backward(",
        "pool_backward((",
        "backward",
        "leaves call 2 of dropout out of the backward pass",
        cases=("sentiment-deep", "sentiment-deep-max"),
    ),
    sentiment(
        "SentimentClassifier: the embedding not trained",
        "embedding_backward(dropout_backward(dx))",
        "pass",
        "backward",
        "embedding.weight is missing",
    ),
    masked_mean(
        "masked_mean: padding counted",
        "count = lengths.astype(x.dtype)[:, None]",
        "count = x.dtype.type(x.shape[1])",
        "forward",
        "divides every row by the largest divisor",
    ),
    masked_mean(
        "masked_mean: padding added",
        "np.where(present, x, x.dtype.type(0))",
        "x",
        "forward",
        "masks nothing",
        cases=("masked_mean", "MaskedMean"),  # in a model, the padding may be 0
    ),
    masked_mean("masked_mean: not divided", "sum(axis=1) / count", "sum(axis=1)", "forward", "does not divide"),
    masked_mean("masked_mean: the gradient not divided", "(dy / count)", "(dy)", "backward", "does not divide the gradient"),
    masked_mean(
        "masked_mean: padding has a gradient",
        "np.where(present, (dy",
        "np.where(present | True, (dy",
        "backward",
        "lets the gradient through where the mask is",
        cases=("masked_mean", "MaskedMean"),
    ),
    masked_mean(
        "masked_mean: one step too many",
        "present = _present",
        "lengths = np.minimum(lengths + 1, x.shape[1]); present = _present",
        "forward",
        r"uses lengths \+ 1",
    ),
    masked_max("masked_max: over the padding too", "np.where(present, x, x.dtype.type(-np.inf))", "x", "forward", "masks nothing"),
    masked_max(
        "masked_max: padding as 0",
        "np.where(present, x, x.dtype.type(-np.inf))",
        "(x := np.where(present, x, x.dtype.type(0)))",
        "forward",
        "fills in 0 where the mask is",
        cases=("masked_max",),
    ),
    masked_max(
        "masked_max: the last of equal maxima has the gradient",
        "    def backward",
        "    winner = x.shape[1] - 1 - np.where(present, x, -np.inf)[:, ::-1].argmax(axis=1)[:, None]\n\n    def backward",
        "backward",
        "to the last of equal maxima",
    ),
    masked_max(
        "masked_max: equal maxima share the gradient",
        "np.put_along_axis(dx, winner, dy[:, None], axis=1)",
        "top = present & (x == x.max(axis=1, where=present, initial=-np.inf, keepdims=True)); "
        "dx += top * dy[:, None] / top.sum(axis=1, keepdims=True)",
        "backward",
        "shares the gradient among equal maxima",
    ),
    masked_max(
        "masked_max: each of equal maxima has the whole gradient",
        "np.put_along_axis(dx, winner, dy[:, None], axis=1)",
        "dx += present * (x == x.max(axis=1, where=present, initial=-np.inf, keepdims=True)) * dy[:, None]",
        "backward",
        "gives the whole gradient to each of several equal maxima",
    ),
    masked_max(
        "masked_max: every step has the gradient",
        "np.put_along_axis(dx, winner, dy[:, None], axis=1)",
        "dx += present * dy[:, None]",
        "backward",
        "gives the gradient to every step",
    ),
]

ATTENTION = [
    additive(
        "additive_attention: mask left out", "attn_mask is None else attn_mask", "True else attn_mask", "forward", "masks nothing"
    ),
    additive(
        "additive_attention: mask turned round",
        "attn_mask is None else attn_mask",
        "attn_mask is None else ~attn_mask",
        "forward",
        "inverts the mask",
    ),
    additive(
        "additive_attention: a query that may attend nothing attends all",
        "weights = np.where(may_attend, weights, 0)",
        "weights = weights",
        "forward",
        "differs only where y is 0",
        cases=("additive_attention-masked", "AdditiveAttention"),
    ),
    additive(
        "additive_attention: tanh left out",
        "np.tanh(query[:, :, None] + key[:, None])",
        "query[:, :, None] + key[:, None]",
        "forward",
        None,
    ),
    additive("additive_attention: query and key multiplied", "query[:, :, None] + key", "query[:, :, None] * key", "forward", None),
    additive(
        "additive_attention: scores divided by the root of their width",
        "hidden @ weight, np",
        "hidden @ weight / weight.dtype.type(len(weight) ** 0.5), np",
        "forward",
        None,
    ),
    additive(
        "additive_attention: tanh left out of the backward",
        " * (1 - hidden * hidden)",
        "",
        "backward",
        "leaves its slope out of the backward pass",
    ),
    additive(
        "additive_attention: gradient of query not summed over the keys",
        "dz.sum(axis=2), dz.sum",
        "dz[:, :, 0], dz.sum",
        "backward",
        None,
    ),
    additive(
        "additive_attention: gradient of the weight without the softmax",
        "dweight = dscores",
        "dweight = (dy @ value.swapaxes(1, 2) * may_attend)",
        "backward",
        None,
    ),
    additive(
        "additive_attention: gradient of query averaged over the keys",
        "dz.sum(axis=2), dz.sum",
        "dz.mean(axis=2), dz.sum",
        "backward",
        r"needs the factor 13 = key\.shape\[1\]",
    ),
    additive_layer(
        "AdditiveAttention: mask not passed on",
        "self.weight, attn_mask)",
        "self.weight, None)",
        "forward",
        "ignores attn_mask",
        cases=("AdditiveAttention", "seq2seq-additive"),
    ),
    additive_layer("AdditiveAttention: the key's map for the query", "self.query(query)", "self.key(query)", "forward", None),
    additive_layer(
        "AdditiveAttention: no gradient through the query's map",
        "return query_backward(dquery)",
        "return 0 * query_backward(dquery)",
        "backward",
        "loses the gradient of the argument input of query",
    ),
    dot("DotAttention: mask not passed on", "value, attn_mask,", "value, None,", "forward", "ignores attn_mask"),
]

TRANSLATION = [
    seq2seq(
        "Seq2Seq: padding attended",
        "_present(source, lengths))",
        "_present(source, lengths) | True)",
        "forward",
        "treats padding as valid steps",
    ),
    seq2seq(
        "Seq2Seq: one step of padding attended",
        "np.arange(tokens.shape[1]) <",
        "np.arange(tokens.shape[1]) <=",
        "forward",
        "treats one step after the end as valid",
        function="models.seq2seq._present",
    ),
    seq2seq(
        "Seq2Seq: the target a step late",
        "(target, h",
        "(np.roll(target, 1, axis=1), h",
        "forward",
        "reads target one step late",
    ),
    seq2seq("Seq2Seq: the target backwards", "(target, h", "(target[:, ::-1], h", "forward", "reads target backwards"),
    seq2seq("Seq2Seq: the decoder begins at zero", "(target, h", "(target, 0 * h", "forward", "passes zeros to decoder as h"),
    seq2seq(
        "Seq2Seq: no gradient through the decoder's first state",
        "(dmemory, dh)",
        "(dmemory, 0 * dh)",
        "backward",
        "loses the gradient of the argument h of decoder",
    ),
    seq2seq(
        "Seq2Seq: no gradient through the memory",
        "(dmemory, dh)",
        "(0 * dmemory, dh)",
        "backward",
        "loses the gradient of the argument memory of decoder",
    ),
    seq2seq(
        "Seq2Seq: the encoder not trained",
        "encoder_backward(dmemory, dh)",
        "pass",
        "backward",
        r"encoder\.embedding\.weight is missing",
    ),
    encoder(
        "Encoder: directions and batch mixed up",
        "h = ends.reshape(rows // 2, 2, B, half).swapaxes(1, 2)",
        "h = ends",
        "forward",
        "the right numbers in the wrong order",
    ),
    encoder(
        "Encoder: the reverse direction's last state dropped",
        "h = ends.reshape",
        "h = np.repeat(ends[0::2], 2, axis=0).reshape",
        "forward",
        None,
    ),
    encoder(
        "Encoder: the directions' last states swapped",
        "h = ends.reshape(rows // 2, 2, B, half)",
        "h = ends.reshape(rows // 2, 2, B, half)[:, ::-1]",
        "forward",
        "joins the tensors in reverse order",
    ),
    encoder(
        "Encoder: the gradients of the directions' last states swapped",
        "dends = dh.reshape(rows // 2, B, 2, half)",
        "dends = dh.reshape(rows // 2, B, 2, half)[:, :, ::-1]",
        "backward",
        "joins the tensors in reverse order",
    ),
    encoder(
        "Encoder: no gradient through the last state",
        "(dmemory, dends)",
        "(dmemory)",
        "backward",
        "loses the gradient of the output y.1 of rnn",
    ),
    encoder(
        "Encoder: lengths not passed on",
        "self.rnn(x, None, lengths)",
        "self.rnn(x, None, 0 * lengths + x.shape[1])",
        "forward",
        "does not pass lengths to rnn",
    ),
    decoder(
        "Decoder: the state before what is attended",
        "[attended, values]",
        "[values, attended]",
        "forward",
        "joins the tensors in reverse order",
    ),
    decoder("Decoder: what is attended left out", "[attended, values]", "[values, values]", "forward", "leaves attention out"),
    decoder(
        "Decoder: the gradients of what is attended and of the state swapped",
        "dattended, dvalues = np",
        "dvalues, dattended = np",
        "backward",
        None,
    ),
    decoder(
        "Decoder: no gradient through the query",
        "dvalues + dquery",
        "dvalues",
        "backward",
        "loses the gradient of the argument query of attention",
    ),
    decoder("Decoder: no gradient past the attention", "dvalues + dquery", "dquery", "backward", None),
    decoder(
        "Decoder: no gradient through the keys",
        "dkey + dvalue, None",
        "dvalue, None",
        "backward",
        "loses the gradient of the argument key of attention",
    ),
    decoder(
        "Decoder: no gradient through the values",
        "dkey + dvalue, None",
        "dkey, None",
        "backward",
        "loses the gradient of the argument value of attention",
    ),
    decoder("Decoder: tanh left out", "= tanh(mixed)", "= mixed, lambda dy: dy", "forward", None),
    decoder(
        "Decoder: tanh left out of the backward",
        "combine_backward(tanh_backward(",
        "combine_backward((",
        "backward",
        "leaves its slope out of the backward pass",
    ),
    decoder(
        "Decoder: mask not passed on",
        "mask[:, None])",
        "mask[:, None] | True)",
        "forward",
        "does not pass attn_mask to attention",
    ),
]

FAULTS = [*LANGUAGE_MODELS, *SENTIMENT, *ATTENTION, *TRANSLATION]
