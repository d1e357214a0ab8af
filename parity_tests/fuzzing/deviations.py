"""Calls on which scratch does something else than torch on purpose, each with its reason and with a call that shows it."""

import re
from dataclasses import dataclass

from parity_tests.fuzzing.changes import Change
from parity_tests.fuzzing.judge import Finding


@dataclass(frozen=True)
class Deviation:
    """A kind of finding that is meant: its kind, the targets and the words of its detail, as regular expressions, and why."""

    kind: str
    targets: str
    detail: str
    reason: str
    example: tuple[str, tuple[Change, ...]]

    def explains(self, finding: Finding) -> bool:
        """Whether a finding is of this kind."""
        kind, target = finding.kind == self.kind, re.search(self.targets, finding.call.case.scratch)
        return bool(kind and target and re.search(self.detail, finding.detail))


def explained(finding: Finding) -> bool:
    """Whether a finding is meant."""
    return any(deviation.explains(finding) for deviation in DEVIATIONS)


INF = float("inf")
NAN = float("nan")
ATTENTION = "ttention|Transformer|DETR|GPT|BERT|ViT"
BOXES = "box|iou|detections|detr_loss|set_loss|matching_cost|nms|yolo"
CONVOLUTIONS = r"onv|models\.(CNN|VGG|AlexNet|ResNet|CifarResNet|UNet|YOLO|DETR)"

DEVIATIONS = [
    # refused although torch accepts
    Deviation(
        "refused",
        "",
        "expected one floating-point dtype",
        "no dtype is promoted in silence: torch computes with integers and complex numbers, or mixes float32 with float64",
        ("mse_loss-mean", (("dtype", "target", "float32"),)),
    ),
    Deviation(
        "refused",
        "",
        r" is .*, expected (True or False|a whole number|a number|a word|a sequence)|to be a NumPy array",
        "an option is of the kind that its signature says: torch takes any truth value for a bool, and NaN for a number",
        ("Linear", (("option", "bias", 2),)),
    ),
    Deviation(
        "refused",
        "",
        r"expected .*of shape .*, got|expected value \(\.\.\., S, V\)|all axes before( the last two)? the same",
        "shapes are equal: torch repeats what is smaller, and warns at best",
        ("mse_loss-mean", (("drop", "target", 0),)),
    ),
    Deviation(
        "refused",
        "",
        r"expected (an? )?(x|input|images|query|key|logits|boxes|boxes1|boxes2|tokens|source|target|src|tgt|memory|labels|cost|"
        r"positions|predictions|numbers|lengths|weight) ?\(?.*, got",
        "every array has the axes that the documentation says: torch also takes one sample for a batch, or more axes",
        ("LSTM", (("drop", "x", 1), ("option", "hx", None))),
    ),
    Deviation(
        "refused",
        r"Upsample|interpolate",
        "expected size or scale_factor, one of them",
        "one option says the new size: torch takes a scale_factor of 0 for none",
        ("Upsample-corners", (("option", "scale_factor", 0),)),
    ),
    Deviation(
        "refused",
        "",
        "expected lengths|lengths, . whole numbers",
        "lengths are whole numbers from 1 to T, as torch's packing has them; the twin compares anything",
        ("masked_mean", (("put", "lengths", (0, 120)),)),
    ),
    Deviation(
        "refused",
        "",
        "more than one value a channel when training",
        "an empty batch has no statistics: torch leaves NaN in the running ones",
        ("BatchNorm1d", (("every size", "", (13, 0)),)),
    ),
    Deviation(
        "refused",
        "batch_norm",
        "came without running_",
        "one of the two running statistics without the other is a mistake",
        ("batch_norm-rows", (("option", "running_var", None), ("size", "x", (0, 0)))),
    ),
    Deviation(
        "refused",
        "norm|Norm|Transformer|BERT",
        "eps is .*, expected 0 or more",
        "under the root of a negative number lies NaN",
        ("layer_norm", (("option", "eps", -1.0),)),
    ),
    Deviation(
        "refused",
        BOXES,
        "a box of negative size",
        "a box whose corners are exchanged has been taken for one of another format",
        ("box_area", (("put", "boxes", (0, 1e4)),)),
    ),
    Deviation(
        "refused",
        "loss|matching|Loss|nms|cross_entropy|yolo_detections",
        r"expected (a finite number of )?0 or more|, expected 0 to 1|expected a probability|expected more than 0|expected alpha",
        "weights, smoothing, thresholds and probabilities have their range; torch computes with any number",
        ("set_loss", (("option", "no_object", -1.0),)),
    ),
    Deviation(
        "refused",
        "loss|Loss|box_convert|boxes",
        "expected one of ",
        "a reduction or format that does not exist is refused: the twins written here take any other word for the last one",
        ("sigmoid_focal_loss-mean", (("option", "reduction", "nonsense"),)),
    ),
    Deviation(
        "refused",
        "dropout|Dropout|ttention|Sinusoidal|sinusoidal|DETR|RNN|LSTM|GRU|models",
        r"expected bool|(p|dropout) is .*, expected a probability|expected a boolean `keep`",
        "masks are boolean and probabilities from 0 to 1: the twin multiplies by any number",
        ("dropout", (("option", "p", 1.5),)),
    ),
    Deviation(
        "refused",
        ATTENTION,
        r"expected (attn_|src_|tgt_|memory_)?mask .*|causal_offset is|expected bool \(true|scale is|does not divide",
        "masks broadcast to the scores and not the other way, and heads share a width evenly",
        ("attention", (("option", "causal_offset", -1),)),
    ),
    Deviation(
        "refused",
        "",
        r"expected positive|expected a positive|at least one|expected at least|is at least 1|are at least 1",
        "a layer or an array of no width has nothing to compute; of the axes the batch alone may be empty",
        ("Linear", (("option", "out_features", 0),)),
    ),
    Deviation(
        "refused",
        "anchor_matching|yolo|YOLO",
        "grids are|boxes hold|labels hold",
        "an object lies in the image and a grid has cells: the twin computes with anything",
        ("anchor_matching", (("put", "boxes", (0, 2.0)),)),
    ),
    Deviation(
        "refused",
        "matching|set_loss|detr_loss",
        "labels hold|objects for .* queries|cost holds",
        "labels are classes or -1, and there is a query for every object",
        ("bipartite_matching", (("every size", "", (11, 1)),)),
    ),
    Deviation(
        "refused",
        "relative_position_bucket|RelativePosition",
        "expected whole numbers|expected positions",
        "buckets of fewer distances than there are, or of an odd number of both directions, are a mistake",
        ("relative_position_bucket-few", (("option", "max_distance", 2),)),
    ),
    Deviation(
        "refused",
        "causal_mask|padding_mask",
        "expected sizes and an offset of at least 0|padding_mask: expected lengths|padding_mask: T is",
        "sizes and offsets are not negative",
        ("causal_mask-offset", (("option", "offset", -1),)),
    ),
    Deviation(
        "refused",
        "",
        r"an int or a pair of ints, each at least|output_padding|padding .* more than half|too small for|does not fit|tokens long|"
        "as many targets|a segment for each|expected one batch|one of them",
        "a geometry that leaves no pixel, or pads more than it looks at, is refused by name",
        ("avg_pool2d-2x2", (("option", "stride", (2,)),)),
    ),
    # accepted although torch refuses
    Deviation(
        "accepted",
        "",
        r"scalar type|target dtype to be Long|expected scalar type Long|Long, Int|int32/int64 for index",
        "labels and tokens may be whole numbers of any width",
        ("nll_loss-mean", (("dtype", "target", "int32"),)),
    ),
    Deviation(
        "accepted",
        "",
        "Cannot pack empty tensors",
        "an empty batch with lengths is an empty batch",
        ("LSTM-ragged", (("every size", "", (5, 0)),)),
    ),
    Deviation(
        "accepted",
        "YOLO",
        "cannot reshape tensor of 0 elements",
        "an empty batch of images has predictions for none",
        ("yolo-plain-eval", (("every size", "", (3, 0)),)),
    ),
    Deviation(
        "accepted",
        ATTENTION,
        "Dimension out of range",
        "a mask of one axis, over the keys alone, broadcasts as any other",
        ("attention_weights-masked", (("drop", "attn_mask", 0),)),
    ),
    Deviation(
        "accepted",
        "matching_cost|set_loss|detr_loss",
        "not implemented for 'Half'",
        "torch has no distance between float16 boxes on the CPU",
        ("matching_cost", (("every dtype", "", "float16"),)),
    ),
    # other NaN and infinities than torch's
    Deviation(
        "not finite",
        "cross_entropy|CrossEntropyLoss|set_loss|detr_loss",
        "grad (input|logits)",
        "an ignored row has the gradient 0 whatever it holds: torch's is NaN where the row's softmax is",
        ("CrossEntropyLoss", (("put", "input", (0, NAN)),)),
    ),
    Deviation(
        "not finite",
        ATTENTION,
        "",
        "a key that is masked has no effect: torch adds minus infinity to its score, so that NaN stays NaN",
        ("attention_weights-causal", (("put", "key", (166, NAN)),)),
    ),
    Deviation(
        "not finite",
        CONVOLUTIONS,
        "",
        "infinity in a pixel or a weight may come as NaN to the whole tile that Winograd's convolution computes it with",
        ("conv2d-narrowing", (("put", "weight", (171, INF)),)),
    ),
    Deviation(
        "not finite",
        "interpolate_positions",
        "",
        "a pixel of weight 0 has no effect, and weights of one pixel are added before they multiply it; torch takes all sixteen",
        ("interpolate_positions-smaller", (("put", "positions", (110, INF)),)),
    ),
    Deviation(
        "not finite",
        BOXES,
        "",
        "a box with an infinite corner has an infinite side: how NaN spreads from there depends on the order of the products",
        ("box_convert-cxcywh-xywh", (("put", "boxes", (73, -INF)),)),
    ),
    Deviation(
        "not finite",
        "norm|Norm",
        "",
        "infinity times its mean or weight is NaN or infinity by the order of the products",
        ("layer_norm", (("put", "weight", (5, -INF)),)),
    ),
    Deviation(
        "not finite",
        "sigmoid_focal_loss|binary_cross_entropy|BCE|cross_entropy|CrossEntropy",
        "",
        "infinite targets and weights: 0 times infinity comes at another place; of infinite logits the losses agree",
        ("binary_cross_entropy_with_logits-weighted-mean", (("put", "target", (25, INF)),)),
    ),
]
