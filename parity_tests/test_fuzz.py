"""Every op, layer and model does with a changed call what its torch twin does, refuses it in one line, or deviates on purpose.

`python -m parity_tests.fuzzing 20000` makes more calls, with another seed on demand.
"""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.cases import CASES
from parity_tests.fuzzing.changes import changed, plain, propose
from parity_tests.fuzzing.deviations import DEVIATIONS, explained
from parity_tests.fuzzing.judge import cryptic, judge
from scratch import layers, models, ops

BY_NAME = {case.name: case for case in CASES}
TARGETS = sorted({case.scratch for case in CASES if case.folder != "optim"})  # those that are called once, with a backward
BY_TARGET = {target: [case for case in CASES if case.scratch == target] for target in TARGETS}
CALLS = {"ops": 30, "layers": 20, "models": 8}  # of each
OF_OTHERS = {"Sequential", "activation_named"}  # made of layers, makes layers
NAN, INF = float("nan"), float("inf")

KEPT = [  # each was once computed in silence, or ended in a traceback
    ("binary_cross_entropy_with_logits-weighted-none", [("add", "weight", 2)]),
    ("binary_cross_entropy_with_logits-weighted-none", [("size", "weight", (0, 1)), ("add", "pos_weight", 1)]),
    ("cross_entropy-weighted-mean", [("put", "input", (0, NAN))]),
    ("nll_loss-unweighted", [("put", "input", (3, -INF))]),
    ("cross_entropy-soft-mean", [("option", "ignore_index", 0)]),
    ("cross_entropy-soft-pixels-none", [("every size", "", (7, 0))]),
    ("set_loss-no-objects", [("option", "no_object", 0.0)]),
    ("nll_loss-mean", [("dtype", "target", "bool")]),
    ("lstm", [("option", "h0", None)]),
    ("lstm", [("option", "c0", None)]),
    ("gru-ragged", [("put", "x", (-1, NAN))]),
    ("lstm-projected-ragged", [("put", "x", (-1, NAN))]),
    ("lstm-projected-ragged", [("put", "weight_ih", (35, -INF))]),
    ("rnn-relu-at-the-kink", [("put", "h0", (23, -INF))]),
    ("masked_mean", [("put", "x", (-1, NAN))]),
    ("flatten", [("option", "start_dim", -7)]),
    ("flatten", [("option", "end_dim", 9)]),
    ("softmax", [("option", "dim", 7)]),
    ("softmax", [("every size", "", (11, 0))]),
    ("batch_norm-train", [("option", "eps", 0.0)]),
    ("batch_norm-train", [("option", "running_var", None)]),
    ("frozen_batch_norm-rows", [("option", "eps", -0.5)]),
    ("group_norm-images", [("every size", "", (3, 0))]),
    ("group_norm-images", [("option", "weight", None)]),
    ("max_pool2d-overlapping-ties", [("put", "x", (40, NAN)), ("put", "x", (41, NAN))]),
    ("relu", [("put", "x", (13, NAN))]),
    ("l1_loss-mean", [("put", "target", (13, NAN))]),
    ("adaptive_avg_pool2d-uneven", [("put", "x", (1351, INF))]),
    ("box_convert-xyxy-xyxy", [("put", "boxes", (138, INF))]),
    ("box_area", [("put", "boxes", (47, NAN))]),
    ("interpolate-bilinear-as-it-is", [("put", "x", (223, INF))]),
    ("dropout", [("option", "p", 1.0)]),
    ("dropout", [("dtype", "keep", "float64")]),
    ("yolo_loss", [("option", "ignore_above", -1.0)]),
    ("attention", [("option", "dropout_p", 1.5)]),
    ("additive_attention-masked", [("put", "query", (92, NAN))]),
    ("embedding", [("every size", "", (7, 0))]),
    ("SelfAttention", [("every size", "", (3, 0))]),
    ("flatten", [("every size", "", (3, 0))]),
    ("interpolate-nearest", [("every size", "", (3, 0))]),
    ("cnn", [("every size", "", (4, 0))]),
    ("vit", [("every size", "", (3, 0))]),
    ("RNN-ragged-no-states", [("option", "hx", 1)]),
    ("MultiheadAttention-past-grouped", [("size", "key", (0, 1))]),
    ("layer_norm", [("every dtype", "", "float16")]),
    ("MultiheadAttention-eval", [("exchange", "query", "key")]),
    ("LSTM-ragged-dropout", [("size", "hx.1", (0, 0))]),
    ("DETRDecoderLayer-eval", [("dtype", "tgt_positions", "float32")]),
    ("attention-blocks-grouped", [("size", "query", (0, 1))]),
]


@pytest.mark.parametrize("target", BY_TARGET)
def test_changed_calls_are_refused_or_do_as_torch(target):
    cases = BY_TARGET[target]

    @settings(max_examples=CALLS[target.split(".")[0]])
    @given(st.integers(0, 2**32 - 1))
    def tried(seed):
        random = Random(seed)
        finding = judge(propose(random, plain(random.choice(cases))))
        assert finding is None or explained(finding), str(finding)

    tried()


@pytest.mark.parametrize(("case", "changes"), KEPT, ids=lambda value: value if isinstance(value, str) else "")
def test_what_was_found_once_stays_mended(case, changes):
    finding = judge(changed(BY_NAME[case], changes))
    assert finding is None or explained(finding), str(finding)


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda deviation: f"{deviation.kind} {deviation.reason[:40]}")
def test_deviations_are_still_there(deviation):
    case, changes = deviation.example
    finding = judge(changed(BY_NAME[case], changes))
    assert finding is not None
    assert deviation.explains(finding), str(finding)


@pytest.mark.parametrize("module", [ops, layers, models], ids=lambda module: module.__name__)
def test_every_name_is_fuzzed(module):
    folder = module.__name__.split(".")[1]
    assert {name for name in module.__all__ if f"{folder}.{name}" not in BY_TARGET} <= OF_OTHERS


def test_the_judge_sees_what_is_wrong(monkeypatch):
    case = BY_NAME["relu"]
    assert judge(plain(case)) is None
    for wrong, kind in (
        (lambda x: (np.maximum(x, 0.1), lambda dy: dy * (x > 0)), "differs"),
        (lambda x: (np.maximum(x, 0), lambda dy: dy), "differs"),
        (lambda x: (np.maximum(x, 0)[:-1], lambda dy: dy), "differs"),
        (lambda x: (np.maximum(x, 0).astype(np.float32), lambda dy: dy), "differs"),
        (lambda x: x[100], "cryptic"),
    ):
        monkeypatch.setattr(ops, "relu", wrong)
        assert judge(plain(case)).kind == kind
    monkeypatch.setattr(ops, "softmax", lambda x, dim: (x, lambda dy: dy))
    assert judge(changed(BY_NAME["softmax"], [("option", "dim", 7)])).kind == "accepted"


def test_a_plain_line_names_who_speaks():
    assert cryptic(ValueError("relu: expected something"), "ops.relu") == ""
    for error in (TypeError("relu: expected"), ValueError("expected"), ValueError("relu: two\nlines"), ValueError("np: no")):
        assert cryptic(error, "ops.relu")


@pytest.mark.slow
def test_twenty_thousand_calls():
    random, targets = Random(14), list(BY_TARGET)
    for i in range(20_000):
        finding = judge(propose(random, plain(random.choice(BY_TARGET[targets[i % len(targets)]]))))
        assert finding is None or explained(finding), str(finding)
