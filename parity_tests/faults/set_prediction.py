"""Faults of sets of predictions: wrong matchings, predictions without a loss, and positions in images."""

from functools import partial

from parity_tests.faults.fault import Fault

cost = partial(
    Fault, function="ops.matching.matching_cost", cases=("matching_cost", "matching_cost-weights"), culprit="matching_cost"
)
match = partial(
    Fault,
    function="ops.matching.bipartite_matching",
    cases=("bipartite_matching", "bipartite_matching-ties"),
    culprit="bipartite_matching",
)
loss = partial(Fault, function="ops.set_loss.set_loss", cases=("set_loss", "set_loss-weights", "set_loss-ties"), culprit="set_loss")
positions = partial(
    Fault,
    function="ops.sinusoidal_positions_2d.sinusoidal_positions_2d",
    cases=("sinusoidal_positions_2d", "SinusoidalPositions2d", "sinusoidal_positions_2d-base"),
    culprit="sinusoidal_positions_2d|SinusoidalPositions2d",
)

MATCHING = [
    cost("matching_cost: the class added", " - of_label", " + of_label", "forward", "adds the probability"),
    cost("matching_cost: the overlap added", " - giou_weight * overlap", " + giou_weight * overlap", "forward", "adds the overlap"),
    cost("matching_cost: the class left out", " - of_label", "", "forward", "leaves the term of the class out"),
    cost(
        "matching_cost: the logarithm of the probability",
        " - of_label",
        " - np.log(of_label)",
        "forward",
        "uses the logarithm of the probability",
    ),
    cost(
        "matching_cost: Euclidean distance",
        "np.abs(boxes[:, :, None] - target_boxes[:, None]).sum(axis=3)",
        "np.sqrt(((boxes[:, :, None] - target_boxes[:, None]) ** 2).sum(axis=3))",
        "forward",
        "Euclidean distance",
    ),
    cost(
        "matching_cost: weights swapped",
        "box_weight * distance - of_label - giou_weight",
        "giou_weight * distance - of_label - box_weight",
        "forward",
        "swaps box_weight and giou_weight",
    ),
    cost(
        "matching_cost: default weights",
        "cost = box_weight *",
        "box_weight, giou_weight = 5.0, 2.0; cost = box_weight *",
        "forward",
        "default weights",
        cases=("matching_cost-weights",),
    ),
    cost(
        "matching_cost: the last class for padding, not 0",
        "np.where(labels[:, None] < 0, 0, cost)",
        "cost",
        "forward",
        "differs only where y is 0",
    ),
    match(
        "bipartite_matching: at the highest cost",
        "costs[:, there].T)",
        "costs[:, there].T, maximize=True)",
        "forward",
        "takes the assignment with the highest cost",
    ),
    match(
        "bipartite_matching: each object its cheapest query",
        "_, matched[image, there] = linear_sum_assignment(costs[:, there].T)",
        "matched[image, there] = costs[:, there].argmin(axis=0)",
        "forward",
        "so that several objects can have the same one",
        cases=("bipartite_matching-ties",),
    ),
    match(
        "bipartite_matching: padding takes queries",
        "_, matched[image, there] = linear_sum_assignment(costs[:, there].T)",
        "matched[image, there] = linear_sum_assignment(costs.T)[1][there]",
        "forward",
        "assigns queries to padding",
        cases=("bipartite_matching",),
    ),
    match(
        "bipartite_matching: objects for queries",
        "_, matched[image, there] = linear_sum_assignment(costs[:, there].T)",
        "matched[image, there] = linear_sum_assignment(costs[:, there].T)[0]",
        "forward",
        "assigns the queries in their order",
    ),
]

LOSS = [
    loss(
        "set_loss: unmatched queries without loss",
        "weight[-1] = no_object",
        "weight[-1] = 0",
        "forward",
        "leaves the queries without an object out",
    ),
    loss("set_loss: no_object ignored", "weight[-1] = no_object", "weight[-1] = 1", "forward", "ignores no_object"),
    loss(
        "set_loss: no object is the first class",
        "np.full((B, Q), classes - 1)",
        "np.zeros((B, Q), int)",
        "forward",
        "uses the first class for 'no object'",
    ),
    loss(
        "set_loss: matched in their order",
        "matched, _ = bipartite_matching(cost, labels >= 0)",
        "matched = np.where(labels >= 0, np.arange(labels.shape[1]), -1)",
        "forward",
        "assigns the queries in their order",
        cases=("set_loss", "set_loss-weights"),
    ),
    loss(
        "set_loss: default weights in the matching",
        ", box_weight, giou_weight)\n    matched",
        ")\n    matched",
        "forward",
        "default weights",
        cases=("set_loss-weights",),
    ),
    loss("set_loss: divided by the batch size", "max(len(query), 1)", "B", "forward", "by the batch size"),
    loss("set_loss: divided by the queries", "max(len(query), 1)", "(B * Q)", "forward", "by the number of queries"),
    loss(
        "set_loss: boxes in the wrong format",
        'box_convert(sought, "cxcywh", "xyxy")[0]',
        "sought",
        "forward",
        "a box of negative size",
    ),
    loss(
        "set_loss: targets not matched with their queries",
        "sought = boxes[image, query], target_boxes[image, target]",
        "sought = boxes[image, query], target_boxes[image, target][::-1]",
        "forward",
        None,
        cases=("set_loss", "set_loss-weights"),
    ),
    loss(
        "set_loss: boxes' gradient to their targets' places",
        "dboxes[image, query] = dfound",
        "dboxes[image, target] = dfound",
        "backward",
        "right numbers in the wrong order",
        cases=("set_loss", "set_loss-weights"),
    ),
    loss(
        "set_loss: no gradient of the overlap",
        "dfound + corners_backward(dcorners)",
        "dfound",
        "backward",
        None,
        cases=("set_loss", "set_loss-weights"),
    ),
    loss(
        "set_loss: no gradient of the distance",
        "dfound + corners_backward(dcorners)",
        "corners_backward(dcorners)",
        "backward",
        None,
    ),
    loss("set_loss: the gradient of corners not converted", "corners_backward(dcorners)", "dcorners", "backward", None),
    loss("set_loss: the boxes' gradients not divided", "(ddistance * box_scale)", "(ddistance * box_weight)", "backward", None),
]

PLACES = [
    positions(
        "sinusoidal_positions_2d: columns first",
        "for axis in (1, 2):",
        "for axis in (2, 1):",
        "forward",
        "columns in the first half",
    ),
    positions(
        "sinusoidal_positions_2d: padding counted",
        "present.cumsum(axis=axis)",
        "np.ones_like(present).cumsum(axis=axis)",
        "forward",
        "counts the padding",
    ),
    positions(
        "sinusoidal_positions_2d: counted from 0",
        "present.cumsum(axis=axis)",
        "present.cumsum(axis=axis) - 1",
        "forward",
        "counts from 0",
    ),
    positions(
        "sinusoidal_positions_2d: not normalised",
        "if normalize:",
        "if not normalize:",
        "forward",
        "normalises where it should not|uses normalize = False",
    ),
    positions(
        "sinusoidal_positions_2d: without 2π",
        "2 * math.pi * places",
        "places",
        "forward",
        "does not multiply by 2π",
        cases=("sinusoidal_positions_2d", "SinusoidalPositions2d"),
    ),
    positions("sinusoidal_positions_2d: half a turn", "2 * math.pi *", "math.pi *", "forward", "multiplies by π"),
    positions("sinusoidal_positions_2d: without eps", " + EPS)", ")", "forward", "1e-6"),
    positions(
        "sinusoidal_positions_2d: base not passed on",
        "C // 2, base)",
        "C // 2)",
        "forward",
        "default base",
        cases=("sinusoidal_positions_2d-base",),
    ),
    positions(
        "sinusoidal_positions_2d: rows and columns take turns",
        "np.concatenate(halves, axis=-1)",
        "np.stack(halves, axis=-1).reshape(B, H, W, C)",
        "forward",
        "take turns",
    ),
    positions(
        "sinusoidal_positions_2d: height and width swapped",
        "places.take([-1], axis=axis)",
        "places.take([-1], axis=3 - axis)",
        "forward",
        None,
    ),
]

FAULTS = [*MATCHING, *LOSS, *PLACES]
