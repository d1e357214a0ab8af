"""Calls on which scratch differs from torch on purpose, each with its reason and an example."""

import re
from dataclasses import dataclass

from parity_tests.fuzzing.changes import Change
from parity_tests.fuzzing.judge import Finding


@dataclass(frozen=True)
class Deviation:
    """An intended kind of finding: its kind, regular expressions for targets and detail, the reason, and an example."""

    kind: str
    targets: str
    detail: str
    reason: str
    example: tuple[str, tuple[Change, ...]]

    def explains(self, finding: Finding) -> bool:
        """Return whether a finding is of this kind."""
        kind, target = finding.kind == self.kind, re.search(self.targets, finding.call.case.scratch)
        return bool(kind and target and re.search(self.detail, finding.detail))


def is_intended(finding: Finding) -> bool:
    """Return whether a finding is intended."""
    return any(deviation.explains(finding) for deviation in DEVIATIONS)


INF = float("inf")
NAN = float("nan")
ATTENTION = "ttention|Transformer|DETR|GPT|BERT|ViT"
BOXES = "box|iou|detections|detr_loss|set_loss|matching_cost|nms|yolo"
CONVOLUTIONS = r"onv|models\.(CNN|VGG|AlexNet|ResNet|CifarResNet|UNet|YOLO|DETR)"

DEVIATIONS = [
    # scratch refuses, torch accepts
    Deviation(
        "refused",
        "",
        "expected one floating-point dtype",
        "scratch promotes no dtype: torch computes with integers and complex numbers, and mixes float32 with float64",
        ("mse_loss-mean", (("dtype", "target", "float32"),)),
    ),
    Deviation(
        "refused",
        "",
        r" is .*, expected (True or False|a whole number|a number|a word|a sequence)|to be a NumPy array",
        "an option has the type of its annotation: torch takes any value as a bool, and NaN as a number",
        ("Linear", (("option", "bias", 2),)),
    ),
    Deviation(
        "refused",
        "",
        r"expected .*of shape .*, got|expected value \(\.\.\., S, V\)|all axes before( the last two)? the same",
        "shapes must be equal: torch broadcasts the smaller array, at best with a warning",
        ("mse_loss-mean", (("drop", "target", 0),)),
    ),
    Deviation(
        "refused",
        "",
        r"expected (an? )?(x|input|images|query|key|logits|boxes|boxes1|boxes2|tokens|source|target|src|tgt|memory|labels|cost|"
        r"positions|predictions|numbers|lengths|weight) ?\(?.*, got",
        "every array has the documented axes: torch also takes a sample without a batch axis, or more axes",
        ("LSTM", (("drop", "x", 1), ("option", "hx", None))),
    ),
    Deviation(
        "refused",
        r"Upsample|interpolate",
        "expected size or scale_factor, one of them",
        "exactly one option gives the new size: torch reads a scale_factor of 0 as None",
        ("Upsample-corners", (("option", "scale_factor", 0),)),
    ),
    Deviation(
        "refused",
        "",
        "expected lengths|lengths, . whole numbers",
        "lengths are whole numbers from 1 to T, as in torch's packing; the reference accepts any number",
        ("masked_mean", (("put", "lengths", (0, 120)),)),
    ),
    Deviation(
        "refused",
        "",
        "more than one value a channel when training",
        "an empty batch has no statistics: torch writes NaN into the running statistics",
        ("BatchNorm1d", (("every size", "", (13, 0)),)),
    ),
    Deviation(
        "refused",
        "batch_norm",
        "came without running_",
        "running_mean and running_var come together; one without the other is a mistake",
        ("batch_norm-rows", (("option", "running_var", None), ("size", "x", (0, 0)))),
    ),
    Deviation(
        "refused",
        "norm|Norm|Transformer|BERT",
        "eps is .*, expected 0 or more",
        "a negative eps can make the number under the root negative, which gives NaN",
        ("layer_norm", (("option", "eps", -1.0),)),
    ),
    Deviation(
        "refused",
        BOXES,
        "a box of negative size",
        "a box with exchanged corners is probably in another format",
        ("box_area", (("put", "boxes", (0, 1e4)),)),
    ),
    Deviation(
        "refused",
        "loss|matching|Loss|nms|cross_entropy|yolo_detections",
        r"expected (a finite number of )?0 or more|, expected 0 to 1|expected a probability|expected more than 0|expected alpha",
        "weights, smoothing, thresholds and probabilities must lie in their range; torch takes any number",
        ("set_loss", (("option", "no_object", -1.0),)),
    ),
    Deviation(
        "refused",
        "loss|Loss|box_convert|boxes",
        "expected one of ",
        "an unknown reduction or format is refused: the references of this project treat it as the last one",
        ("sigmoid_focal_loss-mean", (("option", "reduction", "nonsense"),)),
    ),
    Deviation(
        "refused",
        "dropout|Dropout|ttention|Sinusoidal|sinusoidal|DETR|RNN|LSTM|GRU|models",
        r"expected bool|(p|dropout) is .*, expected a probability|expected a boolean `keep`",
        "masks are boolean and probabilities lie in 0 to 1: the reference multiplies by any number",
        ("dropout", (("option", "p", 1.5),)),
    ),
    Deviation(
        "refused",
        ATTENTION,
        r"expected (attn_|src_|tgt_|memory_)?mask .*|causal_offset is|expected bool \(true|scale is|does not divide",
        "masks broadcast to the scores, never scores to a mask, and the number of heads divides the width",
        ("attention", (("option", "causal_offset", -1),)),
    ),
    Deviation(
        "refused",
        ATTENTION,
        "with enable_gqa",
        "grouped queries need an axis of heads: torch does not look for it where there are no queries",
        ("attention-two-axes", (("size", "query", (0, 0)), ("option", "enable_gqa", True))),
    ),
    Deviation(
        "refused",
        "",
        r"expected positive|expected a positive|at least one|expected at least|is at least 1|are at least 1",
        "a layer or array of width 0 computes nothing; only the batch axis may be empty",
        ("Linear", (("option", "out_features", 0),)),
    ),
    Deviation(
        "refused",
        "anchor_matching|yolo|YOLO",
        "grids are|boxes hold|labels hold",
        "objects lie inside the image and a grid has cells: the reference takes any numbers",
        ("anchor_matching", (("put", "boxes", (0, 2.0)),)),
    ),
    Deviation(
        "refused",
        "matching|set_loss|detr_loss",
        "labels hold|objects for .* queries|cost holds",
        "labels are classes or -1, and there are at least as many queries as objects",
        ("bipartite_matching", (("every size", "", (11, 1)),)),
    ),
    Deviation(
        "refused",
        "relative_position_bucket|RelativePosition",
        "expected signed whole numbers|expected positions",
        "more buckets than distances, or an odd number of buckets for two directions, is a mistake",
        ("relative_position_bucket-few", (("option", "max_distance", 2),)),
    ),
    Deviation(
        "refused",
        "softplus|Softplus",
        "expected two finite numbers",
        "with an infinite beta or threshold, torch's gradient is NaN",
        ("softplus", (("option", "threshold", INF), ("option", "beta", INF))),
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
        r"an int or a pair of ints, each at least|output_padding|at most half of|too small for|does not fit|tokens long|"
        "as many targets|a segment for each|expected one batch|one of them",
        "a geometry without output pixels, or with more padding than kernel, is refused with a clear message",
        ("avg_pool2d-2x2", (("option", "stride", (2,)),)),
    ),
    # scratch accepts, torch refuses
    Deviation(
        "accepted",
        "",
        r"scalar type|target dtype to be Long|expected scalar type Long|Long, Int|int32/int64 for index",
        "labels and tokens may have any integer dtype",
        ("nll_loss-mean", (("dtype", "target", "int32"),)),
    ),
    Deviation(
        "accepted",
        "",
        "Cannot pack empty tensors",
        "an empty batch may come with lengths: the result is an empty batch",
        ("LSTM-ragged", (("every size", "", (5, 0)),)),
    ),
    Deviation(
        "accepted",
        "YOLO",
        "cannot reshape tensor of 0 elements",
        "an empty batch of images has an empty result",
        ("yolo-plain-eval", (("every size", "", (3, 0)),)),
    ),
    Deviation(
        "accepted",
        ATTENTION,
        "Dimension out of range",
        "a mask with one axis, over the keys, broadcasts like any other mask",
        ("attention_weights-masked", (("drop", "attn_mask", 0),)),
    ),
    Deviation(
        "accepted",
        "matching_cost|set_loss|detr_loss",
        "not implemented for 'Half'",
        "torch cannot compute distances between float16 boxes on the CPU",
        ("matching_cost", (("every dtype", "", "float16"),)),
    ),
    Deviation(
        "accepted",
        "matching_cost|set_loss|detr_loss",
        "expects a non-empty TensorList",
        "an empty batch of images has an empty result: torch cannot stack the costs of no images",
        ("matching_cost-batch-of-one", (("every size", "", (1, 0)),)),
    ),
    # NaN and infinities differ from torch's
    Deviation(
        "differs",
        "[Ss]oftplus",
        "torch inf",
        "below a huge threshold, torch's exponential overflows; scratch gives the finite result",
        ("softplus", (("option", "threshold", 1e30), ("put", "x", (0, 1e4)))),
    ),
    Deviation(
        "differs",
        "sigmoid_focal_loss",
        "grad target .* is -?inf, torch nan",
        "where the power of a target beyond 1 overflows, torch multiplies infinity by 0; scratch gives infinity with its sign",
        ("sigmoid_focal_loss-batch-of-one", (("exchange", "input", "target"), ("option", "gamma", 1e30))),
    ),
    Deviation(
        "not finite",
        "cross_entropy|CrossEntropyLoss|set_loss|detr_loss",
        "grad (input|logits)",
        "an ignored row has the gradient 0, whatever it holds: torch's gradient is NaN if the row's softmax is",
        ("CrossEntropyLoss", (("put", "input", (0, NAN)),)),
    ),
    Deviation(
        "not finite",
        ATTENTION,
        "",
        "a masked key has no effect: torch adds minus infinity to its score, and NaN stays NaN",
        ("attention_weights-causal", (("put", "key", (166, NAN)),)),
    ),
    Deviation(
        "not finite",
        CONVOLUTIONS,
        "",
        "an infinite pixel or weight may give NaN in its whole tile of Winograd's convolution",
        ("conv2d-narrowing", (("put", "weight", (171, INF)),)),
    ),
    Deviation(
        "not finite",
        "interpolate_positions",
        "",
        "a pixel of weight 0 has no effect, and a pixel's weights are summed before the product; torch multiplies all sixteen",
        ("interpolate_positions-smaller", (("put", "positions", (110, INF)),)),
    ),
    Deviation(
        "not finite",
        BOXES,
        "",
        "a box with an infinite corner has an infinite side: the order of the products decides where NaN appears",
        ("box_convert-cxcywh-xywh", (("put", "boxes", (73, -INF)),)),
    ),
    Deviation(
        "not finite",
        "norm|Norm",
        "",
        "the order of the products decides whether infinity times a mean or weight is NaN or infinity",
        ("layer_norm", (("put", "weight", (5, -INF)),)),
    ),
    Deviation(
        "not finite",
        "sigmoid_focal_loss|binary_cross_entropy|BCE|cross_entropy|CrossEntropy",
        "",
        "with infinite targets or weights, 0 times infinity appears at another place; with infinite logits the losses agree",
        ("binary_cross_entropy_with_logits-weighted-mean", (("put", "target", (25, INF)),)),
    ),
]
