"""Other styles of layers through parity.adapters: a learner's library, right and with planted bugs."""

import importlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from parity import ParityError, assert_parity
from parity.adapters import renamed, stateful, with_cache, with_dicts
from parity.cases import CASES
from parity.own_package.check import check_own
from scratch.layers import Linear
from scratch.module import Module, Parameter

HERE = Path(__file__).parent
RNG = np.random.default_rng(0)
X, IMAGES = RNG.normal(size=(5, 7)), RNG.normal(size=(3, 3, 8, 8))
LOGITS, LABELS = 30 * RNG.normal(size=(5, 7)), RNG.integers(0, 7, 5)

GLUE = """
def judge(layers, net):
    conv, pool, dense = torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.MaxPool2d(2), torch.nn.Linear(80, 11)
    theirs = torch.nn.Sequential(conv, torch.nn.ReLU(), pool, torch.nn.Flatten(), dense, torch.nn.ReLU(), torch.nn.Linear(11, 7))
    weights = {"layers.0.W": "0.weight", "layers.0.b": "0.bias"}
    for i in (4, 6):
        weights |= {f"layers.{i}.W": (f"{i}.weight", "T"), f"layers.{i}.b": (f"{i}.bias", "row")}
    submodules = {f"layers.{i}": str(i) for i in (1, 2, 3, 5)}
    assert_parity(layers.SoftmaxCrossEntropy(), torch.nn.CrossEntropyLoss(), {"x": LOGITS, "labels": LABELS})
    assert_parity(with_dicts(net.ConvNet(), weights, submodules), theirs, {"x": IMAGES})
"""

BUGS = {
    "mean for sum": (
        ("layers.py", "dout.sum(axis=0, keepdims=True)", "dout.mean(axis=0, keepdims=True)"),
        ["4, 6 (Dense), backward"],
        "grad bias needs the factor 3 = input 0.shape[0]",
    ),
    "axes not put back": (
        ("layers.py", "s, s).transpose(0, 1, 2, 4, 3, 5).reshape(N, C, H, W)", "s, s).reshape(N, C, H, W)"),
        ["2 (MaxPool), backward"],
        "holds the right numbers in the wrong order",
    ),
    "no mask": (
        ("layers.py", "        dx[self.mask] = 0\n", ""),
        ["1, 5 (ReLU), backward"],
        "does not mask the gradient where x is negative",
    ),
    "not divided": (
        ("layers.py", "return dx / len(self.t)", "return dx"),
        ["SoftmaxCrossEntropy, backward"],
        "does not divide the gradient",
    ),
    "product turned round": (
        ("layers.py", "(dout.T @ cols).reshape(W.shape)", "(cols.T @ dout).reshape(W.shape)"),
        ["0 (Conv), backward"],
        "grad weight holds the right numbers in the wrong order",
    ),
    "windows overwrite each other": (
        ("im2col.py", "] += col[:, :, i, j]", "] = col[:, :, i, j]"),
        ["0 (Conv), backward"],
        "",
    ),
    "no padding": (
        ("im2col.py", "(pad, pad), (pad, pad)]", "(pad, pad), (2 * pad, 0)]"),
        ["0 (Conv), forward"],
        "",
    ),
}


def judge(layers, net):
    scope = {"torch": torch, "assert_parity": assert_parity, "with_dicts": with_dicts}
    scope |= {"LOGITS": LOGITS, "LABELS": LABELS, "IMAGES": IMAGES}
    torch.manual_seed(0)
    exec(GLUE, scope)
    scope["judge"](layers, net)


def library(tmp_path, monkeypatch, name, *edits):
    """Copy the learner's library with some text replaced, and import the copy."""
    directory = Path(shutil.copytree(HERE / "learner", tmp_path / name))
    for file, old, new in edits:
        text = (directory / file).read_text()
        assert text.count(old) == 1
        (directory / file).write_text(text.replace(old, new))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return importlib.import_module(f"{name}.layers"), importlib.import_module(f"{name}.net")


def test_the_adapting_code_is_short():
    assert len(GLUE.strip().splitlines()) < 15


def test_the_learners_library_is_right(tmp_path, monkeypatch):
    judge(*library(tmp_path, monkeypatch, "right"))


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_in_the_library_is_located_with_its_cause(tmp_path, monkeypatch, bug):
    edit, culprits, cause = BUGS[bug]
    name = f"wrong_{bug.replace(' ', '_')}"
    with pytest.raises(ParityError) as caught:
        judge(*library(tmp_path, monkeypatch, name, edit))
    lines = str(caught.value).splitlines()
    assert [line.split("culprit")[1].split(":")[0].strip() for line in lines if "culprit" in line] == culprits
    assert any(f"look at   {name}/layers.py" in line for line in lines)
    assert cause in str(caught.value)


def test_adapted_layers_are_checked_like_layers_of_scratch(tmp_path):
    """Check a package whose layers are functions that adapt existing classes."""
    (tmp_path / "glued").mkdir()
    glue = "from learner import layers as mine\nfrom parity.adapters import stateful, with_dicts\n"
    glue += "def ReLU():\n    return stateful(mine.ReLU())\n"
    glue += "def Flatten():\n    return stateful(mine.Flatten())\n"
    glue += "def Linear(in_features, out_features):\n    dense = mine.Dense(in_features, out_features)\n"
    glue += "    return with_dicts(dense, {'W': ('weight', 'T'), 'b': ('bias', 'row')})\n"
    (tmp_path / "glued" / "layers.py").write_text(glue)
    layers = ("layers.ReLU", "layers.Flatten", "layers.Linear", "layers.Tanh")
    cases = [case for case in CASES if case.scratch in layers and not (case.scratch == "layers.Flatten" and case.config)]
    progress = check_own(tmp_path / "glued", cases, ("float64", "float32"), (0,))
    assert {target.name: target.status for target in progress.targets} == {
        "ReLU": "verified",
        "Flatten": "verified",
        "Linear": "wrong",  # Dense takes at most two axes
        "Tanh": "missing",
    }


# --- each style alone ---


def forward_with_cache(x, w, b, scale=1):
    return scale * (x @ w) + b, (x, w, scale)


def backward_with_cache(dy, cache):
    x, w, scale = cache
    return scale * dy @ w.T, scale * x.T @ dy, dy.sum(0)


def scaled(x, w, b, scale=1):
    return scale * (x @ w) + b


def test_forward_and_backward_functions_can_share_a_cache():
    inputs = {"x": X, "w": RNG.normal(size=(7, 3)), "b": RNG.normal(size=3)}
    assert_parity(with_cache(forward_with_cache, backward_with_cache), scaled, inputs, scale=3)

    def forgets_the_scale(dy, cache):
        return backward_with_cache(dy, (*cache[:2], 1))

    with pytest.raises(ParityError, match=r"culprit   forward_with_cache, backward") as caught:
        assert_parity(with_cache(forward_with_cache, forgets_the_scale), scaled, inputs, scale=3)
    assert "grad b is" not in str(caught.value)
    assert "look at   test_adapters.py, forward_with_cache" in str(caught.value)


class Affine:
    """A linear layer with weights and gradients as attributes; both names can be chosen."""

    def __init__(self, weight, bias, gradient="d{}"):
        self.W, self.b, self.gradient = weight, bias, gradient

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        setattr(self, self.gradient.format("W"), self.x.T @ dy)
        setattr(self, self.gradient.format("b"), dy.sum(0).reshape(self.b.shape))
        return dy @ self.W.T


@pytest.mark.parametrize(("shape", "layout"), [((3,), ""), ((1, 3), "row")])
def test_weights_may_be_attributes(shape, layout):
    weights = {"W": ("weight", "T"), "b": ("bias", layout)}
    assert_parity(Affine(np.zeros((7, 3)), np.zeros(shape)), torch.nn.Linear(7, 3), {"x": X}, weights=weights)
    other = Affine(np.zeros((7, 3)), np.zeros(shape), gradient="{}_grad")
    assert_parity(stateful(other, weights, gradient="{}_grad"), torch.nn.Linear(7, 3), {"x": X})
    with pytest.raises(ParityError, match="grad weight is missing"):
        assert_parity(other, torch.nn.Linear(7, 3), {"x": X}, weights=weights)


class ChannelsLast:
    """A 1x1 convolution that stores its kernel as (height, width, in, out)."""

    def __init__(self):
        self.params, self.grads = {"K": np.zeros((1, 1, 3, 5)), "b": np.zeros((5, 1))}, {}

    def forward(self, x):
        self.x = x
        return np.einsum("nchw,co->nohw", x, self.params["K"][0, 0]) + self.params["b"][:, :, None]

    def backward(self, dy):
        self.grads["K"] = np.einsum("nchw,nohw->co", self.x, dy)[None, None]
        self.grads["b"] = dy.sum((0, 2, 3))[:, None]
        return np.einsum("nohw,co->nchw", dy, self.params["K"][0, 0])


def test_axes_of_weights_may_be_in_another_order():
    theirs = torch.nn.Conv2d(3, 5, 1)
    weights = {"K": ("weight", (2, 3, 1, 0)), "b": ("bias", "column")}
    assert_parity(with_dicts(ChannelsLast(), weights), theirs, {"x": IMAGES})
    with pytest.raises(ParityError, match=r"weight has shape \(1, 1, 3, 5\), expected \(5, 3, 1, 1\)"):
        assert_parity(with_dicts(ChannelsLast(), weights | {"K": "weight"}), theirs, {"x": IMAGES})


def test_a_module_of_scratch_may_have_other_names():
    class MyLinear(Linear):
        def __init__(self):
            self.W, self.b = Parameter(np.zeros((3, 7))), Parameter(np.zeros(3))

        @property
        def weight(self):
            return self.W

        @property
        def bias(self):
            return self.b

    assert_parity(MyLinear(), torch.nn.Linear(7, 3), {"x": X}, weights={"W": "weight", "b": "bias"})
    assert isinstance(renamed(MyLinear(), {"W": "weight"}), Module)
    with pytest.raises(ParityError, match="missing bias"):
        assert_parity(MyLinear(), torch.nn.Linear(7, 3), {"x": X}, weights={"W": "weight"})


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"V": "weight", "b": "bias"}, "Affine has no weight 'V'; the keys of the map are its own names"),
        ({"W": ("weight", "t")}, "a layout is 't', expected 'T', 'row', 'column' or an order of the 2 axes"),
        ({"W": ("weight", (0, 0))}, r"a layout is \(0, 0\)"),
    ],
)
def test_a_wrong_map_of_weights_is_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        assert_parity(Affine(np.zeros((7, 3)), np.zeros(3)), torch.nn.Linear(7, 3), {"x": X}, weights=weights)


def test_a_gradient_with_another_shape_than_its_weight_is_reported():
    class Sums(Affine):
        def backward(self, dy):
            dx = super().backward(dy)
            self.db = dy
            return dx

    with pytest.raises(ParityError, match=r"the gradient of b has shape \(5, 3\), expected \(3,\) as b has"):
        assert_parity(
            Sums(np.zeros((7, 3)), np.zeros(3)), torch.nn.Linear(7, 3), {"x": X}, weights={"W": ("weight", "T"), "b": "bias"}
        )


def test_the_adapter_passes_on_the_training_mode():
    class Halves:
        training = None

        def forward(self, x):
            self.scale = 0.5 if self.training else 1.0
            return x * x.dtype.type(self.scale)

        def backward(self, dy):
            return dy * dy.dtype.type(self.scale)

    adapted = stateful(Halves())
    assert np.array_equal(adapted.train()(X)[0], X / 2)
    assert np.array_equal(adapted.eval()(X)[0], X)


def test_two_calls_do_not_affect_each_other():
    class Square:
        def forward(self, x):
            self.x = x
            return x * x

        def backward(self, dy):
            return 2 * self.x * dy

    square = stateful(Square())
    _, first = square(X)
    square(-X)
    assert np.array_equal(first(np.ones_like(X)), 2 * X)
