"""Faults of a grid detector: mixed cells and anchors, objects without a prediction, lost terms of the loss, wrong joins in YOLO."""

from functools import partial

from parity_tests.faults.fault import Fault

boxes = partial(Fault, function="ops.yolo_boxes.yolo_boxes", cases=("yolo_boxes", "yolo_boxes-even"), culprit="yolo_boxes")
priors = partial(boxes, function="ops.yolo_boxes._priors")
detections = partial(
    Fault,
    function="ops.yolo_boxes.yolo_detections",
    cases=("yolo_detections", "yolo_detections-ties", "yolo_detections-few"),
    culprit="yolo_detections",
)
match = partial(
    Fault,
    function="ops.anchor_matching.anchor_matching",
    cases=("anchor_matching", "anchor_matching-edges"),
    culprit="anchor_matching",
)
tied = partial(match, cases=("anchor_matching-ties",))
loss = partial(
    Fault, function="ops.yolo_loss.yolo_loss", cases=("yolo_loss", "yolo_loss-edges", "yolo_loss-weights"), culprit="yolo_loss"
)
ignoring = partial(loss, function="ops.yolo_loss._overlaps")
yolo = partial(Fault, function="models.yolo.YOLO.forward", cases=("yolo", "yolo-deep"), culprit="YOLO")
listed = partial(yolo, function="models.yolo.YOLO._listed")
up = partial(Fault, function="models.yolo.Up.forward", cases=("yolo", "yolo-deep", "yolo-square"), culprit="Up")
residual = partial(Fault, function="models.yolo.Residual.forward", cases=("yolo", "yolo-deep"), culprit="Residual")

CORNER = "np.stack([column, row], axis=1) * cell"
COLUMN = "for axis, n in enumerate((W, H))"
PLACE = "(row * W + column)[..., None] * len(anchors) + np.arange(len(anchors))"
DIVISOR = "dtype.type(1 / B), dtype.type(box_weight / B)"

BOXES = [
    boxes(
        "yolo_boxes: place of the cell left out",
        "corner + cell * place",
        "cell * place",
        "forward",
        "does not add the corner of the cell",
    ),
    boxes(
        "yolo_boxes: exponential missing",
        "np.exp(np.minimum(t, LARGEST))",
        "np.minimum(t, LARGEST)",
        "forward",
        "applies no exponential to the sides",
    ),
    boxes("yolo_boxes: exponent not held", "np.exp(np.minimum(t, LARGEST))", "np.exp(t)", "forward", "it overflows"),
    boxes(
        "yolo_boxes: sigmoid of the sides",
        "np.exp(np.minimum(t, LARGEST))",
        "sigmoid(np.minimum(t, LARGEST))[0]",
        "forward",
        "applies a sigmoid to the sides",
    ),
    boxes(
        "yolo_boxes: sigmoid of the place missing",
        "sigmoid(predictions[..., :2])",
        "predictions[..., :2], lambda dy: dy",
        "forward",
        "applies no sigmoid to the position in the cell",
    ),
    boxes(
        "yolo_boxes: the place is that of a corner",
        "[corner + cell * place, sides]",
        "[corner + cell * place + sides / 2, sides]",
        "forward",
        "first corner of the box",
    ),
    boxes(
        "yolo_boxes: gradient of the exponential missing",
        "dboxes[..., 2:] * sides",
        "dboxes[..., 2:] * anchor",
        "backward",
        "in the backward pass, applies no exponential",
    ),
    boxes(
        "yolo_boxes: gradient where the exponent is held",
        "np.where(t <= LARGEST, dboxes[..., 2:] * sides, 0)",
        "dboxes[..., 2:] * sides",
        "backward",
        "has a gradient where the exponent is clipped",
    ),
    boxes(
        "yolo_boxes: gradient of the place not scaled by the cell",
        "place_backward(cell * dboxes[..., :2])",
        "place_backward(dboxes[..., :2])",
        "backward",
        "constant along axis 0",
    ),
    priors("yolo_boxes: row added to x", CORNER, CORNER.replace("column, row", "row, column"), "forward", "adds the row to x"),
    priors("yolo_boxes: divided by height and width", "[1 / W, 1 / H]", "[1 / H, 1 / W]", "forward", "divides by"),
    priors(
        "yolo_boxes: middle of the cell",
        CORNER,
        f"({CORNER} + cell / 2)",
        "forward",
        "measures positions from the centre of the cell",
    ),
    priors(
        "yolo_boxes: anchors not divided by the grid",
        "np.array(anchors)[anchor] * cell",
        "np.array(anchors)[anchor]",
        "forward",
        "does not divide anchors",
    ),
    priors(
        "yolo_boxes: anchors turned",
        "np.array(anchors)[anchor]",
        "np.array(anchors)[anchor, ::-1]",
        "forward",
        "swaps the width and the height of the anchors",
        cases=("yolo_boxes",),
    ),
    priors(
        "yolo_boxes: anchors of the other grid",
        "for (H, W), anchors in grids:",
        "for ((H, W), _), (_, anchors) in zip(grids, grids[::-1]):",
        "forward",
        "gives each grid the anchors of another grid",
        cases=("yolo_boxes-even",),
    ),
    priors(
        "yolo_boxes: anchor by anchor",
        "row, column, anchor = (index.ravel() for index in np.indices((H, W, len(anchors))))",
        "anchor, row, column = (index.ravel() for index in np.indices((len(anchors), H, W)))",
        "forward",
        "counts all cells of one anchor before the next anchor",
    ),
]

MATCHING = [
    match("anchor_matching: x for y", COLUMN, "for axis, n in ((1, W), (0, H))", "forward", "swaps x and y"),
    match(
        "anchor_matching: rounded to a corner",
        "* n).astype(int)",
        "* n).round().astype(int)",
        "forward",
        "rounds to the nearest corner",
    ),
    match(
        "anchor_matching: beyond the edge of the image",
        "np.minimum((exact[..., axis] * n).astype(int), n - 1)",
        "(exact[..., axis] * n).astype(int)",
        "forward",
        "next row or image",
        cases=("anchor_matching-edges",),
    ),
    match("anchor_matching: cells column by column", "row * W + column", "column * H + row", "forward", "column by column"),
    match(
        "anchor_matching: anchor by anchor",
        PLACE,
        "(row * W + column)[..., None] + np.arange(len(anchors)) * H * W",
        "forward",
        "counts all cells of one anchor before the next anchor",
    ),
    match("anchor_matching: each grid counted from 0", "choices.append(P + ", "choices.append(", "forward", "of each grid from 0"),
    match(
        "anchor_matching: anchors not divided by the grid",
        "np.array(anchors) / (W, H)",
        "np.array(anchors)",
        "forward",
        "does not divide anchors",
    ),
    match(
        "anchor_matching: the anchor least like the object",
        "np.where(free, likeness[:, n], -1).argmax(axis=1)",
        "np.where(free, likeness[:, n], 2).argmin(axis=1)",
        "forward",
        "least like the object",
    ),
    tied(
        "anchor_matching: anchors turned",
        "np.array(anchors) / (W, H)",
        "np.array(anchors)[:, ::-1] / (W, H)",
        "forward",
        "swaps the width and the height of the",
    ),
    tied(
        "anchor_matching: the last of equal anchors",
        "np.where(free, likeness[:, n], -1).argmax(axis=1)",
        "free.shape[1] - 1 - np.where(free, likeness[:, n], -1)[:, ::-1].argmax(axis=1)",
        "forward",
        "last of equal",
    ),
    tied(
        "anchor_matching: a prediction for several objects",
        "taken[there, matched[there, n]] = True",
        "pass",
        "forward",
        "to several objects",
    ),
    tied(
        "anchor_matching: no second choice",
        "free = ~taken[image[:, None], choice[:, n]] & (labels[:, n, None] >= 0)",
        "free = ~taken[image, choice[image, n, likeness[:, n].argmax(axis=1)]][:, None] & (labels[:, n, None] >= 0)",
        "forward",
        "whose first choice is taken",
    ),
    tied(
        "anchor_matching: objects that are not there take predictions",
        "& (labels[:, n, None] >= 0)",
        "",
        "forward",
        None,
    ),
]

LOSS = [
    loss(
        "yolo_loss: unmatched predictions without loss",
        "np.full((B, P), no_object, dtype)",
        "np.zeros((B, P), dtype)",
        "forward",
        "leaves predictions without an object out",
    ),
    loss(
        "yolo_loss: no_object left out",
        "np.full((B, P), no_object, dtype)",
        "np.ones((B, P), dtype)",
        "forward",
        "ignores no_object",
    ),
    loss(
        "yolo_loss: nothing ignored",
        "weight[_overlaps(predictions, labels, boxes, grids, ignore_above)] = 0",
        "pass",
        "forward",
        "ignores no prediction",
        cases=("yolo_loss", "yolo_loss-weights"),
    ),
    loss(
        "yolo_loss: matched predictions ignored",
        "weight[chosen] = 1",
        "weight[chosen] *= 1 / dtype.type(no_object)",
        "forward",
        "even where they are matched",
        cases=("yolo_loss", "yolo_loss-weights"),
    ),
    loss("yolo_loss: default ignore_above", "grids, ignore_above)", "grids, 0.5)", "forward", None, cases=("yolo_loss-weights",)),
    loss(
        "yolo_loss: class loss of all cells",
        '    class_loss, class_backward = binary_cross_entropy_with_logits(predictions[chosen][:, 5:], wanted, reduction="sum")',
        "    everywhere = np.zeros_like(predictions[..., 5:])\n    everywhere[chosen] = wanted\n"
        '    class_loss, whole = binary_cross_entropy_with_logits(predictions[..., 5:], everywhere, reduction="sum")\n'
        "    class_backward = lambda dy: (whole(dy)[0][chosen],)",
        "forward",
        "for every prediction",
    ),
    loss(
        "yolo_loss: classes counted from 1",
        "[labels[image, target]]",
        "[labels[image, target] - 1]",
        "forward",
        None,
    ),
    loss("yolo_loss: no object wanted of matched predictions", "there[chosen] = 1", "pass", "forward", None),
    loss(
        "yolo_loss: objectness looked for among the classes",
        "binary_cross_entropy_with_logits(predictions[..., 4],",
        "binary_cross_entropy_with_logits(predictions[..., -1],",
        "forward",
        None,
    ),
    loss(
        "yolo_loss: divided by the batch size twice",
        DIVISOR,
        "dtype.type(1 / B**2), dtype.type(box_weight / B**2)",
        "forward",
        "batch size twice",
    ),
    loss(
        "yolo_loss: not divided", DIVISOR, "dtype.type(1), dtype.type(box_weight)", "forward", "does not divide by the batch size"
    ),
    loss(
        "yolo_loss: divided by the number of objects",
        DIVISOR,
        "dtype.type(1 / len(image)), dtype.type(box_weight / len(image))",
        "forward",
        "by the number of objects",
    ),
    loss("yolo_loss: box_weight left out", DIVISOR, "dtype.type(1 / B), dtype.type(1 / B)", "forward", "leaves box_weight out"),
    loss(
        "yolo_loss: boxes in the wrong format",
        'sought, _ = box_convert(boxes[image, target], "cxcywh", "xyxy")',
        "sought = boxes[image, target]",
        "forward",
        "a box of negative size",
    ),
    loss(
        "yolo_loss: objects in the order of their predictions",
        "sought, _ = box_convert(boxes[image, target]",
        "sought, _ = box_convert(boxes[image, target][::-1]",
        "forward",
        None,
    ),
    loss("yolo_loss: no gradient of the boxes", "decoded_backward(ddecoded)", "0 * decoded_backward(ddecoded)", "backward", None),
    loss(
        "yolo_loss: gradients of boxes to their objects' places",
        "ddecoded[chosen] =",
        "ddecoded[image, target] =",
        "backward",
        None,
    ),
    loss("yolo_loss: gradient of corners not converted", "corners_backward(dcorners)", "dcorners", "backward", None),
    loss(
        "yolo_loss: gradient not divided",
        "return dpredictions, None",
        "return dpredictions * B, None",
        "backward",
        "does not divide the gradient",
    ),
    loss("yolo_loss: no gradient of the classes", "class_backward(dclass * scale)[0]", "0", "backward", None),
    loss(
        "yolo_loss: in the matching, x and y swapped",
        "anchor_matching(labels, boxes, grids)",
        "anchor_matching(labels, boxes[..., [1, 0, 2, 3]], grids)",
        "forward",
        "in the matching, swaps x and y",
    ),
    ignoring("yolo_loss: every overlap ignored", "> above", "> 0", "forward", "overlaps an object at all"),
    ignoring(
        "yolo_loss: boxes of other images ignored too",
        "objects[:, None]",
        "objects.reshape(1, 1, -1, 4)",
        "forward",
        None,
        cases=("yolo_loss", "yolo_loss-weights"),
    ),
]

DETECTIONS = [
    detections(
        "yolo_detections: objectness left out of the score",
        "probabilities[..., :1] * probabilities[..., 1:]",
        "probabilities[..., 1:]",
        "forward",
        "uses the probability of the class as the score",
    ),
    detections(
        "yolo_detections: boxes of other classes suppressed",
        "nms(corners[image, sure], of_class[sure], iou_threshold)",
        "nms(corners[image, sure], of_class[sure], iou_threshold); "
        "kept = np.array([i for i in kept if not labels or sure[i] not in np.concatenate(numbers)], int)",
        "forward",
        None,
    ),
    detections(
        "yolo_detections: nothing suppressed",
        "of_class[sure], iou_threshold)",
        "of_class[sure], 1.0)",
        "forward",
        "suppresses no box",
    ),
    detections(
        "yolo_detections: numbers of the sure ones for those of all",
        "numbers.append(sure[kept])",
        "numbers.append(kept)",
        "forward",
        None,
    ),
    detections(
        "yolo_detections: class by class",
        'np.argsort(-score, kind="stable")',
        "np.arange(len(score))",
        "forward",
        "lists the boxes class by class",
    ),
    detections("yolo_detections: corners returned", '"boxes": boxes[', '"boxes": corners[', "forward", "returns corners"),
    detections(
        "yolo_detections: boxes not converted",
        'corners, _ = box_convert(boxes, "cxcywh", "xyxy")',
        "corners = boxes",
        "forward",
        "a box of negative size",
    ),
    detections(
        "yolo_detections: default score_threshold",
        "of_class > score_threshold",
        "of_class > 0.05",
        "forward",
        "default score_threshold",
        cases=("yolo_detections-few",),
    ),
    detections(
        "yolo_detections: default iou_threshold",
        "of_class[sure], iou_threshold)",
        "of_class[sure], 0.5)",
        "forward",
        "default iou_threshold",
        cases=("yolo_detections-few",),
    ),
]

MODEL = [
    yolo(
        "YOLO: the fine grid first",
        "np.concatenate([first, second], axis=1)",
        "np.concatenate([second, first], axis=1)",
        "forward",
        "joins the tensors in reverse order",
    ),
    yolo(
        "YOLO: gradient of the coarse grid alone",
        "dfar + coarse_backward(first_backward(dcoarse))",
        "coarse_backward(first_backward(dcoarse)) + 0 * dfar",
        "backward",
        "loses the gradient of the argument x of up",
    ),
    yolo(
        "YOLO: no gradient of the coarse grid past its head",
        "dfar + coarse_backward(first_backward(dcoarse))",
        "dfar + 0 * coarse_backward(first_backward(dcoarse))",
        "backward",
        "loses the gradient of the argument input of coarse",
    ),
    yolo(
        "YOLO: no gradient of the fine grid into the backbone",
        "shallow(dnear + deep(dfar))",
        "shallow(0 * dnear + deep(dfar))",
        "backward",
        "loses the gradient of the argument skip of up",
    ),
    yolo(
        "YOLO: no gradient through the last stage",
        "shallow(dnear + deep(dfar))",
        "shallow(dnear + 0 * deep(dfar))",
        "backward",
        "loses the gradient of the argument input of deep",
    ),
    listed(
        "YOLO: predictions not listed cell by cell",
        "y.transpose(0, 2, 3, 1).reshape(B, P, self.numbers)",
        "y.reshape(B, P, self.numbers)",
        "forward",
        "wrong order",
    ),
    listed(
        "YOLO: numbers before cells",
        "y.transpose(0, 2, 3, 1).reshape(B, P, self.numbers)",
        "y.reshape(B, C // self.numbers, self.numbers, H, W).transpose(0, 1, 3, 4, 2).reshape(B, P, self.numbers)",
        "forward",
        "wrong order",
    ),
    listed(
        "YOLO: gradient not listed back",
        "dlisted.reshape(B, H, W, C).transpose(0, 3, 1, 2)",
        "dlisted.reshape(B, C, H, W)",
        "backward",
        None,
    ),
    up("YOLO: the skip before what is enlarged", "[x, skip]", "[skip, x]", "forward", "joins the tensors in reverse order"),
    up(
        "YOLO: gradients of the join in each other's place",
        "(convolution(up(dy[:, :C])), dy[:, C:])",
        "(convolution(up(dy[:, -C:])), dy[:, :-C])",
        "backward",
        "joins the tensors in reverse order",
    ),
    up("YOLO: no gradient for the skip", "dy[:, C:])", "0 * dy[:, C:])", "backward", "zero everywhere"),
    up(
        "YOLO: enlarged without an upsampling's gradient",
        "convolution(up(dy[:, :C]))",
        "convolution(dy[:, :C, ::2, ::2])",
        "backward",
        None,
    ),
    up(
        "YOLO: upsampling misaligned",
        "C = x.shape[1]",
        "C = x.shape[1]; x = np.pad(x, ((0, 0), (0, 0), (1, 0), (1, 0)), 'edge')[:, :, :-1, :-1]",
        "forward",
        None,
    ),
    Fault(
        "YOLO: torch's slope for Darknet's",
        "LeakyReLU(0.1)",
        "LeakyReLU()",
        "forward",
        r"its negative_slope is 0\.01, expected 0\.1",
        "models.yolo.convolution",
        ("yolo", "yolo-deep"),
        "LeakyReLU",
    ),
    residual(
        "YOLO: nothing goes past the residual blocks",
        "x + y, lambda",
        "y, lambda",
        "forward",
        "leaves the first term of the sum out",
    ),
    residual(
        "YOLO: no gradient past the residual blocks",
        "dy + first(second(dy))",
        "first(second(dy))",
        "backward",
        "loses the gradient of the first term of the sum",
    ),
    residual(
        "YOLO: no gradient into the residual blocks",
        "dy + first(second(dy))",
        "dy + 0 * first(second(dy))",
        "backward",
        "loses the gradient",
    ),
]

FAULTS = [*BOXES, *MATCHING, *LOSS, *DETECTIONS, *MODEL]
