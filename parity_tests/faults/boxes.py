"""Faults of boxes: wrong formats, overlaps of distant boxes, ties in non-maximum suppression, and the losses of detectors."""

from functools import partial

from parity_tests.faults.fault import Fault

convert = partial(
    Fault,
    function="ops.boxes.box_convert",
    cases=("box_convert-cxcywh-xyxy", "box_convert-xyxy-cxcywh", "box_convert-xywh-cxcywh"),
    culprit="box_convert",
)
area = partial(Fault, function="ops.boxes.box_area", cases=("box_area",), culprit="box_area")
iou = partial(
    Fault,
    function="ops.boxes.iou_and_union",
    cases=("box_iou", "generalized_box_iou", "generalized_box_iou_loss-sum"),
    culprit="box_iou|generalized_box_iou",
)
between = partial(iou, function="ops.boxes._area_between")
giou = partial(
    Fault,
    function="ops.boxes.giou",
    cases=("generalized_box_iou", "generalized_box_iou-aligned", "generalized_box_iou_loss-none"),
    culprit="generalized_box_iou",
)
giou_loss = partial(
    Fault,
    function="ops.loss.generalized_box_iou_loss",
    cases=("generalized_box_iou_loss-mean", "generalized_box_iou_loss-sum"),
    culprit="generalized_box_iou_loss",
)
nms = partial(Fault, function="ops.nms.nms", cases=("nms-0.3", "nms-0.5"), culprit="nms")
focal = partial(
    Fault,
    function="ops.loss.sigmoid_focal_loss",
    cases=("sigmoid_focal_loss-mean", "sigmoid_focal_loss-none"),
    culprit="sigmoid_focal_loss",
)

CHANGE = "np.linalg.inv(FORMATS[out_fmt]) @ FORMATS[in_fmt]"
FORMATS = [
    convert(
        "box_convert: the other way",
        CHANGE,
        "np.linalg.inv(FORMATS[in_fmt]) @ FORMATS[out_fmt]",
        "forward",
        "converts in the opposite direction",
    ),
    convert(
        "box_convert: corners for centres",
        CHANGE,
        "np.linalg.inv(FORMATS[out_fmt])",
        "forward",
        "reads every box as xyxy, whatever in_fmt is|not convert",
        cases=("box_convert-cxcywh-xyxy", "box_convert-xywh-cxcywh"),
    ),
    convert(
        "box_convert: the corner for the centre",
        CHANGE,
        CHANGE.replace("FORMATS[in_fmt]", 'FORMATS[in_fmt if in_fmt == "xyxy" else "xywh"]'),
        "forward",
        "reads every box as xywh, whatever in_fmt is",
        cases=("box_convert-cxcywh-xyxy", "box_convert-cxcywh-xywh"),
    ),
    convert(
        "box_convert: whole sides from the centre",
        CHANGE,
        f"({CHANGE}) * np.array([1, 1, 2, 2])",
        "forward",
        "moves the corners by a whole side from the centre",
        cases=("box_convert-cxcywh-xyxy",),
    ),
    convert("box_convert: the matrix not transposed", "boxes @ change.T", "boxes @ change", "forward", None),
    convert(
        "box_convert: the gradient as it came",
        "lambda dy: dy @ change",
        "lambda dy: dy",
        "backward",
        "does not convert the gradient",
    ),
    convert("box_convert: the gradient converted like the boxes", "dy @ change", "dy @ change.T", "backward", None),
    area("box_area: sum of the sides", "sides[..., 0] * sides[..., 1]", "sides[..., 0] + sides[..., 1]", "forward", None),
    area("box_area: sides swapped in the gradient", "sides[..., ::-1]", "sides", "backward", "right numbers in the wrong order"),
    area(
        "box_area: gradient of the first corner not negated",
        "[-dsides, dsides]",
        "[dsides, dsides]",
        "backward",
        "factor that is constant along axis 0",
    ),
    area("box_area: gradient to the second corner alone", "[-dsides, dsides]", "[0 * dsides, dsides]", "backward", None),
]

OVERLAPS = [
    between(
        "box_iou: sides of the intersection not clamped at 0",
        "np.maximum(corners[2:] - corners[:2], 0)",
        "corners[2:] - corners[:2]",
        "forward",
        "does not clamp",
    ),
    between(
        "box_iou: pixels counted",
        "np.maximum(corners[2:] - corners[:2], 0)",
        "np.maximum(corners[2:] - corners[:2] + 1, 0)",
        "forward",
        None,
    ),
    between(
        "box_iou: a gradient for boxes that do not meet",
        " * (corners[2:] >= corners[:2])",
        "",
        "backward",
        None,
        cases=("box_iou", "box_iou-aligned"),
    ),
    between(
        "box_iou: no gradient for boxes that touch",
        "corners[2:] >= corners[:2]",
        "corners[2:] > corners[:2]",
        "backward",
        None,
        cases=("box_iou-aligned", "generalized_box_iou-aligned"),
    ),
    between(
        "box_iou: the gradient of equal corners to the first box",
        "np.where(two == corners, dcorners / 2, dcorners)",
        "dcorners",
        "backward",
        "gradient of equal corners",
        cases=("box_iou-aligned",),
    ),
    between("box_iou: width for height in the gradient", "darea * sides[::-1]", "darea * sides", "backward", None),
    between("box_iou: gradient of the lower corner not negated", "[-dsides, dsides]", "[dsides, dsides]", "backward", None),
    iou(
        "box_iou: the intersection counted twice",
        "area1 + area2 - shared",
        "area1 + area2",
        "forward",
        "does not subtract the intersection",
    ),
    iou(
        "box_iou: divided by the smaller area",
        "union + (union == 0)",
        "np.maximum(np.minimum(area1, area2), 1e-9).astype(union.dtype)",
        "forward",
        "divides by the smaller area",
        cases=("box_iou",),
    ),
    iou(
        "box_iou: NaN where there is no area",
        "union + (union == 0)",
        "union",
        "forward",
        "NaN",
        cases=("box_iou-aligned", "generalized_box_iou-aligned"),
    ),
    iou(
        "box_iou: the union constant in the backward",
        "dunion - diou * iou / covered",
        "dunion + 0 * iou",
        "backward",
        "treats the union as a constant in the backward pass",
        cases=("box_iou",),
    ),
    iou(
        "box_iou: the intersection's part in the union left out of the backward",
        "diou / covered - through_union",
        "diou / covered",
        "backward",
        None,
    ),
    iou(
        "box_iou: the gradient summed over the wrong set",
        "dboxes2 += area2_backward(sum_to_shape(through_union, area2.shape))",
        "dboxes2 += area2_backward(0 * sum_to_shape(through_union, area2.shape))",
        "backward",
        None,
    ),
    giou(
        "generalized_box_iou: without the box around both",
        "iou - (around - union) / around,",
        "iou,",
        "forward",
        "leaves the enclosing box out",
    ),
    giou(
        "generalized_box_iou: what is empty added",
        "iou - (around",
        "iou + (around",
        "forward",
        None,
        cases=("generalized_box_iou", "generalized_box_iou_loss-none"),
    ),
    giou(
        "generalized_box_iou: divided by the union",
        "(around - union) / around,",
        "(around - union) / (union + (union == 0)),",
        "forward",
        "divides the empty area by the union",
    ),
    giou(
        "generalized_box_iou: the intersection for the box around both",
        "_area_between(np.minimum, np.maximum, boxes1, boxes2)",
        "_area_between(np.maximum, np.minimum, boxes1, boxes2)",
        "forward",
        None,
    ),
    giou(
        "generalized_box_iou: the box around both constant in the backward",
        "-dy * union / (around * around)",
        "0 * dy",
        "backward",
        "treats the area of the enclosing box as a constant in the backward pass",
    ),
    giou(
        "generalized_box_iou: the union's gradient through its share left out",
        "iou_backward(dy, dy / around)",
        "iou_backward(dy)",
        "backward",
        None,
    ),
    giou("generalized_box_iou: around not squared in the backward", "(around * around)", "around", "backward", None),
    giou_loss("generalized_box_iou_loss: the overlap itself", "1 - y, -np.ones_like(y)", "y, np.ones_like(y)", "forward", None),
    giou_loss("generalized_box_iou_loss: gradient's sign", "-np.ones_like(y)", "np.ones_like(y)", "backward", "wrong sign"),
    giou_loss(
        "generalized_box_iou_loss: sum for mean",
        "reduction)\n    return loss, lambda",
        '"sum")\n    return loss, lambda',
        "forward",
        "takes the sum; the reduction is the mean",
        cases=("generalized_box_iou_loss-mean",),
    ),
]

SUPPRESSION = [
    nms(
        "nms: at the threshold too",
        "iou <= iou_threshold",
        "iou < iou_threshold",
        "forward",
        "suppresses boxes whose overlap equals the threshold",
        cases=("nms-0.5",),
    ),
    nms(
        "nms: the last of equal scores first",
        'np.argsort(-scores, kind="stable")',
        'np.argsort(scores, kind="stable")[::-1]',
        "forward",
        "last of equal scores",
    ),
    nms("nms: the lowest score first", "np.argsort(-scores", "np.argsort(scores", "forward", "begins with the lowest score"),
    nms(
        "nms: numbers in their order",
        "np.array(kept, np.int64)",
        "np.array(sorted(kept), np.int64)",
        "forward",
        "returns the indices in rising order",
    ),
    nms("nms: those suppressed kept", "left[iou <= iou_threshold]", "left[iou > iou_threshold]", "forward", None),
]

FOCAL = [
    focal(
        "focal loss: easy ones weigh most",
        "easy = missed**gamma",
        "easy = (1 - missed) ** gamma",
        "forward",
        "weights by p_t, which favours easy examples",
    ),
    focal("focal loss: gamma ignored", "easy = missed**gamma", "easy = np.ones_like(missed)", "forward", "gamma = 0"),
    focal(
        "focal loss: alpha for the negatives",
        "alpha * target + (1 - alpha) * (1 - target)",
        "alpha * (1 - target) + (1 - alpha) * target",
        "forward",
        "gives alpha to the targets of 0",
    ),
    focal(
        "focal loss: alpha for all",
        "alpha * target + (1 - alpha) * (1 - target)",
        "alpha * np.ones_like(target)",
        "forward",
        "multiplies the loss of every target by alpha",
    ),
    focal(
        "focal loss: the focus constant in the backward",
        "(gamma * missed ** (gamma - 1) if gamma else 0)",
        "0 * missed",
        "backward",
        "as a constant in the backward pass",
    ),
    focal("focal loss: the exponent not lowered", "missed ** (gamma - 1)", "missed**gamma", "backward", None),
    focal("focal loss: the factor gamma missing", "(gamma * missed", "(missed", "backward", None),
    focal("focal loss: no gradient of the sigmoid", " * sigmoid * (1 - sigmoid) *", " *", "backward", None),
]

FAULTS = [*FORMATS, *OVERLAPS, *SUPPRESSION, *FOCAL]
