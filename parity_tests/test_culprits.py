"""Culprits and places of faults in how a layer is made or called: constructors, memory layouts, second calls, dtypes."""

import inspect
from contextlib import ExitStack

import numpy as np
import pytest

from parity.cases import CASES
from parity.check import ONLY_THE_SECOND_CALL, check
from parity.running.layout import in_layout, layout_of
from parity_tests.planting import planted
from scratch.fast.channels import Channels
from scratch.layers import GELU, AvgPool2d, LeakyReLU
from scratch.models import MLP, CharLanguageModel, Transformer
from scratch.models.vit import EncoderBlock
from scratch.ops import batch_norm, gelu, linear

BY_NAME = {case.name: case for case in CASES}


def judged(case, *faults, dtype="float64"):
    """Return the verdict on a case with faults planted: functions, old and new texts."""
    with ExitStack() as stack:
        for fault in faults:
            stack.enter_context(planted(*fault))
        return check(BY_NAME[case], dtype)


def only(verdict):
    """Return the one culprit of a verdict."""
    assert len({(c.kind, c.cause) for c in verdict.culprits}) == 1, verdict.culprits
    return verdict.culprits[0]


def line_of(function, text):
    """Return the number of the first line of a function's file that holds the text."""
    with open(inspect.unwrap(function).__code__.co_filename, encoding="utf-8") as file:
        return next(number for number, line in enumerate(file, 1) if text in line)


def test_an_option_that_is_ignored_is_named_with_the_values_of_both_sides():
    culprit = only(
        judged("AvgPool2d", (AvgPool2d.__init__, "stride, padding, count_include_pad\n", "stride, 0, count_include_pad\n"))
    )
    assert culprit.cause == "its padding is 0, expected 1"
    assert culprit.source == "scratch/layers/pool.py, AvgPool2d.__init__"


def test_an_option_that_a_model_passes_on_wrongly_leads_to_the_lines_that_make_the_layer():
    culprit = only(
        judged("vit", (EncoderBlock.__init__, "self.ln_2 = LayerNorm(width, EPS)", "self.ln_2 = LayerNorm(width, 1e-5)"))
    )
    assert culprit.path == "encoder.layers.encoder_layer_0.ln_2"
    assert culprit.cause == "its eps is 1e-05, expected 1e-06"
    made = line_of(EncoderBlock.__init__, "self.ln_2 = ")
    assert culprit.source.startswith("scratch/models/vit.py:")
    assert str(made) in culprit.source.split(";")[0]
    assert culprit.source.endswith("scratch/layers/norm.py, LayerNorm.__init__")


def test_layers_in_containers_without_a_name_of_their_own_are_found():
    culprit = only(judged("yolo", (LeakyReLU.__init__, "= negative_slope", "= 0.01")))
    assert culprit.cause == "its negative_slope is 0.01, expected 0.1"


def test_another_value_of_an_attribute_is_no_cause_where_the_layer_stays_wrong_with_the_right_one():
    wrong = judged(
        "AvgPool2d",
        (AvgPool2d.__init__, "stride, padding, count_include_pad\n", "stride, padding, not count_include_pad\n"),
        (AvgPool2d.forward, "avg_pool2d(x,", "avg_pool2d(2 * x,"),
    )
    assert "count_include_pad" not in only(wrong).cause


def test_parameters_that_are_not_the_references_have_the_constructor_as_their_culprit():
    culprit = only(judged("mlp-dropout-batch-norm-eval", (MLP.__init__, "if dropout:", "if dropout and not batch_norm:")))
    assert (culprit.path, culprit.kind, culprit.source) == ("", "MLP", "scratch/models/mlp.py, MLP.__init__")
    assert "missing layers.8.weight" in culprit.cause


def test_a_constructor_that_raises_is_the_culprit():
    culprit = only(judged("transformer", (Transformer.__init__, "stack = layers, width, heads,", "stack = layers, width, 8,")))
    assert culprit.kind == "Transformer"
    assert "nhead 8 does not divide d_model 15" in culprit.cause
    assert culprit.source.startswith("scratch/models/transformer.py:")


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0)])
def test_layouts(axes):
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    copy = in_layout(array, axes)
    np.testing.assert_array_equal(copy, array)
    assert layout_of(copy) == axes
    assert not np.shares_memory(copy, array)
    assert layout_of(array[..., ::2]) is None


def test_a_fault_for_one_memory_layout_is_found_in_the_layer_that_gets_it():
    verdict = judged("unet", (Channels.sums, "column_sums(rows.reshape", "1.01 * column_sums(rows.reshape"))
    kinds = {culprit.kind for culprit in verdict.culprits}
    assert "BatchNorm2d" in kinds
    assert "Sequential" not in kinds
    assert all("scratch/fast/channels.py" in culprit.source for culprit in verdict.culprits)


def test_functions_of_the_backward_are_named_where_the_backward_is_wrong():
    culprit = only(judged("linear", (linear, "column_sums(dy_rows)", "2 * column_sums(dy_rows)")))
    assert culprit.source == "scratch/ops/linear.py, linear; through scratch/fast/reduce.py, column_sums"


STATE = "(0 if vars(self).setdefault('_calls', []).append(0) or len(vars(self)['_calls']) > 2 else 1)"


def test_a_second_call_that_is_wrong_has_the_layer_as_its_culprit():
    """The harness calls a layer twice before its backward, so the third call is that of its second run."""
    verdict = judged("vit", (GELU.forward, "return gelu(x", f"return gelu(x * {STATE}"))
    culprit = only(verdict)
    assert culprit.kind == "GELU"
    assert verdict.message == ONLY_THE_SECOND_CALL


def test_tokens_that_are_kept_from_the_first_call_are_noticed():
    fault = "self.embedding(tokens)", "self.embedding(vars(self).setdefault('_kept', tokens))"
    verdict = judged("char-lm-gru", (CharLanguageModel.forward, *fault))
    assert verdict.fails
    assert only(verdict).kind == "CharLanguageModel"


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_a_recurrent_layer_without_a_state_is_not_blamed_for_the_model_around_it(kind):
    fault = "rnn_backward(dropout_backward(", "rnn_backward(2 * dropout_backward("
    assert only(judged(f"char-lm-{kind}-no-state", (CharLanguageModel.forward, *fault))).kind == "CharLanguageModel"


def test_code_for_one_dtype_is_not_called_an_inaccuracy():
    wrong = "return y, ", "return y * (1 if x.dtype == np.float64 else np.float32(1.01)), "
    cause = only(judged("gelu", (gelu, *wrong), dtype="float32")).cause
    assert "needs the factor 0.990099" in cause
    assert "the formula is right" not in cause
    wrong = "return y, ", "return y * (1 if x.dtype == np.float32 else 1.01), "
    assert only(judged("gelu", (gelu, *wrong))).cause.endswith("float32 agrees: the code does something else in float64")


def test_a_slightly_wrong_constant_is_no_cast_to_float32():
    verdict = judged("batch_norm-eval", (batch_norm, "np.sqrt(var + eps)", "np.sqrt(var + 1.00001 * eps)"))
    assert "precision of float32" not in only(verdict).cause


@pytest.mark.parametrize("case", ["batch_norm-train", "batch_norm-eval", "BatchNorm1d-sequences-eval", "BatchNorm2d"])
def test_a_channel_of_large_numbers_hides_no_error_in_the_others(case):
    """One channel has a mean of 1e4 deviations: its rounding errors in float32 are larger than 0.05."""
    verdict = judged(case, (batch_norm, "(channels.images(y), ", "(channels.images(y) + y.dtype.type(0.05), "), dtype="float32")
    assert verdict.fails
    assert "along axis" in verdict.findings[0].message
