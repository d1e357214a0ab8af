"""Causes: each kind of hint where it is true, and none where its repair does not match."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from parity.explaining.cause import cause_of
from parity.explaining.hints import hint
from parity.explaining.locate import examine
from parity.explaining.places import source_of
from parity.inputs import Draw
from parity.judging.reference_run import ReferenceRun
from parity.running.problem import Problem
from parity.running.run_reference import run_reference
from parity.running.run_scratch import run_scratch
from scratch.layers import BatchNorm2d, Dropout, Linear
from scratch.module import Module
from scratch.ops import batch_norm, conv2d, leaky_relu, linear, max_pool2d, relu, softmax

F = torch.nn.functional
draw = Draw(0)
X = draw.normal(5, 7, 4)
NAMES = {"x": X, "weight": draw.normal(11, 4), "bias": draw.normal(11)}


def evidence_of(ours, torchs, inputs, dtype="float64", state=None):
    """Return the evidence about what `ours` makes, judged against what torch's builder makes."""
    problem = Problem(inputs, state or {}, ())
    outputs = run_reference(torchs, problem, "float64", backward=False).tensors
    problem = replace(problem, cotangents=tuple(Draw(1).normal(*y.shape) for y in outputs.values()))
    return examine("", ours(), ReferenceRun(torchs, problem), dtype)


def cause(ours, torchs, inputs, dtype="float64", state=None):
    evidence = evidence_of(ours, torchs, inputs, dtype, state)
    return cause_of(evidence) if evidence.findings else ""


def cause_of_value(change, dtype="float64"):
    """Return the cause that is given when `change` changes the value of the identity, but not its gradient."""
    return cause(lambda: lambda x: (change(x), lambda dy: dy), lambda: lambda x: x * 1, {"x": X}, dtype)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda x: -x, "y has the wrong sign"),
        (lambda x: x / 2, "y needs the factor 2"),
        (lambda x: x / 28, "y needs the factor 28 = x.size / x.shape[0]"),
        (lambda x: x * np.sqrt(7), "y needs the factor 1/√7, 7 = x.shape[1]"),
        (lambda x: x * 4 / 5, "y needs the factor 5/(5 - 1), 5 = x.shape[0]"),
        (lambda x: x / 0.123456, "y needs the factor 0.123456"),
        (lambda x: x / X.mean(0), "y needs a factor that is constant along axis 0"),
        (lambda x: x.transpose(0, 2, 1), "y has its axes in another order: .transpose(0, 2, 1) puts them right"),
        (lambda x: x.reshape(35, 4), "y has shape (35, 4); .reshape(5, 7, 4) puts it right"),
        (lambda x: x[:, ::-1].copy(), "y is reversed along axis 1"),
        (lambda x: x[..., ::-1, ::-1].copy(), "y is reversed along both of the last axes"),
        (lambda x: np.roll(x, 1, 1), "y is shifted by 1 along axis 1"),
        (
            lambda x: x.ravel()[np.random.default_rng(0).permutation(x.size)].reshape(x.shape),
            "y holds the right numbers in the wrong order",
        ),
        (lambda x: 3.5 * x**2 + x, "y needs"),
        (
            lambda x: x - x.mean(1, keepdims=True),
            "y lacks the term (something constant along axis 1, such as a sum or mean over it)",
        ),
        (lambda x: x * 0, "y is zero everywhere"),
        (lambda x: x.astype(np.float16).astype(x.dtype), "y holds numbers of float16 precision in float64"),
        (lambda x: (x * np.pi).astype(np.float32) / np.pi, "y is right to the precision of float32 only"),
        (lambda x: np.where(x < -1, np.nan, x), "y is NaN or infinite in"),
        (lambda x: np.where(x < 0, np.sin(x), x), "y differs only where x is negative"),
        (lambda x: np.concatenate([np.sin(x[:1]), x[1:]]), "y differs only first along axis 0"),
    ],
)
def test_what_the_arrays_say(change, expected):
    given = cause_of_value(change)
    if expected == "y needs":
        assert given == ""  # no one repair puts it right
    else:
        assert given.startswith(expected)


def test_a_number_for_each_row_explains_nothing_where_all_rows_are_multiples_of_one():
    column, other, row = Draw(2).normal(7, 1), Draw(3).normal(7, 1), Draw(4).normal(5)
    inputs = {"x": column * row, "row": row}
    assert cause(lambda: lambda x, row: (other * row, lambda dy: (dy, 0 * row)), lambda: lambda x, row: x + 0 * row, inputs) == ""


def test_accuracy():
    big = {"x": X * 60}
    naive = lambda x: ((e := np.exp(x)) / (1 + e), lambda dy: dy * ((s := 0.5 * np.tanh(0.5 * x) + 0.5) * (1 - s)))  # noqa: E731
    with np.errstate(all="ignore"):
        assert cause(lambda: naive, lambda: torch.sigmoid, big, "float32").endswith(
            "float64 agrees: digits or range are lost in float32, the formula is right"
        )
        assert "formula is right" not in cause(lambda: naive, lambda: torch.tanh, big, "float32")


def test_dtype():
    assert cause_of_value(lambda x: x.astype(np.float64), "float32").startswith("y is float64 in float32, its numbers are right")
    assert cause_of_value(lambda x: x.astype(np.float64) + x.astype(np.float64) ** 2, "float32") == ""


def test_digits_are_not_the_cause_where_another_tensor_lacks_more_than_digits():
    def wrong(x, weight):
        return x @ weight.T, lambda dy: (dy @ weight * (1 + 1e-8 * np.sin(dy @ weight)), np.sin(dy.T @ x))

    arrays = {"x": X[:, 0], "weight": NAMES["weight"]}
    assert cause(lambda: wrong, lambda: F.linear, arrays) == ""


@pytest.mark.parametrize("seed", range(20))
def test_random_numbers_have_no_cause(seed):
    """Unrelated wrong values, the same in each call, are explained by nothing."""

    def wrong_value(*inputs):
        y, backward = linear(*inputs)
        return np.random.default_rng(seed).normal(size=y.shape), backward

    def wrong_gradient(*inputs):
        y, backward = linear(*inputs)

        def random(dy):
            noise = np.random.default_rng(seed)
            return tuple(noise.normal(size=g.shape) for g in backward(dy))

        return y, random

    for wrong in (wrong_value, wrong_gradient):
        assert cause(lambda wrong=wrong: wrong, lambda: F.linear, NAMES) == ""


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("relative", [1e-3, 1e-9, 3e-12])
def test_random_errors_of_any_size_have_no_cause(seed, relative):
    def wrong(*inputs):
        y, backward = linear(*inputs)
        return y * (1 + relative * np.random.default_rng(seed).normal(size=y.shape)), backward

    assert cause(lambda: wrong, lambda: F.linear, NAMES) == ""


@pytest.mark.parametrize("factor", [1 + 1e-9, 0.5 + 1e-9, 1 / 5 + 1e-8])
def test_a_factor_is_called_by_a_name_only_where_it_equals_it(factor):
    given = cause_of_value(lambda x: x / factor)
    assert "=" not in given
    assert "1/5" not in given
    assert given in (f"y needs the factor {factor:.6g}", "y is right to the precision of float32 only")


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("wrong", [1, 2, 3])
def test_a_few_wrong_numbers_prove_no_term_or_factor(seed, wrong):
    """In float32 a factor fitted to one large number may leave the others within their tolerance."""
    noise = np.random.default_rng(seed)
    places = noise.permutation(12)[:wrong]
    scale = np.zeros(12)
    scale[places] = noise.normal(size=wrong)
    inputs = {"x": Draw(seed).normal(12) * 10 ** noise.uniform(-3, 3, 12).round(), "m": Draw(seed, 1).normal(12)}
    given = cause(
        lambda: lambda x, m: (np.float32(x * m * (1 + 1e-3 * scale)), lambda dy: (dy * m, dy * x)),
        lambda: lambda x, m: x * m,
        inputs,
        "float32",
    )
    assert "term" not in given
    assert "factor" not in given


def test_two_numbers_are_no_evidence_for_a_factor():
    ours = lambda: lambda x: (x.sum(axis=(1, 2))[:1] / 0.123456, lambda dy: np.ones_like(x))  # noqa: E731
    assert cause(ours, lambda: lambda x: x.sum(dim=(1, 2))[:1] * 1, {"x": X}) == ""


def test_terms_and_factors_are_called_by_the_input_they_are():
    assert cause(lambda: lambda x, m: (x * 1, lambda dy: (dy * m, dy * x)), lambda: lambda x, m: x * m, {"x": X, "m": X + 3}) == (
        "y lacks the factor m"
    )
    assert cause(lambda: lambda x, b: (x * 1, lambda dy: (dy, dy)), lambda: lambda x, b: x + b, {"x": X, "b": X[::-1] ** 2}) == (
        "y lacks the term + b"
    )


def test_a_gradient_that_is_not_summed_over_what_was_broadcast():
    def wrong(x, weight, bias):
        y, backward = linear(x, weight, bias)
        return y, lambda dy: (*backward(dy)[:2], dy)

    assert cause(lambda: wrong, lambda: F.linear, NAMES) == "grad bias is not summed over the broadcast axes 0, 1"


def test_a_gradient_that_is_missing_and_one_too_many():
    def missing(x, weight, bias):
        y, backward = linear(x, weight, bias)
        return y, lambda dy: (*backward(dy)[:2], None)

    assert cause(lambda: missing, lambda: F.linear, NAMES) == "grad bias is missing: it is neither returned nor accumulated"
    labels = {"x": X, "target": np.arange(5)}
    extra = lambda x, target: (x * 1, lambda dy: (dy, np.zeros(5)))  # noqa: E731
    assert cause(lambda: extra, lambda: lambda x, target: x * 1, labels) == "grad target is not expected: torch has none"


def test_gradients_in_the_wrong_order():
    def swapped(x, m):
        return x * m, lambda dy: (dy * x, dy * m)

    given = cause(lambda: swapped, lambda: lambda x, m: x * m, {"x": X, "m": X[::-1] ** 2})
    assert given in ("grad x is what grad m should be", "grad m is what grad x should be")


def test_breaking_the_contract_is_the_cause():
    assert cause(
        lambda: lambda x: (np.multiply(x, 1, out=x) * 0 + x.__imul__(2) / 2, lambda dy: dy), lambda: lambda x: x * 1, {"x": X}
    ) == ("the forward changes its input x in place")
    assert cause(lambda: lambda x: (x * 1, lambda dy: dy[None][1]), lambda: lambda x: x * 1, {"x": X}).startswith(
        "the backward raises IndexError"
    )


def test_mistakes_explain_functions_and_layers_alike():
    images = {"x": draw.normal(3, 5, 7, 4)}
    state = {"weight": draw.normal(5), "bias": draw.normal(5)}
    state |= {"running_mean": draw.normal(5), "running_var": draw.positive(5), "num_batches_tracked": np.array(3)}

    def without_eps(*inputs, **options):
        return batch_norm(*inputs, **options | {"eps": 1e-30})

    class Wrong(BatchNorm2d):
        def forward(self, x):
            self.eps = 1e-30
            return super().forward(x)

    op = {"x": images["x"], "weight": state["weight"], "bias": state["bias"]}
    assert cause(
        lambda: lambda *inputs: ((out := without_eps(*inputs, None, None, training=True))[0][0], lambda dy: out[1](dy)[:3]),
        lambda: lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        op,
    ).startswith("leaves eps out")
    assert cause(lambda: Wrong(5), lambda: torch.nn.BatchNorm2d(5), images, state=state).startswith("leaves eps out")


def test_a_container_is_asked_for_its_own_calls_only():
    """Its submodules are right, so nothing is tried in them; what it calls between them may be wrong."""

    class Block(Module):
        def __init__(self, slope):
            self.inner, self.slope = Linear(4, 4), slope

        def forward(self, x):
            h, first = self.inner(x)
            y, second = leaky_relu(h, self.slope)
            return y, lambda dy: first(second(dy))

    class TorchBlock(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(4, 4)

        def forward(self, x):
            return F.leaky_relu(self.inner(x), 0.3)

    state = {"inner.weight": draw.normal(4, 4), "inner.bias": draw.normal(4)}
    assert cause(lambda: Block(0.01), TorchBlock, {"x": X}, state=state) == ("ignores negative_slope = 0.3: uses the default, 0.01")
    without_bias = {**state, "inner.bias": state["inner.bias"] * 0}
    assert "bias" not in cause(lambda: Block(-0.3), TorchBlock, {"x": X}, state=without_bias)


def test_what_cannot_be_told_apart_is_given_as_alternatives():
    """With a window that is the image, the sum of the first window is the sum of all of it."""
    x, w = draw.normal(3, 2, 4, 4), draw.normal(2, 2, 3, 3)
    flipped = lambda: lambda x, w: conv2d(x, w[:, :, ::-1, ::-1], None)  # noqa: E731
    given = cause(flipped, lambda: lambda x, w: F.conv2d(x, w), {"x": x, "w": w + w[:, :, ::-1, ::-1].swapaxes(2, 3)})
    assert given.startswith("in the forward pass, flips the kernel")


def test_only_the_wrong_pass_is_blamed():
    def doubled(x):
        y, _ = softmax(x, 1)
        return y, lambda dy: y * dy

    assert cause(lambda: doubled, lambda: lambda x: F.softmax(x, 1), {"x": X}).startswith("treats the normaliser as a constant")
    half = lambda x: (softmax(x, 2)[0], softmax(x, 1)[1])  # noqa: E731
    assert cause(lambda: half, lambda: lambda x: F.softmax(x, 1), {"x": X}).startswith(
        "in the forward pass, uses dim = 2 instead of 1"
    )


def test_mode_and_memory():
    class Kept(Linear):
        def forward(self, x):
            y, self.kept = super().forward(x)
            return y, lambda dy: self.kept(dy)

    state = {"weight": NAMES["weight"], "bias": NAMES["bias"]}
    assert "later call" in cause(lambda: Kept(4, 11), lambda: torch.nn.Linear(4, 11), {"x": X}, state=state)
    assert cause(lambda: Dropout(0.3).eval(), lambda: torch.nn.Dropout(0.3), {"x": X}).startswith("behaves as in eval mode")


def test_ties_and_kinks():
    grid = {"x": draw.grid(3, 5, 8, 6)}
    closed = lambda x: (relu(x)[0], lambda dy: dy * (x >= 0))  # noqa: E731
    assert cause(lambda: closed, lambda: F.relu, grid).startswith("lets the whole gradient through where x is 0")

    def last(x):
        y, backward = max_pool2d(x[..., ::-1, ::-1], 2)
        return y[..., ::-1, ::-1], lambda dy: backward(dy[..., ::-1, ::-1])[..., ::-1, ::-1]

    assert "last of equal maxima" in cause(lambda: last, lambda: lambda x: F.max_pool2d(x, 2), grid)


def test_a_true_twin_has_no_cause_to_be_asked_for():
    evidence = evidence_of(lambda: linear, lambda: F.linear, NAMES)
    assert evidence.findings == []
    assert run_scratch(lambda: linear, evidence.problem, "float64").tensors.keys() == evidence.calibration.truth.keys()


def test_the_hint_names_the_tensor_that_it_is_of():
    evidence = evidence_of(lambda: lambda x, w, b: linear(2 * x, w, b), lambda: F.linear, NAMES)
    assert hint(evidence, "grad weight") == "needs the factor 1/2"
    assert hint(evidence, "grad x") == ""


def test_code_without_a_module_has_a_place_too():
    scope = {"__name__": None}
    exec("def double(x):\n    return 3 * x, lambda dy: 3 * dy", scope)
    evidence = evidence_of(lambda: scope["double"], lambda: lambda x: 2 * x, {"x": X})
    assert source_of(evidence).endswith("double")
