"""Fuzzing: on changed calls, each op, layer and model agrees with its torch twin, refuses in one line, or deviates on purpose.

`python -m parity_tests.fuzzing 20000` makes more calls, with any seed.
"""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.cases import CASES
from parity_tests.fuzzing.changes import changed, propose, unchanged
from parity_tests.fuzzing.deviations import DEVIATIONS, is_intended
from parity_tests.fuzzing.judge import cryptic, judge
from scratch import layers, models, ops

BY_NAME = {case.name: case for case in CASES}
TARGETS = sorted({case.scratch for case in CASES if case.has_backward})  # these are called once, with a backward
BY_TARGET = {target: [case for case in CASES if case.scratch == target] for target in TARGETS}
CALLS = {"ops": 30, "layers": 20, "models": 8}  # for each op, layer or model
WITHOUT_TWIN = {"Sequential", "activation_named"}  # one is made of layers, the other makes layers
NAN, INF = float("nan"), float("inf")

EARLIER_FINDINGS = [  # each of these once ran without a message or ended in a traceback
    ("MultiheadAttention-dropout-grouped-eval", [("option", "scale", 0)]),
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
    ("attention-causal-all", [("option", "enable_gqa", True), ("drop", "query", 1), ("size", "key", (1, 0))]),
    ("SelfAttention-long", [("every dtype", "", "float32"), ("put", "x", (2717, 10000.0))]),
    ("softplus", [("option", "threshold", INF), ("option", "beta", INF)]),
    ("relative_position_bucket-few-causal", [("dtype", "relative_position", "int8")]),
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
    ("attention_weights-bias-grouped", [("every size", "", (2, 0))]),
    ("gelu", [("every dtype", "", "float32"), ("put", "x", (31, INF))]),
    ("cross_entropy-nothing-counted", [("every size", "", (7, 0))]),
    ("lstm-one-step-of-one", [("every size", "", (20, 21))]),
    ("gru-one-step-of-one", [("every size", "", (15, 16))]),
    ("sinusoidal_positions-square", [("option", "base", 1e-30)]),
]


@pytest.mark.parametrize("target", BY_TARGET)
def test_changed_calls_agree_with_torch_or_are_refused(target):
    cases = BY_TARGET[target]

    @settings(max_examples=CALLS[target.split(".")[0]])
    @given(st.integers(0, 2**32 - 1))
    def check_changed_call(seed):
        random = Random(seed)
        finding = judge(propose(random, unchanged(random.choice(cases))))
        assert finding is None or is_intended(finding), str(finding)

    check_changed_call()


@pytest.mark.parametrize(("case", "changes"), EARLIER_FINDINGS, ids=lambda value: value if isinstance(value, str) else "")
def test_earlier_findings_stay_fixed(case, changes):
    finding = judge(changed(BY_NAME[case], changes))
    assert finding is None or is_intended(finding), str(finding)


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda deviation: f"{deviation.kind} {deviation.reason[:40]}")
def test_every_listed_deviation_still_exists(deviation):
    case, changes = deviation.example
    finding = judge(changed(BY_NAME[case], changes))
    assert finding is not None
    assert deviation.explains(finding), str(finding)


@pytest.mark.parametrize("module", [ops, layers, models], ids=lambda module: module.__name__)
def test_every_name_is_fuzzed(module):
    folder = module.__name__.split(".")[1]
    assert {name for name in module.__all__ if f"{folder}.{name}" not in BY_TARGET} <= WITHOUT_TWIN


def test_the_judge_finds_planted_errors(monkeypatch):
    case = BY_NAME["relu"]
    assert judge(unchanged(case)) is None
    for wrong, kind in (
        (lambda x: (np.maximum(x, 0.1), lambda dy: dy * (x > 0)), "differs"),
        (lambda x: (np.maximum(x, 0), lambda dy: dy), "differs"),
        (lambda x: (np.maximum(x, 0)[:-1], lambda dy: dy), "differs"),
        (lambda x: (np.maximum(x, 0).astype(np.float32), lambda dy: dy), "differs"),
        (lambda x: x[100], "cryptic"),
    ):
        monkeypatch.setattr(ops, "relu", wrong)
        assert judge(unchanged(case)).kind == kind
    monkeypatch.setattr(ops, "softmax", lambda x, dim: (x, lambda dy: dy))
    assert judge(changed(BY_NAME["softmax"], [("option", "dim", 7)])).kind == "accepted"


def test_a_clear_message_names_its_op_or_layer():
    assert cryptic(ValueError("relu: expected something"), "ops.relu") == ""
    for error in (TypeError("relu: expected"), ValueError("expected"), ValueError("relu: two\nlines"), ValueError("np: no")):
        assert cryptic(error, "ops.relu")


@pytest.mark.slow
def test_twenty_thousand_changed_calls():
    random, targets = Random(14), list(BY_TARGET)
    for i in range(20_000):
        finding = judge(propose(random, unchanged(random.choice(BY_TARGET[targets[i % len(targets)]]))))
        assert finding is None or is_intended(finding), str(finding)
