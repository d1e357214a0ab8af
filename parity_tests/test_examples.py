"""The examples as they are run: what they reach, that the backends agree, and what bad input is answered with."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from parity.__main__ import main as parity
from parity.checkpoints.arrays import load_arrays
from parity.weights import save_model
from scratch.models import CNN, MLP

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import augmentation
import console
import datasets
import files
import mnist_cnn
import training

ROOT = Path(__file__).parents[1]
BACKENDS = ("numpy", "torch")


@pytest.fixture(autouse=True)
def one_thread():
    """Small batches on idle machines and busy ones."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def run(capsys):
    """Run mnist_cnn.py: its status, and the lines that it prints on stdout and stderr."""

    def run(*argv):
        try:
            status = console.exit_status(lambda: mnist_cnn.main([str(word) for word in argv]))
        except SystemExit as stop:
            status = stop.code
        out, err = capsys.readouterr()
        return status, out.splitlines(), err.splitlines()

    return run


def result(out):
    """The last line as a dict."""
    return dict(pair.split("=") for pair in out[-1].split())


def test_default_settings_pass_98_percent(run):
    status, out, err = run()
    assert (status, err) == (0, [])
    assert float(result(out)["test_accuracy"]) > 0.98
    assert [line.split()[:2] for line in out if line.startswith("epoch")] == [["epoch", str(i)] for i in range(1, 16)]


def test_the_script_runs_from_a_shell():
    command = [sys.executable, "examples/mnist_cnn.py", "--backend", "torch", "--epochs", "1"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    last = result(done.stdout.splitlines())
    assert (last["backend"], last["device"], last["epochs"]) == ("torch", "cpu", "1")
    assert float(last["test_accuracy"]) > 0.5
    assert done.stderr == ""


def test_both_backends_score_the_same_after_an_epoch(run):
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
    assert int(last["steps"]) == 180
    assert 0 < float(last["in_first_100_steps"]) <= float(last["largest_relative_difference"]) <= 1e-9
    assert last["test_accuracy_numpy"] == last["test_accuracy_torch"]
    assert [line.split()[0] for line in out[-4:-1]] == ["numpy", "torch", "difference"]


def test_compare_shows_a_backend_that_goes_its_own_way(run, monkeypatch):
    monkeypatch.setattr(training.AdamW, "step", lambda self: None)
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
        assert (scored["backend"], scored["epochs"]) == (loads, "0")


def test_parity_check_verifies_the_twins_at_the_saved_weights(run, tmp_path, capsys):
    _, out, _ = run("--epochs", 3, "--save", tmp_path / "my model")
    assert f"verify the twins:  parity check cnn --weights '{tmp_path}/my model'" in out
    images = load_arrays(tmp_path / "my model" / "samples.safetensors")["x"]
    assert (images.shape, images.dtype) == ((16, 1, 8, 8), np.float32)
    assert np.abs(images - datasets.digits().test_x[:16]).max() < 0.1  # half of one of 16 grey levels
    assert parity(["check", "cnn", "--weights", str(tmp_path / "my model")]) == 0
    assert "1 case verified" in capsys.readouterr().out


def test_training_goes_on_from_saved_weights(run, tmp_path):
    _, out, _ = run("--epochs", 1, "--save", tmp_path)
    before = float(result(out)["test_loss"])
    _, out, _ = run("--backend", "torch", "--epochs", 1, "--load", tmp_path, "--save", tmp_path)
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


def test_mnist_takes_the_same_road(run, monkeypatch):
    digits = datasets.digits()
    images = [np.pad(x[:200], ((0, 0), (0, 0), (10, 10), (10, 10))) for x in (digits.train_x, digits.test_x)]
    small = datasets.Dataset("mnist", images[0], digits.train_y[:200], images[1], digits.test_y[:200], 10)
    monkeypatch.setitem(mnist_cnn.DATA, "mnist", lambda: small)
    status, out, _ = run("--data", "mnist", "--augment")
    assert (status, result(out)["epochs"], result(out)["data"]) == (0, "5", "mnist")


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
    "a backend beside both": (["--compare", "--backend", "torch"], "not allowed with argument"),
    "two models to save": (["--compare", "--save", "x"], "--compare trains two models and --save keeps one"),
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
    "an argument of no CNN": (lambda path: ["--load", a_model(path, config=dict(depth=3))], "do not fit CNN"),
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
def test_bad_input_is_answered_in_one_line_with_status_2_before_an_epoch_is_trained(argv, complaint, backend, run, tmp_path):
    status, out, err = run(*argv(tmp_path / "x"), "--backend", backend)
    assert (status, len(err)) == (2, 1)
    assert complaint in err[0]
    assert not any(line.startswith("epoch") for line in out)


def test_missing_mnist_is_answered_in_one_line(run, monkeypatch, tmp_path):
    def offline(url, timeout):
        raise URLError("no route to host")

    monkeypatch.delenv("PARITY_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(files, "urlopen", offline)
    status, out, err = run("--data", "mnist")
    assert (status, out) == (2, [])
    assert [line.split()[0] for line in err[:-1]] == ["downloading", "downloading"]
    assert "train-images-idx3-ubyte.gz is not in" in err[-1]


@pytest.mark.parametrize(
    ("argv", "missing", "module"), [(["--plots", "."], "matplotlib.figure", "plots"), ([], "sklearn.datasets", None)]
)
def test_a_missing_package_is_named_before_training(argv, missing, module, run, monkeypatch):
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    status, out, err = run(*argv)
    assert (status, out, len(err)) == (2, [], 1)
    assert "pip install" in err[0]


def test_an_interrupt_ends_in_one_line_and_keeps_what_was_saved(run, monkeypatch, tmp_path):
    run("--epochs", 1, "--save", tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def interrupted(*batch, lr):
        raise KeyboardInterrupt

    monkeypatch.setattr(training.NumPyBackend, "step", interrupted)
    status, _, err = run("--save", tmp_path)
    assert (status, err) == (130, [f"{Path(sys.argv[0]).name}: interrupted"])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_bug_keeps_its_traceback(monkeypatch):
    def broken(*batch, lr):
        raise ValueError("a shape is wrong")

    monkeypatch.setattr(training.NumPyBackend, "step", broken)
    with pytest.raises(ValueError, match="a shape is wrong"):
        console.exit_status(lambda: mnist_cnn.main([]))


def test_the_learning_rate_rises_to_its_peak_and_falls_towards_0():
    rates = np.array([training.learning_rate("cosine", 100, peak=3.0)(step) for step in range(100)])
    assert rates[9] == rates.max() == 3
    assert (np.diff(rates[:10]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[0] == pytest.approx(0.3)
    assert 0 < rates[-1] < 0.01
    assert training.learning_rate("cosine", 1, peak=3.0)(0) == 3


def test_the_learning_rate_of_transformers_falls_as_the_root_of_the_step():
    rates = np.array([training.learning_rate("inverse-sqrt", 1000, peak=3.0)(step) for step in range(1000)])
    assert rates[99] == pytest.approx(3)
    assert rates.argmax() == 99
    np.testing.assert_allclose(rates[[49, 399]], 1.5)


def test_augmentation_shifts_and_invents_nothing():
    image = np.random.default_rng(0).standard_normal((1, 1, 8, 8))
    shifted = augmentation.shift(np.random.default_rng(1), np.repeat(image, 200, axis=0))
    padded = np.pad(image[0, 0], 1, constant_values=image.min())
    possible = {padded[i : i + 8, j : j + 8].tobytes() for i in range(3) for j in range(3)}
    assert {x.tobytes() for x in shifted} == possible


def test_every_image_is_in_one_batch_of_an_epoch():
    x, y = np.arange(10.0), np.arange(10)
    batches = list(training.shuffled(np.random.default_rng(0), 4, x, y))
    assert [len(images) for images, _ in batches] == [4, 4, 2]
    assert sorted(np.concatenate([images for images, _ in batches])) == x.tolist()
    assert all((images == labels).all() for images, labels in batches)


def test_a_sparkline_spans_its_values():
    assert console.sparkline(10.0 ** np.arange(8)) == "▁▂▃▄▅▆▇█"
    assert console.sparkline(np.zeros(3)) == "▁▁▁"
    assert len(console.sparkline(np.linspace(1, 2, 1000))) == 60
