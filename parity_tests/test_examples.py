"""The first network and mnist_cnn.py: their accuracy, that both backends agree, and the answers to bad input."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from examples import mnist_cnn
from examples.data import augmentation, public_file
from examples.data.images import Dataset, digits
from examples.training import console, numpy_backend
from examples.training.numpy_backend import NumPyBackend
from examples.training.progress import sparkline
from examples.training.schedule import learning_rate
from parity.__main__ import main as parity
from parity.checkpoints.arrays import load_arrays
from parity.weights import save_model
from parity_tests.example_runs import BACKENDS, result
from parity_tests.example_runs import main as run_example
from scratch.models import CNN, MLP

ROOT = Path(__file__).parents[1]


A_PASS = 1437 // 16  # steps


@pytest.fixture(autouse=True)
def one_thread():
    """Compute small batches in one thread, also on busy machines."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def run(capsys):
    """Return a function that runs mnist_cnn.py; see example_runs.main."""
    return lambda *argv: run_example(capsys, mnist_cnn, *argv)


def in_a_shell(*command):
    """Run a command of this Python; return the lines that it prints on stdout."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, *command]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_first_network_is_short_and_passes_88_percent():
    source = (ROOT / "examples" / "first_network.py").read_text()
    assert len(source.splitlines()) < 30
    assert source in (ROOT / "README.md").read_text()
    last = in_a_shell("examples/first_network.py")[-1]
    assert float(re.search(r"held-out digits ([\d.]+)%", last)[1]) > 88


def test_every_script_has_at_most_100_lines():
    scripts = [path for path in (ROOT / "examples").glob("*.py") if path.name != "__init__.py"]
    assert len(scripts) >= 12
    assert {path.name: len(path.read_text().splitlines()) for path in scripts if len(path.read_text().splitlines()) > 100} == {}


PACKAGES = ("data", "training", "tasks", "plots")  # each may import those before it


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_of_the_examples_imports_only_those_before_it(package):
    after = PACKAGES[PACKAGES.index(package) + 1 :]
    for path in (ROOT / "examples" / package).glob("*.py"):
        imported = re.findall(r"^ *(?:from|import) examples\.(\w+)", path.read_text(), re.MULTILINE)
        assert not set(imported) - set(PACKAGES), f"{path.name} imports a script"
        assert not set(imported) & set(after), path.name


def test_default_settings_pass_98_percent(run):
    status, out, err = run()
    assert (status, err) == (0, [])
    assert float(result(out)["test_accuracy"]) > 0.98
    steps = [line.split()[1] for line in out if line.startswith("step")]
    assert steps == [f"{A_PASS * i}/{A_PASS * 15}" for i in range(1, 16)]


@pytest.mark.parametrize("command", [["examples/mnist_cnn.py"], ["-m", "examples.mnist_cnn"]], ids=["a file", "a module"])
def test_the_script_runs_in_a_shell(command):
    last = result(in_a_shell(*command, "--backend", "torch", "--epochs", "1"))
    assert (last["backend"], last["device"], last["steps"]) == ("torch", "cpu", str(A_PASS))
    assert float(last["test_accuracy"]) > 0.5


def test_both_backends_score_the_same_after_a_pass(run):
    lasts = [result(run("--backend", backend, "--epochs", 1, "--dtype", "float64")[1]) for backend in BACKENDS]
    assert lasts[0]["test_accuracy"] == lasts[1]["test_accuracy"]
    assert lasts[0]["test_loss"] == lasts[1]["test_loss"]


def test_a_run_depends_on_its_seed_alone(run):
    losses = [result(run("--epochs", 1, "--seed", seed, "--augment")[1])["test_loss"] for seed in (3, 3, 4)]
    assert losses[0] == losses[1] != losses[2]


def test_compare_in_float64_agrees_to_1e_9(run):
    status, out, err = run("--compare", "--dtype", "float64", "--epochs", 2)
    last = result(out)
    assert (status, err) == (0, [])
    assert int(last["steps"]) == 2 * A_PASS
    assert 0 < float(last["in_first_100_steps"]) <= float(last["largest_relative_difference"]) <= 1e-9
    assert last["test_accuracy_numpy"] == last["test_accuracy_torch"]
    assert [line.split()[0] for line in out[-4:-1]] == ["numpy", "torch", "difference"]


def test_compare_shows_a_backend_that_does_not_train(run, monkeypatch):
    monkeypatch.setattr(numpy_backend.AdamW, "step", lambda self: None)
    last = result(run("--compare", "--dtype", "float64", "--epochs", 1)[1])
    assert float(last["largest_relative_difference"]) > 0.1


@pytest.mark.parametrize("saves", BACKENDS)
def test_weights_saved_by_one_backend_score_the_same_in_both(saves, run, tmp_path):
    status, out, _ = run("--backend", saves, "--epochs", 1, "--save", tmp_path / "model")
    assert status == 0
    trained = result(out)
    for loads in BACKENDS:
        status, out, err = run("--backend", loads, "--load", tmp_path / "model", "--epochs", 0)
        assert (status, err) == (0, [])
        scored = result(out)
        assert scored["test_accuracy"] == trained["test_accuracy"]
        assert float(scored["test_loss"]) == pytest.approx(float(trained["test_loss"]), rel=1e-4)
        assert (scored["backend"], scored["steps"]) == (loads, "0")


def test_parity_check_verifies_the_twins_at_the_saved_weights(run, tmp_path, capsys):
    _, out, _ = run("--epochs", 3, "--save", tmp_path / "my model")
    assert f"verify the twins:  parity check --weights '{tmp_path}/my model'" in out
    images = load_arrays(tmp_path / "my model" / "samples.safetensors")["x"]
    assert (images.shape, images.dtype) == ((16, 1, 8, 8), np.float32)
    assert np.abs(images - digits().test_x[:16]).max() < 0.1  # half of one of 16 grey levels
    assert parity(["check", "cnn", "--weights", str(tmp_path / "my model")]) == 0
    assert "1 case verified" in capsys.readouterr().out


def test_training_starts_with_saved_weights(run, tmp_path):
    _, out, _ = run("--epochs", 1, "--save", tmp_path)
    before = float(result(out)["test_loss"])
    _, out, _ = run("--backend", "torch", "--epochs", 1, "--load", tmp_path)
    assert float(result(out)["test_loss"]) < before / 2


def test_plots_are_drawn(run, tmp_path):
    status, out, err = run("--epochs", 1, "--plots", tmp_path, "--compare")
    assert (status, err) == (0, [])
    assert f"drawn in {tmp_path}: losses.png, mistakes.png" in out
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("losses.png", "mistakes.png"))


def test_a_terminal_gets_a_progress_bar(monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    mnist_cnn.main(["--epochs", "1", "--backend", "torch"])
    assert "━" in screen.getvalue()
    assert "loss" in screen.getvalue()


def test_mnist_is_trained_in_the_same_way(run, monkeypatch):
    data = digits()
    images = [np.pad(x[:200], ((0, 0), (0, 0), (10, 10), (10, 10))) for x in (data.train_x, data.test_x)]
    small = Dataset("mnist", images[0], data.train_y[:200], images[1], data.test_y[:200], 10)
    monkeypatch.setitem(mnist_cnn.IMAGES, "mnist", lambda: small)
    status, out, _ = run("--data", "mnist", "--augment")
    assert (status, result(out)["steps"], result(out)["data"]) == (0, str(5 * (200 // 64)), "mnist")


def write_config(directory, **changes):
    config = dict(in_channels=1, image_size=[8, 8], classes=10)
    save_model(directory, CNN(**config), config)
    described = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(described | changes))


def a_file(path):
    path.touch()
    return path


def a_model(path, **changes):
    write_config(path, **changes)
    return path


def an_mlp(path):
    config = dict(in_features=64, hidden=[8], out_features=10)
    save_model(path, MLP(**config), config)
    return path


def truncated(path):
    weights = a_model(path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    return path


def larger(path):
    config = dict(in_channels=1, image_size=[28, 28], classes=10)
    save_model(path, CNN(**config), config)
    return path


WRONG_OPTIONS = {
    "an unknown option": (["--epoch-count", "3"], "unrecognized arguments: --epoch-count 3"),
    "an unknown device": (["--device", "gpu"], "--device: invalid choice: 'gpu'"),
    "an unknown backend": (["--backend", "jax"], "--backend: invalid choice: 'jax'"),
    "unknown data": (["--data", "cifar"], "--data: invalid choice: 'cifar'"),
    "NumPy on a GPU": (["--device", "cuda"], "--device cuda: NumPy computes on the cpu; add --backend torch"),
    "no GPU": (["--backend", "torch", "--device", "cuda"], "finds no such device here; use --device cpu"),
    "negative epochs": (["--epochs", "-1"], "--epochs: expected a whole number of at least 0, got '-1'"),
    "half an epoch": (["--epochs", "1.5"], "--epochs: expected a whole number of at least 0, got '1.5'"),
    "no epochs": (["--epochs", "0"], "--epochs 0 trains nothing: expected --load DIR with it"),
    "no batch": (["--batch", "0"], "--batch: expected a whole number of at least 1, got '0'"),
    "no learning rate": (["--lr", "nan"], "--lr: expected a number above 0, got 'nan'"),
    "a negative learning rate": (["--lr", "-1"], "--lr: expected a number above 0, got '-1'"),
    "one backend and both": (["--compare", "--backend", "torch"], "not allowed with argument"),
    "two models to save": (["--compare", "--save", "x"], "--compare trains two models and a run that is saved has one"),
}


@pytest.mark.parametrize(("argv", "complaint"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_wrong_options_are_refused_in_one_line_with_status_2(argv, complaint, run, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    status, out, err = run(*argv)
    assert (status, out, len(err)) == (2, [], 1)
    assert complaint in err[0]


BAD_INPUT = {
    "nowhere to save": (lambda path: ["--save", a_file(path) / "model"], "cannot write there (Not a directory)"),
    "a file to save in": (lambda path: ["--save", a_file(path)], "cannot write there (File exists)"),
    "nowhere to draw": (lambda path: ["--plots", a_file(path) / "model"], "cannot write there (Not a directory)"),
    "no model": (lambda path: ["--load", path], "expected a model's directory with config.json"),
    "a file for a model": (lambda path: ["--load", a_file(path)], "expected a model's directory with config.json"),
    "another class": (lambda path: ["--load", an_mlp(path)], "expected a CNN, found a model of class 'MLP'"),
    "an unknown argument of a CNN": (lambda path: ["--load", a_model(path, config=dict(depth=3))], "do not fit CNN"),
    "another CNN": (
        lambda path: ["--load", a_model(path, config=dict(in_channels=1, image_size=[8, 8], classes=7))],
        "the state does not fit CNN: classifier.3",
    ),
    "truncated weights": (lambda path: ["--load", truncated(path)], "expected a safetensors file, but it is truncated"),
    "other images": (
        lambda path: ["--load", larger(path)],
        "its CNN does not fit --data digits: image_size (28, 28), expected (8, 8); choose the data it was trained on",
    ),
    "a high learning rate": (lambda path: ["--lr", "1e30", "--epochs", "1"], "--lr 1e+30 is too high"),
}


@pytest.mark.parametrize(("argv", "complaint"), BAD_INPUT.values(), ids=BAD_INPUT)
@pytest.mark.parametrize("backend", BACKENDS)
def test_bad_input_is_refused_in_one_line_before_the_first_report(argv, complaint, backend, run, tmp_path):
    status, out, err = run(*argv(tmp_path / "x"), "--backend", backend)
    assert (status, len(err)) == (2, 1)
    assert complaint in err[0]
    assert not any(line.startswith("step") for line in out)


def test_missing_mnist_is_refused_in_one_line(run, monkeypatch, tmp_path):
    def offline(url, timeout):
        raise URLError("no route to host")

    monkeypatch.delenv("PARITY_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(public_file, "urlopen", offline)
    status, out, err = run("--data", "mnist")
    assert (status, out) == (2, [])
    assert [line.split()[0] for line in err[:-1]] == ["downloading", "downloading"]
    assert "train-images-idx3-ubyte.gz is not in" in err[-1]


@pytest.mark.parametrize(("argv", "missing"), [(["--plots", "."], "matplotlib.figure"), ([], "sklearn.datasets")])
def test_a_missing_package_is_named_before_training(argv, missing, run, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("examples.plots")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    status, out, err = run(*argv)
    assert (status, out, len(err)) == (2, [], 1)
    assert "pip install" in err[0]


def test_an_interrupted_run_resumes_with_the_same_result(run, monkeypatch, tmp_path):
    _, out, _ = run("--steps", 6, "--every", 2, "--save", tmp_path / "whole")

    steps = iter(range(6))

    def interrupted(self, *batch, original=NumPyBackend.step, **options):
        if next(steps) == 3:
            raise KeyboardInterrupt
        return original(self, *batch, **options)

    with monkeypatch.context() as patched:
        patched.setattr(NumPyBackend, "step", interrupted)
        status, _, err = run("--steps", 6, "--every", 2, "--save", tmp_path / "cut")
    assert (status, err) == (130, [f"{Path(sys.argv[0]).name}: interrupted"])
    status, resumed, err = run("--resume", tmp_path / "cut")
    assert (status, err) == (0, [])
    assert result(resumed)["test_loss"] == result(out)["test_loss"]


def test_a_resumed_run_loads_no_other_weights(run, tmp_path):
    run("--steps", 1, "--save", tmp_path)
    status, _, err = run("--resume", tmp_path, "--load", tmp_path)
    assert (status, len(err)) == (2, 1)
    assert "--load starts a new run and --resume continues one: leave out either" in err[0]


def test_a_bug_keeps_its_traceback(monkeypatch):
    def broken(*batch, **options):
        raise ValueError("a shape is wrong")

    monkeypatch.setattr(NumPyBackend, "step", broken)
    with pytest.raises(ValueError, match="a shape is wrong"):
        console.exit_status(lambda: mnist_cnn.main([]))


def test_the_learning_rate_rises_to_its_peak_and_falls_towards_0():
    rates = np.array([learning_rate("cosine", 100, peak=3.0)(step) for step in range(100)])
    assert rates[9] == rates.max() == 3
    assert (np.diff(rates[:10]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[0] == pytest.approx(0.3)
    assert 0 < rates[-1] < 0.01
    assert learning_rate("cosine", 1, peak=3.0)(0) == 3


def test_inverse_sqrt_falls_as_the_root_of_the_step():
    rates = np.array([learning_rate("inverse-sqrt", 1000, peak=3.0)(step) for step in range(1000)])
    assert rates[99] == pytest.approx(3)
    assert rates.argmax() == 99
    np.testing.assert_allclose(rates[[49, 399]], 1.5)


def test_a_shift_only_moves_pixels():
    image = np.random.default_rng(0).standard_normal((1, 1, 8, 8))
    shifted = augmentation.shift(np.random.default_rng(1), np.repeat(image, 200, axis=0))
    padded = np.pad(image[0, 0], 1, constant_values=image.min())
    possible = {padded[i : i + 8, j : j + 8].tobytes() for i in range(3) for j in range(3)}
    assert {x.tobytes() for x in shifted} == possible


def test_a_sparkline_spans_its_values():
    assert sparkline(10.0 ** np.arange(8)) == "▁▂▃▄▅▆▇█"
    assert sparkline(np.zeros(3)) == "▁▁▁"
    assert len(sparkline(np.linspace(1, 2, 1000))) == 60
