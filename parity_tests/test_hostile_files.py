"""Every invalid file is refused in one line with status 2, before it takes memory or makes us open another file."""

import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import scratch.models
from examples import mnist_cnn, name_generation
from examples.data import texts
from parity.__main__ import main as parity
from parity.checkpoints.arrays import save_arrays
from parity.weights import save_model
from parity_tests.example_runs import main as run_example
from parity_tests.hostile_files import CONFIG, RUN, RUNS, SAMPLES, SAVED_MODELS, WEIGHTS

MLP = dict(in_features=6, hidden=[5], out_features=4)
CNN = dict(in_channels=1, image_size=[8, 8], classes=10)
TINY = ["--steps", "2", "--every", "1", "--hidden", "4", "--embedding", "3", "--batch", "5"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Save an MLP, a CNN and a run of names, each in a directory of its own."""
    root = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    for name, config, shape in (("MLP", MLP, (3, 6)), ("CNN", CNN, (3, 1, 8, 8))):
        save_model(root / name, getattr(scratch.models, name)(**config), config)
        save_arrays(root / name / SAMPLES, {"x": rng.normal(size=shape).astype(np.float32)})
    with threadpool_limits(1):
        name_generation.main([*TINY, "--save", str(root / "names")])
    return root


@pytest.fixture
def copy(made, tmp_path):
    return lambda name: Path(shutil.copytree(made / name, tmp_path / name))


def is_refused(status, out, err):
    """Assert that the message is one line, without control characters."""
    assert (status, out) == (2, "")
    assert err.endswith("\n")
    assert err[:-1].isprintable()
    assert len(err) < 1200
    assert "Traceback" not in err


@pytest.mark.parametrize("change", SAVED_MODELS.values(), ids=SAVED_MODELS)
def test_a_hostile_model_is_refused_in_one_line(change, copy, capsys):
    directory = copy("MLP")
    change(directory)
    capsys.readouterr()
    status = parity(["check", "--weights", str(directory), "--dtype", "float32"])
    is_refused(status, *capsys.readouterr())


@pytest.mark.parametrize("change", RUNS.values(), ids=RUNS)
def test_a_hostile_run_is_refused_in_one_line_and_names_no_file(change, copy, capsys, monkeypatch):
    directory = copy("names")
    change(directory)
    before = set(directory.parent.rglob("*"))
    opened = []
    monkeypatch.setattr(texts, "_read_own_file", opened.append)
    status, out, err = run_example(capsys, name_generation, "--resume", directory)
    is_refused(status, "\n".join(out), "".join(f"{line}\n" for line in err))
    assert set(directory.parent.rglob("*")) == before
    assert not opened


KEPT = [name for name in RUNS if "optimiser" in name]


@pytest.mark.parametrize("change", [RUNS[name] for name in KEPT], ids=KEPT)
def test_hostile_optimiser_arrays_are_refused_by_pytorch_too(change, copy, capsys):
    directory = copy("names")
    change(directory)
    status, out, err = run_example(capsys, name_generation, "--resume", directory, "--steps", 4, "--backend", "torch")
    is_refused(status, "\n".join(out), "".join(f"{line}\n" for line in err))


NAMED = [name for name in SAVED_MODELS if name.startswith(("config.json is", f"{WEIGHTS} is", f"{WEIGHTS} cut", "config.json cut"))]


@pytest.mark.parametrize("change", [SAVED_MODELS[name] for name in NAMED], ids=NAMED)
def test_an_example_refuses_a_hostile_model(change, copy, capsys):
    directory = copy("CNN")
    change(directory)
    status, out, err = run_example(capsys, mnist_cnn, "--load", directory, "--epochs", 0)
    is_refused(status, "\n".join(out), "".join(f"{line}\n" for line in err))


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS, SAMPLES, RUN])
def test_a_file_that_may_not_be_read_is_refused(file, copy, capsys, monkeypatch):
    directory = copy("names" if file == RUN else "MLP")

    def forbidden(path, *_, original=Path.open, **options):
        if path.name == file:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, *_, **options)

    def forbidden_bytes(path):
        with path.open("rb") as opened:
            return opened.read()

    monkeypatch.setattr(Path, "open", forbidden)
    monkeypatch.setattr(Path, "read_bytes", forbidden_bytes)
    if file == RUN:
        status, out, err = run_example(capsys, name_generation, "--resume", directory)
        is_refused(status, "\n".join(out), "".join(f"{line}\n" for line in err))
    else:
        status = parity(["check", "--weights", str(directory)])
        printed = capsys.readouterr()
        is_refused(status, *printed)
        assert "Permission denied" in printed.err


ENORMOUS = [name for name in SAVED_MODELS if "enormous" in name or "terabyte" in name or "1000000000000" in name]


def test_enormous_models_take_no_memory(made, tmp_path, capsys):
    parity(["check", "--weights", str(made / "MLP")])  # fills caches first
    tracemalloc.start()
    try:
        for number, name in enumerate(ENORMOUS):
            directory = Path(shutil.copytree(made / "MLP", tmp_path / str(number)))
            SAVED_MODELS[name](directory)
            assert parity(["check", "--weights", str(directory)]) == 2
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


IN_A_SHELL = ["config.json is a link to itself", "model.safetensors: tied of nested deeply", "samples.safetensors: NaN"]


def test_hostile_files_are_refused_in_a_shell(made, tmp_path):
    for number, name in enumerate(IN_A_SHELL):
        directory = Path(shutil.copytree(made / "MLP", tmp_path / str(number)))
        SAVED_MODELS[name](directory)
        command = [sys.executable, "-m", "parity", "check", "--weights", str(directory)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        is_refused(done.returncode, done.stdout, done.stderr)


def test_valid_files_are_accepted(made, capsys):
    """Otherwise the refusals of this file would prove nothing."""
    assert parity(["check", "--weights", str(made / "MLP"), "--dtype", "float32"]) == 0
    assert run_example(capsys, name_generation, "--resume", made / "names")[0] == 0
    assert run_example(capsys, mnist_cnn, "--load", made / "CNN", "--epochs", 0)[0] == 0
