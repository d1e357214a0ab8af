"""Faults of DETR: positions that are lost or added to the values, layers without a loss, attention to padding."""

from functools import partial

from parity_tests.faults.fault import Fault

MODELS = ("detr", "detr-one-size", "detr-bottleneck-eval")
PADDED = ("detr", "detr-bottleneck-eval")
GRADIENTS = "_, dmemory, dqueries, *_ = run_in_reverse(backwards, np.zeros_like(queries))"
OF_FIRST_LAYER = (
    "seen = []; backwards[0] = lambda dx, first=backwards[0]: seen.append(first(dx)) or seen[0]; "
    + GRADIENTS
    + "; {} = seen[0][{}]"
)

encoder_layer = partial(
    Fault,
    function="layers.detr.DETREncoderLayer.forward",
    cases=("DETREncoderLayer-padded", "DETREncoderLayer", "detr"),
    culprit="DETREncoderLayer",
)
decoder_layer = partial(
    Fault,
    function="layers.detr.DETRDecoderLayer.forward",
    cases=("DETRDecoderLayer-padded", "DETRDecoderLayer", "detr"),
    culprit="DETRDecoderLayer",
)
attended = partial(decoder_layer, function="layers.detr.DETRDecoderLayer._attended")
encoder = partial(Fault, function="models.detr.Encoder.forward", cases=MODELS, culprit="Encoder")
decoder = partial(Fault, function="models.detr.Decoder.forward", cases=MODELS, culprit="Decoder")
seen = partial(Fault, function="models.detr.DETR._seen", cases=MODELS, culprit="DETR")
model = partial(Fault, function="models.detr.DETR.forward", cases=MODELS, culprit="DETR")
loss = partial(Fault, function="ops.detr_loss.detr_loss", cases=("detr_loss", "detr_loss-weights"), culprit="detr_loss")
of_layer = partial(loss, function="ops.set_loss.set_loss")
found = partial(Fault, function="ops.detections.detections", cases=("detections",), culprit="detections")
pad = partial(Fault, function="ops.pad_images.pad_images", cases=("pad_images",), culprit="pad_images")

ENCODER_LAYERS = [
    encoder_layer(
        "DETREncoderLayer: positions added to the values too",
        "self.self_attn(placed, placed, src, src_mask)",
        "self.self_attn(placed, placed, placed, src_mask)",
        "forward",
        "passes query to self_attn in place of value",
    ),
    encoder_layer(
        "DETREncoderLayer: positions left out", "placed = src + positions", "placed = src", "forward", "second term of sum 1 out"
    ),
    encoder_layer(
        "DETREncoderLayer: positions of the queries alone",
        "self.self_attn(placed, placed, src,",
        "self.self_attn(placed, src, src,",
        "forward",
        None,
    ),
    encoder_layer(
        "DETREncoderLayer: positions go past the attention",
        "self.norm1(src + x)",
        "self.norm1(placed + x)",
        "forward",
        None,
    ),
    encoder_layer(
        "DETREncoderLayer: padding attended",
        "placed, src, src_mask)",
        "placed, src)",
        "forward",
        "ignores src_mask|does not pass attn_mask",
        cases=("DETREncoderLayer-padded", "detr"),
    ),
    encoder_layer(
        "DETREncoderLayer: mask inverted",
        "placed, src, src_mask)",
        "placed, src, ~src_mask)",
        "forward",
        "the inverse of attn_mask",
        cases=("DETREncoderLayer-padded", "detr"),
    ),
    encoder_layer(
        "DETREncoderLayer: the way past the feed-forward part left out",
        "self.norm2(attended + x)",
        "self.norm2(x)",
        "forward",
        "first term of sum 3 out",
    ),
    encoder_layer(
        "DETREncoderLayer: dropout of the attention left out",
        "x, dropout1 = self.dropout1(x)",
        "dropout1 = lambda dy: dy",
        "forward",
        "leaves dropout1 out",
        cases=("DETREncoderLayer-dropout",),
    ),
    encoder_layer(
        "DETREncoderLayer: no gradient through queries and keys",
        "dsum + dpositions + dvalue",
        "dsum + dvalue",
        "backward",
        "first term of sum 1",
    ),
    encoder_layer(
        "DETREncoderLayer: no gradient through the values",
        "dsum + dpositions + dvalue",
        "dsum + dpositions",
        "backward",
        "loses the gradient of the argument value of self_attn",
    ),
    encoder_layer(
        "DETREncoderLayer: the queries' gradient alone",
        "dpositions = dquery + dkey",
        "dpositions = dquery",
        "backward",
        "loses the gradient of the argument key of self_attn",
    ),
]

DECODER_LAYERS = [
    decoder_layer(
        "DETRDecoderLayer: the queries' positions forgotten when the memory is looked at",
        "self.multihead_attn(attended + tgt_positions,",
        "self.multihead_attn(attended,",
        "forward",
        "second term of sum 3 out",
    ),
    decoder_layer(
        "DETRDecoderLayer: the memory's positions forgotten",
        "memory + positions, memory",
        "memory, memory",
        "forward",
        "second term of sum 4 out",
    ),
    decoder_layer(
        "DETRDecoderLayer: positions added to the memory's values too",
        "memory + positions, memory,",
        "memory + positions, memory + positions,",
        "forward",
        "passes key to multihead_attn in place of value",
    ),
    attended(
        "DETRDecoderLayer: positions added to the queries' values too",
        "self.self_attn(placed, placed, tgt)",
        "self.self_attn(placed, placed, placed)",
        "forward",
        "passes query to self_attn in place of value",
    ),
    attended(
        "DETRDecoderLayer: the queries' positions left out of their attention to each other",
        "placed = tgt + tgt_positions",
        "placed = tgt",
        "forward",
        "second term of sum 1 out",
        cases=("DETRDecoderLayer-padded", "DETRDecoderLayer"),  # targets of zeros have the same values everywhere
    ),
    decoder_layer(
        "DETRDecoderLayer: the queries that have not attended each other look at the memory",
        "self.multihead_attn(attended + tgt_positions,",
        "self.multihead_attn(tgt + tgt_positions,",
        "forward",
        None,
        cases=("DETRDecoderLayer-padded", "DETRDecoderLayer"),
    ),
    decoder_layer(
        "DETRDecoderLayer: padding attended",
        ", memory, memory_mask)\n        x, dropout2",
        ", memory)\n        x, dropout2",
        "forward",
        "ignores memory_mask|does not pass attn_mask",
        cases=("DETRDecoderLayer-padded", "detr"),
    ),
    decoder_layer(
        "DETRDecoderLayer: mask inverted",
        ", memory, memory_mask)\n        x, dropout2",
        ", memory, ~memory_mask)\n        x, dropout2",
        "forward",
        "the inverse of attn_mask",
        cases=("DETRDecoderLayer-padded", "detr"),
    ),
    decoder_layer(
        "DETRDecoderLayer: norms in each other's place",
        "self.norm2(attended + x)",
        "self.norm1(attended + x)",
        "forward",
        None,
    ),
    decoder_layer(
        "DETRDecoderLayer: the queries' positions get no gradient from the memory",
        "dtgt_positions + dquery, dkey, dmask",
        "dtgt_positions, dkey, dmask",
        "backward",
        "second term of sum 3",
    ),
    decoder_layer(
        "DETRDecoderLayer: the memory gets no gradient through the values",
        "dkey + dvalue",
        "dkey",
        "backward",
        "loses the gradient of the argument value of multihead_attn",
    ),
    decoder_layer(
        "DETRDecoderLayer: the memory gets no gradient through the keys",
        "dkey + dvalue",
        "dvalue",
        "backward",
        "first term of sum 4",
    ),
    attended(
        "DETRDecoderLayer: the queries' positions get no gradient from each other",
        "return dsum + dpositions + dvalue, dpositions",
        "return dsum + dpositions + dvalue, 0 * dpositions",
        "backward",
        "second term of sum 1",
        cases=("DETRDecoderLayer-padded", "DETRDecoderLayer"),
    ),
]

STACKS = [
    encoder(
        "DETR: positions added in the first layer alone",
        "layer(x, positions, mask)",
        "layer(x, positions if layer is self.layers[0] else 0 * positions, mask)",
        "forward",
        r"passes zeros to layers\.1 as positions",
    ),
    encoder(
        "DETR: no positions in the encoder",
        "layer(x, positions, mask)",
        "layer(x, 0 * positions, mask)",
        "forward",
        "passes zeros to every module in layers as positions",
    ),
    encoder(
        "DETR: mask inverted in the encoder",
        "layer(x, positions, mask)",
        "layer(x, positions, ~mask)",
        "forward",
        "passes the inverse of src_mask to every module in layers",
        cases=PADDED,
    ),
    encoder(
        "DETR: padding attended in the encoder",
        "layer(x, positions, mask)",
        "layer(x, positions)",
        "forward",
        "does not pass src_mask to every module in layers|passes true everywhere as src_mask to every module in layers",
        cases=PADDED,
    ),
    encoder(
        "DETR: the encoder's layers in their order in the backward",
        "run_in_reverse(backwards,",
        "run_in_reverse(backwards[::-1],",
        "backward",
        r"grad layers\.0\.norm2\.bias is what grad layers\.1\.norm2\.bias should be",
    ),
    decoder(
        "DETR: the shared norm trained by the last layer alone",
        "dx + norm(dvalue)",
        "dx + (0 if dx.any() else norm(dvalue))",
        "backward",
        "loses the gradient of the output of (call 1 of norm|every call of norm but the last)",
    ),
    decoder(
        "DETR: a norm of its own for each layer",
        "self.norm(x)",
        "layer.norm3(x)",
        "forward",
        None,
    ),
    decoder(
        "DETR: values not normalised",
        "values.append(value)",
        "values.append(x)",
        "forward",
        "leaves every call of norm out",
    ),
    decoder(
        "DETR: the next layer goes on from what is normalised",
        "values.append(value)",
        "values.append(value); x = value",
        "forward",
        None,
    ),
    decoder(
        "DETR: the last layer's value normalised, the others not",
        "values.append(value)",
        "values.append(value if layer is self.layers[-1] else x)",
        "forward",
        "leaves (call 1 of norm|every call of norm but the last) out",
        cases=("detr", "detr-bottleneck-eval"),
    ),
    decoder(
        "DETR: layers in the reverse order",
        "np.stack(values)",
        "np.stack(values[::-1])",
        "forward",
        "reversed along axis 0|",
    ),
    decoder(
        "DETR: the last layer's value for all",
        "np.stack(values)",
        "np.stack(values[-1:] * len(values))",
        "forward",
        None,
    ),
    decoder(
        "DETR: layers get no gradient from those behind them",
        "layer(dx + norm(dvalue))",
        "layer(norm(dvalue))",
        "backward",
        "loses the gradient of the argument tgt of",
    ),
    decoder(
        "DETR: the cotangents of the layers in the reverse order",
        "norms, dvalues)",
        "norms, dvalues[::-1])",
        "backward",
        None,
    ),
    decoder(
        "DETR: the queries' gradient of the first layer alone",
        GRADIENTS,
        OF_FIRST_LAYER.format("dqueries", 2),
        "backward",
        r"loses the gradient of the argument tgt_positions of layers\.1",
        cases=("detr-one-size", "detr-one-size-eval"),
    ),
    decoder(
        "DETR: the memory's gradient of the first layer alone",
        GRADIENTS,
        OF_FIRST_LAYER.format("dmemory", 1),
        "backward",
        r"loses the gradient of the argument memory of layers\.1",
        cases=("detr-one-size", "detr-one-size-eval"),
    ),
    decoder(
        "DETR: the queries for what begins as zeros",
        "np.zeros_like(queries), [], [], []",
        "queries, [], [], []",
        "forward",
        r"passes tgt_positions to layers\.0 in place of tgt",
    ),
    decoder(
        "DETR: the decoder told no positions of the image",
        "queries, positions, mask)",
        "queries, 0 * positions, mask)",
        "forward",
        "passes zeros to every module in layers as positions",
    ),
    decoder(
        "DETR: mask inverted in the decoder",
        "queries, positions, mask)",
        "queries, positions, ~mask)",
        "forward",
        "passes the inverse of memory_mask to every module in layers",
        cases=PADDED,
    ),
]

MODEL = [
    seen(
        "DETR: the mask of another corner",
        "there = shrunk[:, 0] > 0",
        "there = present[:, -h:, -w:]",
        "forward",
        None,
        cases=PADDED,
    ),
    seen(
        "DETR: the mask cut, not shrunk",
        "there = shrunk[:, 0] > 0",
        "there = present[:, :h, :w]",
        "forward",
        "ignores present",
        cases=PADDED,
    ),
    seen(
        "DETR: the mask upside down",
        "there = shrunk[:, 0] > 0",
        "there = shrunk[:, 0, ::-1] > 0",
        "forward",
        None,
        cases=PADDED,
    ),
    seen(
        "DETR: padding counted in the positions",
        "self.positions(x, there)",
        "self.positions(x, np.ones_like(there))",
        "forward",
        "passes true everywhere as present to positions",
        cases=PADDED,
    ),
    seen(
        "DETR: present ignored",
        "present = self._checked(images, present)",
        "present = self._checked(images, None)",
        "forward",
        "ignores present",
        cases=PADDED,
    ),
    seen(
        "DETR: mask inverted",
        "there.reshape(B, 1, 1, h * w)",
        "~there.reshape(B, 1, 1, h * w)",
        "forward",
        None,
        cases=PADDED,
    ),
    seen(
        "DETR: rows and columns of the positions in each other's place",
        "positions, _ = self.positions(x, there)",
        "positions = np.roll(self.positions(x, there)[0], C // 2, axis=1)",
        "forward",
        None,
    ),
    seen(
        "DETR: positions added to what the encoder is given",
        "self.encoder(_sequence(x), positions, mask)",
        "self.encoder(_sequence(x) + positions, positions, mask)",
        "forward",
        None,
    ),
    seen(
        "DETR: features column by column",
        "self.encoder(_sequence(x),",
        "self.encoder(_sequence(x.swapaxes(2, 3)),",
        "forward",
        None,
    ),
    seen(
        "DETR: features cut across their channels",
        "self.encoder(_sequence(x),",
        "self.encoder(x.reshape(B, h * w, C),",
        "forward",
        None,
    ),
    seen(
        "DETR: the encoder left out",
        "memory, encoder_backward = self.encoder(_sequence(x), positions, mask)",
        "memory, encoder_backward = _sequence(x), lambda dy: (dy, None, None)",
        "forward",
        "leaves encoder out",
    ),
    seen(
        "DETR: the queries' gradient averaged over the batch",
        "dqueries.sum(axis=0)",
        "dqueries.mean(axis=0)",
        "backward",
        "grad queries needs the factor 3",
    ),
    seen(
        "DETR: queries not trained",
        "self.queries.accumulate(dqueries.sum(axis=0))",
        "pass",
        "backward",
        "grad queries is missing",
    ),
    seen(
        "DETR: the features' gradient across their channels",
        ".reshape(B, h, w, C).transpose(0, 3, 1, 2)",
        ".reshape(B, C, h, w)",
        "backward",
        None,
    ),
    seen(
        "DETR: the backbone not trained",
        "return backbone_backward(proj_backward(",
        "return (np.zeros_like(images), proj_backward(",
        "backward",
        "is missing",
    ),
    model(
        "DETR: boxes without sigmoid",
        "boxes, sigmoid_backward = self.sigmoid(boxes)",
        "sigmoid_backward = lambda dy: dy",
        "forward",
        "leaves sigmoid out",
    ),
    model(
        "DETR: boxes by their corners",
        "return (logits, boxes), backward",
        "boxes = np.concatenate([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], axis=-1)\n"
        "        return (logits, boxes), backward",
        "forward",
        None,
    ),
    model(
        "DETR: x and y of boxes in each other's place",
        "return (logits, boxes), backward",
        "return (logits, boxes[..., [1, 0, 3, 2]]), backward",
        "forward",
        "right numbers in the wrong order",
    ),
    model(
        "DETR: no object is the first class",
        "return (logits, boxes), backward",
        "return (np.roll(logits, 1, axis=-1), boxes), backward",
        "forward",
        "shifted by 1 along axis 3",
    ),
    model(
        "DETR: the gradient of boxes not through the sigmoid",
        "bbox_backward(sigmoid_backward(dboxes))",
        "bbox_backward(dboxes)",
        "backward",
        "leaves sigmoid out of the backward pass",
    ),
    model(
        "DETR: the classes do not train what is below them",
        "dx = class_backward(dlogits) + bbox",
        "dx = 0 * class_backward(dlogits) + bbox",
        "backward",
        "loses the gradient of the argument (input|x) of class_embed",
    ),
    model(
        "DETR: the boxes do not train what is below them",
        "+ bbox_backward(",
        "+ 0 * bbox_backward(",
        "backward",
        "loses the gradient of the argument (input|x) of bbox_embed",
    ),
    model(
        "DETR: frozen norms that normalise by the batch",
        "y, backward = frozen_batch_norm(x, self.weight.data, self.bias.data, mean, var, self.eps)",
        "mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))\n"
        "        y, backward = frozen_batch_norm(x, self.weight.data, self.bias.data, mean, var, self.eps)",
        "forward",
        "statistics",
        function="layers.norm.FrozenBatchNorm2d.forward",
        culprit="FrozenBatchNorm2d",
    ),
    model(
        "DETR: frozen statistics updated",
        "y, backward =",
        "self.running_mean.data = 0.9 * mean + 0.1 * x.mean(axis=(0, 2, 3)); y, backward =",
        "forward",
        None,
        function="layers.norm.FrozenBatchNorm2d.forward",
        culprit="FrozenBatchNorm2d",
    ),
]

LOSS = [
    loss(
        "detr_loss: auxiliary losses missing",
        "0 if auxiliary else len(logits) - 1",
        "len(logits) - 1",
        "forward",
        "leaves out the auxiliary losses",
    ),
    loss(
        "detr_loss: auxiliary losses though none are asked for",
        "0 if auxiliary else len(logits) - 1",
        "0",
        "forward",
        "adds auxiliary losses",
        cases=("detr_loss-last-layer",),
    ),
    loss(
        "detr_loss: the loss of the first layer alone",
        "first = 0 if auxiliary else len(logits) - 1",
        "first, logits, boxes = 0, logits[:1], boxes[:1]",
        "forward",
        None,
    ),
    loss(
        "detr_loss: the layers' mean",
        "np.sum(parts, axis=0)",
        "np.mean(parts, axis=0)",
        "forward",
        "takes the mean over the layers",
    ),
    loss(
        "detr_loss: no gradient of the auxiliary losses",
        "enumerate(losses, first)",
        "list(enumerate(losses, first))[-1:]",
        "backward",
        "in the backward pass, leaves out the auxiliary losses",
    ),
    loss(
        "detr_loss: each layer's gradient to the last",
        "dlogits[i], dboxes[i], *_ =",
        "dlogits[-1], dboxes[-1], *_ =",
        "backward",
        "in the backward pass, leaves out the auxiliary losses",
    ),
    loss(
        "detr_loss: weights not passed on",
        "labels, target_boxes, *weights)",
        "labels, target_boxes)",
        "forward",
        None,
        cases=("detr_loss-weights",),
    ),
    loss(
        "detr_loss: unmatched queries without loss",
        "weights = no_object,",
        "weights = 0.0,",
        "forward",
        "leaves the queries without an object out",
    ),
    of_layer(
        "detr_loss: no object is the first class",
        "np.full((B, Q), classes - 1)",
        "np.zeros((B, Q), int)",
        "forward",
        "uses the first class for 'no object'",
    ),
    of_layer(
        "detr_loss: boxes in the wrong format",
        'box_convert(sought, "cxcywh", "xyxy")[0]',
        "sought",
        "forward",
        "a box of negative size",
    ),
]

FOUND = [
    found("detections: no object found", "[:, :, :-1]", "", "forward", "treats 'no object' as a class that can be found"),
    found(
        "detections: no object is the first class", "[:, :, :-1]", "[:, :, 1:]", "forward", "uses the first class for 'no object'"
    ),
    found(
        "detections: no object left out of the softmax",
        "softmax(logits)[0][:, :, :-1]",
        "softmax(logits[:, :, :-1])[0]",
        "forward",
        "leaves the class 'no object' out of the softmax",
    ),
    found(
        "detections: boxes not converted", 'box_convert(boxes, "cxcywh", "xyxy")', "(boxes, None)", "forward", "does not convert"
    ),
    found(
        "detections: corners of another format",
        '"cxcywh", "xyxy"',
        '"xywh", "xyxy"',
        "forward",
        None,
    ),
    pad(
        "pad_images: padding to the left and above",
        "padded[i, :, :h, :w] = image\n        present[i, :h, :w]",
        "padded[i, :, H - h :, W - w :] = image\n        present[i, H - h :, W - w :]",
        "forward",
        "swaps the padding before and after",
    ),
    pad("pad_images: padding marked as image", "present[i, :h, :w] = True", "present[i] = True", "forward", None),
    pad("pad_images: image marked as padding", "present[i, :h, :w] = True", "present[i, h:, w:] = True", "forward", None),
    pad(
        "pad_images: the gradient of the other corner",
        "dx[:, :h, :w]",
        "dx[:, dx.shape[1] - h :, dx.shape[2] - w :]",
        "backward",
        "returns the gradient of the padding instead of that of the input",
    ),
]

FAULTS = [*ENCODER_LAYERS, *DECODER_LAYERS, *STACKS, *MODEL, *LOSS, *FOUND]
