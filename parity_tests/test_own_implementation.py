"""Someone's own implementation: the package that `parity new` writes, what becomes of it, and how it is judged."""

import ast
import importlib
import inspect
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import scratch.layers
import scratch.models
import scratch.ops
from parity.__main__ import main
from parity.cases import CASES, FAMILIES
from parity.own_package.check import check_own, keep_checking
from parity.own_package.progress import curriculum
from parity.own_package.saves import files_behind, saves
from parity.own_package.stubs import write_package
from parity.own_package.worker import Worker
from parity.running.definitions import Definitions, learning_order

TARGETS = list(dict.fromkeys(case.scratch for case in CASES))

RELU = """
def relu(x):
    return np.maximum(x, 0), lambda dy: dy * (x > 0)
"""
TANH = """
def tanh(x):
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - y * y)
"""
SOFTMAX = """
import numpy as np

def softmax(x, dim=-1):
    y = np.exp(x - x.max(dim, keepdims=True))
    y = y / y.sum(dim, keepdims=True)
    return y, lambda dy: y * (dy - (dy * y).sum(dim, keepdims=True))
"""
LINEAR = """
def linear(x, weight, bias=None):
    y = x @ weight.T if bias is None else x @ weight.T + bias

    def backward(dy):
        rows, dy_rows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
        return dy @ weight, dy_rows.T @ rows, None if bias is None else dy_rows.sum(0)

    return y, backward
"""
LINEAR_LAYER = """
class Linear(Module):
    def __init__(self, in_features, out_features, bias=True):
        self.weight = fan_in_uniform((out_features, in_features), in_features)
        self.bias = fan_in_uniform((out_features,), in_features) if bias else None

    def forward(self, x):
        return apply(linear, x, self.weight, self.bias)
"""


MLP_OF_ONE = """
from ..layers import Linear

class Chain(Module):
    def __init__(self, layer):
        setattr(self, "0", layer)

    def forward(self, x):
        return getattr(self, "0")(x)

class MLP(Module):
    def __init__(self, in_features, hidden, out_features):
        self.layers = Chain(Linear(in_features, out_features))

    def forward(self, x):
        return self.layers(x)
"""


@pytest.fixture(scope="module")
def stubs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("stubs") / "mine"
    write_package(directory)
    return directory


@pytest.fixture
def mine(stubs, tmp_path):
    return Path(shutil.copytree(stubs, tmp_path / "mine"))


def write(package, path, code):
    """Replace the definitions of a stub file by other ones of the same names."""
    file = package / path
    new = ast.parse(code)
    names = {statement.name for statement in new.body if hasattr(statement, "name")}
    kept = [s for s in ast.parse(file.read_text()).body if getattr(s, "name", None) not in names]
    imports = "import numpy as np\nfrom ..module import Array, Backward, Module, Parameter, apply\n"
    if path.startswith("layers"):
        imports += "from ..ops.linear import linear\nfrom .init import fan_in_uniform\n"
    body = "\n\n".join(ast.unparse(statement) for statement in kept if not isinstance(statement, ast.ImportFrom))
    old_imports = "\n".join(ast.unparse(statement) for statement in kept if isinstance(statement, ast.ImportFrom))
    file.write_text(f"{old_imports}\n{imports}\n{body}\n\n{code}")


def judged(package, *targets, dtypes=("float64",)):
    return check_own(package, [case for case in CASES if case.scratch in targets], dtypes, (0,))


def states(progress):
    return {target.path: target.status for target in progress.targets}


def messages(progress, path):
    target = next(target for target in progress.targets if target.path == path)
    return [
        text for outcome in target.outcomes for text in (outcome.verdict.message, *(f.message for f in outcome.verdict.findings))
    ]


# --- the stubs ---


def test_stubs_have_the_api_and_no_bodies(stubs, tmp_path, monkeypatch):
    shutil.copytree(stubs, tmp_path / "stubs_to_inspect")
    monkeypatch.syspath_prepend(tmp_path)
    for folder, ours in (("ops", scratch.ops), ("layers", scratch.layers), ("models", scratch.models)):
        theirs = importlib.import_module(f"stubs_to_inspect.{folder}")
        assert theirs.__all__ == ours.__all__
        assert theirs.__doc__ == ours.__doc__
        for name in ours.__all__:
            stub, original = getattr(theirs, name), getattr(ours, name)
            assert str(inspect.signature(stub)) == str(inspect.signature(original)), name
            assert inspect.getdoc(stub) == inspect.getdoc(original)
    sources = "".join(file.read_text() for folder in ("ops", "layers", "models") for file in (stubs / folder).glob("*.py"))
    assert "@" not in sources.replace("@dataclass", "")  # no matrix product
    assert "backward(" not in sources.replace("y, backward = ", "").replace("= backward(dy)", "")
    assert "from scratch" not in sources


def test_stubs_are_all_missing_and_that_is_no_failure(stubs, capsys):
    assert main(["check", "--scratch", str(stubs)]) == 0
    out = capsys.readouterr().out
    assert f"missing   {len(TARGETS)}" in out
    assert f"0 of {len(TARGETS)} verified; next: {curriculum()[0].split('.')[-1]}" in out
    assert "Traceback" not in out
    assert len(out.splitlines()) < 2 * len(FAMILIES)


def test_nothing_is_overwritten(tmp_path, capsys):
    assert main(["new", str(tmp_path / "a" / "mine")]) == 0
    assert "parity check --scratch" in capsys.readouterr().out
    (tmp_path / "a" / "mine" / "ops" / "linear.py").write_text("work of weeks")
    for taken in (tmp_path / "a", tmp_path / "a" / "mine", tmp_path / "a" / "mine" / "module.py"):
        assert main(["new", str(taken)]) == 2
        error = capsys.readouterr().err
        assert "exists and is not an empty directory" in error
        assert len(error.splitlines()) == 1
    assert (tmp_path / "a" / "mine" / "ops" / "linear.py").read_text() == "work of weeks"
    (tmp_path / "empty").mkdir()
    assert main(["new", str(tmp_path / "empty")]) == 0


@pytest.mark.parametrize("name", ['a"""b', "a\\N{b", "a\x1b[31mb", "a\udcffb", "{b}", "木"])
def test_any_name_of_a_directory_will_do(tmp_path, name, capsys):
    assert main(["new", str(tmp_path / name)]) == 0
    assert capsys.readouterr().out.isascii() or name == "木"
    ast.parse((tmp_path / name / "__init__.py").read_bytes())
    assert main(["check", "tanh", "--scratch", str(tmp_path / name), "--dtype", "float64"]) == 0


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path, capsys):
    assert main(["new", str(tmp_path / ("a" * 300))]) == 2
    error = capsys.readouterr().err
    assert "cannot be written: File name too long" in error
    assert len(error.splitlines()) == 1


def test_learning_order_puts_parts_before_what_is_made_of_them():
    order = curriculum()
    assert sorted(order) == sorted(TARGETS)
    for first, then in (("ops.linear", "layers.Linear"), ("ops.conv2d", "models.CNN"), ("layers.BatchNorm1d", "models.MLP")):
        assert order.index(first) < order.index(then)


# --- how far it is ---


def test_scratch_itself_is_verified_as_someones_own(capsys):
    assert main(["check", "linear", "--scratch", str(Path(scratch.__file__).parent), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert "ops.linear" in printed["progress"]["verified"]
    assert (printed["progress"]["wrong"], printed["progress"]["missing"], printed["progress"]["next"]) == ([], [], "")
    assert {"status", "worst_ratio", "printed"} <= printed["cases"][0].keys()


def test_what_is_imported_from_scratch_is_not_ones_own(mine, capsys):
    (mine / "ops" / "activation.py").write_text("from scratch.ops.activation import relu, tanh\n")
    assert main(["check", "relu", "--scratch", str(mine), "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert "ops.relu" in printed["progress"]["wrong"]
    messages = {case["message"] for case in printed["cases"] if case["name"] == "relu"}
    assert messages == {
        "ops/activation.py imports from scratch, so scratch itself would be verified; write it anew, or make the import relative"
    }


def test_a_subset_is_verified_and_the_rest_named(mine):
    write(mine, "ops/activation.py", RELU + TANH)
    (mine / "ops" / "linear.py").unlink()  # and `ops` still imports
    (mine / "ops" / "softmax.py").write_text(SOFTMAX)  # one of the two that it held
    write(mine, "ops/flatten.py", "import nothing_of_the_kind")
    progress = judged(mine, "ops.relu", "ops.gelu", "ops.linear", "ops.softmax", "ops.log_softmax", "ops.flatten")
    assert states(progress) == {
        "ops.relu": "verified",
        "ops.gelu": "missing",
        "ops.linear": "missing",
        "ops.softmax": "verified",
        "ops.log_softmax": "missing",
        "ops.flatten": "wrong",
    }
    assert "mine.ops has no linear" in messages(progress, "ops.linear")
    assert "mine.ops has no log_softmax" in messages(progress, "ops.log_softmax")
    assert messages(progress, "ops.flatten")[0].startswith("it does not import: ModuleNotFoundError: No module named 'nothing_of_")
    assert str(progress) == "2 of 6 verified; next: fix flatten"


def test_a_forward_pass_is_verified_before_its_backward_is_written(mine, capsys):
    write(mine, "ops/activation.py", "def relu(x):\n    return np.maximum(x, 0), None")
    assert main(["check", "relu", "--scratch", str(mine)]) == 0
    assert "relu backward" in capsys.readouterr().out
    write(mine, "ops/activation.py", "def relu(x):\n    return np.maximum(x, 0.1), None")
    assert main(["check", "relu", "--scratch", str(mine)]) == 1
    out = capsys.readouterr().out
    assert "y is off by 0.1" in out
    assert "the backward is missing" in out


def test_models_are_built_on_ones_own_layers(mine):
    write(mine, "ops/linear.py", LINEAR)
    write(mine, "layers/linear.py", LINEAR_LAYER)
    write(mine, "models/mlp.py", MLP_OF_ONE)
    progress = check_own(mine, [case for case in CASES if case.name == "mlp-linear"], ("float64",), (0,))
    assert states(progress) == {"models.MLP": "verified"}
    write(mine, "ops/linear.py", LINEAR.replace("dy_rows.sum(0)", "dy_rows.mean(0)"))
    progress = check_own(mine, [case for case in CASES if case.name in ("mlp-linear", "linear", "Linear")], ("float64",), (0,))
    assert set(states(progress).values()) == {"wrong"}
    # explained once, where it is wrong
    assert [[target.name for target in targets] for targets in progress.culprits().values()] == [["linear"]]
    assert str(progress) == "0 of 3 verified; next: fix linear"


def test_options_that_are_not_taken_are_missing(mine):
    write(
        mine,
        "ops/softmax.py",
        "def softmax(x):\n    raise NotImplementedError\n\ndef log_softmax(x, dim):\n    raise NotImplementedError('only later')",
    )
    progress = judged(mine, "ops.softmax", "ops.log_softmax")
    assert "it takes no dim" in messages(progress, "ops.softmax")
    assert "only later" in messages(progress, "ops.log_softmax")


# --- bad input: one clear finding, and the rest is judged ---

BAD_OPS = {
    "a syntax error": ("def relu(x:\n", "it does not import: SyntaxError: '(' was never closed (activation.py:"),
    "an import that fails": ("import nothing_of_the_kind\n" + RELU, "it does not import: ModuleNotFoundError: No module named"),
    "an exit at import": ("import sys\nsys.exit(3)\n" + RELU, "it does not import: SystemExit: 3 (activation.py:"),
    "too few arguments": ("def relu():\n    pass", "TypeError: relu() takes 0 positional arguments but 1 was given"),
    "None": ("def relu(x):\n    pass", "it returned None, expected the pair (y, backward)"),
    "no backward": ("def relu(x):\n    return np.maximum(x, 0)", "it returned one ndarray, expected the pair (y, backward)"),
    "None for the value": ("def relu(x):\n    return None, lambda dy: dy", "it returned None as its value, expected an array"),
    "a gradient too many": (
        "def relu(x):\n    return np.maximum(x, 0), lambda dy: (dy * (x > 0), None, dy)",
        "its backward returned a tuple of 3 (ndarray, NoneType, ndarray), expected the gradient of x itself",
    ),
    "None for the gradient": (
        "def relu(x):\n    return np.maximum(x, 0), lambda dy: None",
        "grad x is missing: the reference has one of shape (5, 7, 3)",
    ),
    "an input changed": (
        "def relu(x):\n    m = x > 0\n    x *= m\n    return x, lambda dy: dy * m",
        "the forward changes its input x in place",
    ),
    "a gradient changed": (
        "def relu(x):\n    m = x > 0\n    def backward(dy):\n        dy *= m\n        return dy\n    return x * m, backward",
        "the backward changes its gradient of y in place",
    ),
    "another shape": (
        "def relu(x):\n    return np.maximum(x, 0)[0], lambda dy: dy * (x > 0)",
        "y has shape (7, 3), expected (5, 7, 3)",
    ),
    "another dtype": (
        "def relu(x):\n    return np.maximum(x, 0).astype('f4'), lambda dy: dy * (x > 0)",
        "y is float32, expected float64",
    ),
    "an error in forward": ("def relu(x):\n    return x['a']", "IndexError: only integers"),
    "an error in backward": (
        "def relu(x):\n    def backward(dy):\n        raise KeyError('mask')\n    return np.maximum(x, 0), backward",
        "KeyError: 'mask' (activation.py:",
    ),
    "an exit": ("def relu(x):\n    raise SystemExit(4)", "it called sys.exit(4)"),
    "the end of the process": ("def relu(x):\n    import os\n    os._exit(5)", "it ended the whole process, with exit status 5"),
}


@pytest.mark.parametrize("kind", BAD_OPS)
def test_bad_ops_are_one_finding_each(mine, kind):
    code, message = BAD_OPS[kind]
    write(mine, "ops/activation.py", TANH)
    write(mine, "ops/linear.py", LINEAR)
    broken = mine / "ops" / "activation.py"
    if "import" in kind or "syntax" in kind:
        broken.write_text(f"{broken.read_text()}\n{code}")
    else:
        write(mine, "ops/activation.py", code)
    progress = judged(mine, "ops.relu", "ops.tanh", "ops.linear")
    found = [text for text in messages(progress, "ops.relu") if text]
    assert [message in text for text in dict.fromkeys(found)].count(True) == 1, found  # one finding, in each case
    assert len(progress.culprits()) == 1
    assert states(progress)["ops.linear"] == "verified"
    if "import" not in kind and "syntax" not in kind:
        assert states(progress)["ops.tanh"] == "verified"


def test_what_never_returns_is_named_with_the_place_and_not_tried_again(mine):
    write(mine, "ops/activation.py", TANH)
    write(mine, "ops/softmax.py", "def softmax(x, dim=-1):\n    while True:\n        pass")
    softmax = [case for case in CASES if case.scratch == "ops.softmax"]
    tanh = [case for case in CASES if case.scratch == "ops.tanh"]
    assert len(softmax) > 1
    with Worker(mine, time_limit=0.3) as worker:
        outcomes = list(worker.outcomes(softmax, ("float64", "float32"), (0,)))
    assert len(outcomes) == 1
    assert outcomes[0].verdict.message.startswith("it did not end within 0.3 s of CPU time (softmax.py:")
    assert outcomes[0].verdict.message.endswith("in softmax); --time-limit allows more")
    with Worker(mine) as worker:
        assert worker.outcome(tanh[0], "float64", 0).verdict.ok


def test_the_process_after_a_crash_judges_the_rest(mine):
    write(mine, "ops/activation.py", BAD_OPS["the end of the process"][0] + TANH)
    relu, tanh = (next(case for case in CASES if case.scratch == path) for path in ("ops.relu", "ops.tanh"))
    with Worker(mine) as worker:
        first, again, other = (worker.outcome(case, "float64", 0) for case in (relu, relu, tanh))
    assert first.verdict.message == again.verdict.message == "it ended the whole process, with exit status 5"
    assert other.verdict.ok


def test_what_is_printed_is_a_note(mine, capsys):
    noisy = RELU.replace("    return", "    print('x is', x.shape)\n    np.log(np.zeros(2))\n    return", 1)
    write(mine, "ops/activation.py", noisy)
    assert main(["check", "relu", "--scratch", str(mine)]) == 0
    out = capsys.readouterr().out
    assert out.count("x is") == 1
    assert "relu prints: x is (5, 7, 3) ... and" in out


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            LINEAR_LAYER.replace("self.bias = fan_in_uniform((out_features,), in_features) if bias else None", "self.bias = None"),
            "the parameters of Linear are not those of PyTorch's: missing bias",
        ),
        (
            LINEAR_LAYER.replace("(out_features, in_features)", "(in_features, out_features)"),
            "weight has shape (7, 11), expected (11, 7); its transpose would fit",
        ),
        (LINEAR_LAYER.replace("self.weight =", "self.extra = self.weight ="), "unexpected extra"),
    ],
)
def test_a_layer_without_the_right_parameters(mine, layer, message):
    write(mine, "ops/linear.py", LINEAR)
    write(mine, "layers/linear.py", layer)
    progress = judged(mine, "layers.Linear", "ops.linear")
    assert message in messages(progress, "layers.Linear")[0]
    assert states(progress)["ops.linear"] == "verified"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scratch", "/nowhere/at/all"], "there is no such directory; `parity new /nowhere/at/all` writes a package"),
        (["--scratch", str(Path(__file__).parent)], "expected a package with ops, layers or models"),
        (["--watch"], "name it with --scratch DIR"),
        (["--scratch", str(Path(scratch.__file__).parent), "--weights", "x"], "leave --device and --weights out"),
        (["--scratch", str(Path(scratch.__file__).parent), "--watch", "--json"], "leave one of them out"),
    ],
)
def test_usage_errors(capsys, arguments, message):
    assert main(["check", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_directory_named_like_another_package_takes_another_name(stubs, tmp_path):
    package = Path(shutil.copytree(stubs, tmp_path / "numpy"))
    write(package, "ops/activation.py", RELU)
    assert states(judged(package, "ops.relu")) == {"ops.relu": "verified"}


# --- pytest ---


@pytest.mark.parametrize("processes", [[], ["-n", "2"]], ids=["one process", "two processes"])
def test_pytest_runs_the_same_cases(mine, processes):
    write(mine, "ops/activation.py", RELU + TANH.replace("1 - y * y", "1 - y"))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "test_twins.py",
        "-k",
        "cpu-relu or cpu-tanh",
        "--parity-scratch",
        str(mine),
        *processes,
    ]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "culprit   tanh, backward" in done.stdout
    assert f"{mine}: 1 of 4 verified; next: fix tanh" in done.stdout
    tanh = 2 * sum(case.scratch == "ops.tanh" for case in CASES)
    relu = 2 * sum(case.scratch == "ops.relu" for case in CASES)
    assert f"{tanh} failed, {relu} passed" in done.stdout


# --- watch ---


def test_a_saved_file_touches_what_is_made_of_it(mine):
    write(mine, "ops/linear.py", LINEAR)
    write(mine, "layers/linear.py", LINEAR_LAYER)
    behind = files_behind(mine, TARGETS)
    touched = {target for target in TARGETS if mine / "ops" / "linear.py" in behind[target]}
    models = {target for target in TARGETS if target.startswith("models.")} - {"models.UNet", "models.YOLO"}  # all convolutions
    layers = {f"layers.{side}{coder}coderLayer" for side in ("Transformer", "DETR") for coder in ("En", "De")}
    layers |= {f"layers.{name}" for name in ("Linear", "AdditiveAttention", "SelfAttention", "FeedForward", "MultiheadAttention")}
    assert touched == models | layers | {"ops.linear"}
    formulas = {f"optim.lr_scheduler.{name}" for name in ("linear_warm_up", "noam", "warm_up_cosine")}  # of plain numbers
    assert {target for target in TARGETS if mine / "module.py" in behind[target]} == set(TARGETS) - formulas
    assert {target for target in TARGETS if mine / "models" / "cnn.py" in behind[target]} == {"models.CNN"}


def test_saves_are_seen(mine):
    def edit(seconds, steps=iter(range(3))):  # noqa: B008  one count for all calls
        match next(steps):
            case 0:
                pass
            case 1:
                (mine / "ops" / "linear.py").write_text("changed")
                (mine / "ops" / "new.py").write_text("new")
                (mine / "notes.txt").write_text("not Python")
            case 2:
                (mine / "ops" / "new.py").unlink()

    seen = saves(mine, pause=edit)
    assert next(seen) == {mine / "ops" / "linear.py", mine / "ops" / "new.py"}
    assert next(seen) == {mine / "ops" / "new.py"}


def test_watching_checks_again_what_was_saved_and_keeps_the_rest(mine):
    write(mine, "ops/activation.py", RELU)
    write(mine, "ops/linear.py", LINEAR)
    cases = [case for case in CASES if case.scratch in ("ops.relu", "ops.linear", "layers.Linear")]

    def editing():
        write(mine, "ops/linear.py", LINEAR.replace("dy @ weight", "-dy @ weight"))
        yield {mine / "ops" / "linear.py"}
        write(mine, "ops/linear.py", LINEAR)
        yield {mine / "ops" / "linear.py"}
        yield {mine / "ops" / "softmax.py"}

    first = check_own(mine, cases, ("float64",), (0,))
    assert str(first) == "2 of 3 verified; next: Linear"
    (broken, said), (mended, _), (_, nothing) = keep_checking(first, cases, ("float64",), (0,), editing())
    assert states(broken) == {"ops.relu": "verified", "ops.linear": "wrong", "layers.Linear": "missing"}
    assert broken.targets[0].outcomes == first.targets[0].outcomes  # kept, not judged again
    assert said.startswith("ops/linear.py saved; checked again in")
    assert said.endswith("s: linear")
    assert str(mended) == str(first)
    assert nothing.endswith("nothing, since no target uses it")


# --- which definitions use which ---


def test_definitions_are_followed_through_every_kind_of_import(tmp_path):
    files = {
        "ops/__init__.py": "from .a import *\nfrom .b import two as three\n",
        "ops/a.py": "def one():\n    return helper()\n\ndef helper(): ...\n",
        "ops/b.py": "from . import c\nfrom mine.ops.a import one\nSCALE = 2\nSCALE += 1\n"
        "def two(x):\n    import mine.ops.d\n    return c.power(x) * SCALE\n",
        "ops/c.py": "def power(x): ...\nprint(late)\nlate = 1\n",
        "ops/d.py": "D = 1",
        "ops/broken.py": "def f(:",
        "ops/e.py": "from .broken import f\nfrom .nowhere import g\n",
    }
    root = tmp_path / "mine"
    (root / "ops").mkdir(parents=True)
    for path, text in files.items():
        (root / path).write_text(text)
    definitions = Definitions(root)
    assert definitions.place_of("ops.one") == (root / "ops" / "a.py", "one")
    assert definitions.place_of("ops.three") == (root / "ops" / "b.py", "two")
    assert definitions.place_of("ops.e.f") == (root / "ops" / "broken.py", "f")
    assert [definitions.place_of(path) for path in ("ops.four", "ops.e.g", "layers.L")] == [None] * 3
    used = {f"{file.stem}.{name}" for file, name in definitions.used_by("ops.three")}
    assert {"b.two", "b.SCALE", "c.power", "c.late", "d.D"} <= used
    assert "a.helper" not in used  # b imports `one` without using it in `two`
    assert (root / "ops" / "a.py", "helper") in definitions.used_by("ops.one")
    assert learning_order(definitions, ["ops.three", "ops.one"]) == ["ops.three", "ops.one"]
