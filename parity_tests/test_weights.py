"""Weights between backends and on disk: loading is strict and complete, whatever the memory layout of the arrays."""

import json
import os
import re
import signal
import threading
from contextlib import nullcontext

import numpy as np
import pytest
import torch

import reference.models
import scratch.models
from parity.checkpoints.arrays import load_arrays, save_arrays
from parity.checkpoints.disk import held, replace_file
from parity.weights import get_state, load_config, load_model, save_model, set_state
from scratch.module import Module, Parameter, state_mismatch

CONFIG = {"in_channels": 1, "image_size": [8, 9], "classes": 3, "channels": [4, 5], "hidden": 6, "batch_norm": True}
BACKENDS = {"numpy": scratch.models, "torch": reference.models}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a)


def outputs(model, x):
    model.eval()
    return model(x)[0] if isinstance(model, Module) else model(torch.from_numpy(x)).detach().numpy()


@pytest.mark.parametrize("writer", BACKENDS)
@pytest.mark.parametrize("reader", BACKENDS)
def test_a_saved_model_loads_in_either_backend(tmp_path, writer, reader):
    saved = BACKENDS[writer].CNN(**CONFIG)
    save_model(tmp_path, saved, CONFIG)
    loaded = load_model(tmp_path, BACKENDS[reader])
    assert type(loaded) is BACKENDS[reader].CNN
    assert same(get_state(loaded), get_state(saved))
    x = np.random.default_rng(0).normal(size=(4, 1, 8, 9)).astype(np.float32)
    assert np.abs(outputs(loaded, x) - outputs(saved, x)).max() < 1e-5
    assert sorted(os.listdir(tmp_path)) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("model", [scratch.models.CNN(**CONFIG), reference.models.CNN(**CONFIG)], ids=["numpy", "torch"])
def test_reading_and_writing_a_state_copies_it(model):
    state = get_state(model)
    before = {name: array.copy() for name, array in state.items()}
    for array in state.values():
        array += 1
    assert same(get_state(model), before)
    set_state(model, state)
    state["features.0.weight"] += 1
    assert not np.array_equal(get_state(model)["features.0.weight"], state["features.0.weight"])


@pytest.mark.parametrize("model", [scratch.models.CNN(**CONFIG), reference.models.CNN(**CONFIG)], ids=["numpy", "torch"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("features.0.bias"), "missing features.0.bias"),
        (lambda state: state.update(other=np.zeros(3)), "unexpected other"),
        (
            lambda state: state.update({"classifier.1.weight": state["classifier.1.weight"].T}),
            r"classifier.1.weight has shape \(20, 6\), expected \(6, 20\); its transpose would fit",
        ),
        (lambda state: state.update({"features.0.bias": np.zeros(7)}), r"features.0.bias has shape \(7,\), expected \(4,\)$"),
    ],
    ids=["missing", "unexpected", "transposed", "shape"],
)
def test_a_wrong_state_is_refused_and_changes_nothing(model, change, message):
    before = get_state(model)
    state = {name: array + 1 for name, array in get_state(model).items()}
    change(state)
    with pytest.raises(ValueError, match=message):
        set_state(model, state)
    assert same(get_state(model), before)


def test_arrays_of_every_memory_layout_survive_saving(tmp_path):
    a = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    arrays = {
        "plain": a,
        "transposed": a.T,
        "strided": a[::2, 1::3],
        "reversed": a[::-1],
        "scalar": np.array(3, dtype=np.int64),
        "empty": np.zeros((0, 4)),
        "double": a.astype(np.float64),
        "flags": a > 0,
    }
    save_arrays(tmp_path / "x.safetensors", arrays)
    assert same(load_arrays(tmp_path / "x.safetensors"), arrays)


def test_tied_arrays_are_stored_once(tmp_path):
    a = np.random.default_rng(0).normal(size=(100, 100))
    save_arrays(tmp_path / "one.safetensors", {"a": a})
    save_arrays(tmp_path / "tied.safetensors", {"a": a, "b": a, "c": a.T})
    assert same(load_arrays(tmp_path / "tied.safetensors"), {"a": a, "b": a, "c": a.T})
    assert (tmp_path / "tied.safetensors").stat().st_size < 2.1 * (tmp_path / "one.safetensors").stat().st_size


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_models_tied_weights_are_stored_once(tmp_path, backend):
    if backend == "numpy":
        model = scratch.models.MLP(6, [6], 6)
        model.layers.__dict__["2"].weight = model.layers.__dict__["0"].weight
        assert isinstance(model.layers.__dict__["2"].weight, Parameter)
    else:
        model = reference.models.MLP(6, [6], 6)
        model.layers[2].weight = model.layers[0].weight
    save_model(tmp_path, model, {"in_features": 6, "hidden": [6], "out_features": 6})
    from safetensors import safe_open

    with safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
        assert set(file.keys()) == {"layers.0.weight", "layers.0.bias", "layers.2.bias"}
    assert same(get_state(load_model(tmp_path, scratch.models)), get_state(model))


def damage(path, kind):
    content = path.read_bytes()
    path.write_bytes({"truncated": content[:-7], "foreign": b"PK\x03\x04" + content, "empty": b"", "text": b"hello"}[kind])


@pytest.mark.parametrize("kind", ["truncated", "foreign", "empty", "text"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, kind):
    save_model(tmp_path, scratch.models.CNN(**CONFIG), CONFIG)
    damage(tmp_path / "model.safetensors", kind)
    with pytest.raises(ValueError, match="expected a safetensors file, but it is truncated or of another format") as caught:
        load_model(tmp_path, scratch.models)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a model's directory with config.json and model.safetensors"),
        ("{", "config.json: expected JSON (Expecting"),
        ("[]", 'expected {"model": CLASS'),
        (json.dumps({"model": "Nothing", "config": {}}), "names the model 'Nothing', which scratch.models does not have"),
        (json.dumps({"model": "CNN", "config": {"depth": 3}}), "the arguments in config.json do not fit CNN"),
        (json.dumps({"model": "CNN", "config": CONFIG | {"hidden": 9}}), "the state does not fit CNN"),
    ],
    ids=["absent", "no json", "no object", "unknown model", "unknown argument", "other size"],
)
def test_a_wrong_config_is_refused_in_one_line(tmp_path, content, message):
    save_model(tmp_path, scratch.models.CNN(**CONFIG), CONFIG)
    config = tmp_path / "config.json"
    config.unlink() if content is None else config.write_text(content)
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        load_model(tmp_path, scratch.models)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_reported_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere.safetensors: there is no such file"):
        load_arrays(tmp_path / "nowhere.safetensors")


def test_a_saved_config_can_be_loaded(tmp_path):
    save_model(tmp_path, scratch.models.CNN(**CONFIG), CONFIG)
    assert load_config(tmp_path) == ("CNN", CONFIG)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    replace_file(path, b"old")

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("models", BACKENDS.values(), ids=BACKENDS)
@pytest.mark.parametrize(
    ("name", "config", "head"),
    [
        ("ResNet", dict(depth=10, in_channels=1, width=2), "fc"),
        ("CNN", dict(in_channels=1, image_size=(8, 8)), "classifier.3"),
        ("ViT", dict(in_channels=1, image_size=8, patch_size=4, width=4, layers=1, heads=1, feed_forward=4), "heads.head"),
        ("UNet", dict(in_channels=1, depth=1, width=2), "head"),
    ],
)
def test_a_state_for_other_classes_is_refused_with_advice(models, name, config, head):
    build = getattr(models, name)
    advice = f"; if these are classes, build the model for 7, load the state, then replace {head} by a layer for 5"
    with pytest.raises(ValueError, match=rf"{re.escape(head)}\.weight has shape \(7, .*{re.escape(advice)}$"):
        set_state(build(**config, classes=5), get_state(build(**config, classes=7)))


@pytest.mark.parametrize(
    "changes",
    [{"fc.weight": (3, 6)}, {"fc.weight": (3, 5), "fc.bias": (3,)}, {"fc.weight": (3, 6), "fc.bias": ()}, {"bn.weight": (4,)}],
    ids=str,
)
def test_there_is_no_advice_if_more_than_classes_differs(changes):
    shapes = {"fc.weight": (4, 6), "fc.bias": (4,), "bn.weight": (3,), "bn.bias": (3,)}
    state = {name: np.zeros(shape) for name, shape in (shapes | changes).items()}
    assert "has shape" in state_mismatch(shapes, state)
    assert "if these are classes" not in state_mismatch(shapes, state)


def test_bfloat16_is_read_as_equal_float32_numbers(tmp_path):
    from safetensors.torch import save_file

    every = torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.bfloat16).reshape(256, 256)
    save_file({"a": every, "none": every[:0]}, tmp_path / "x.safetensors")
    loaded = load_arrays(tmp_path / "x.safetensors")
    assert (loaded["a"].dtype, loaded["none"].shape) == (np.float32, (0, 256))
    np.testing.assert_array_equal(loaded["a"].view(np.int32), every.float().numpy().view(np.int32))


def test_float8_is_refused_by_name_with_advice(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(3).to(torch.float8_e4m3fn)}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=r"a is stored as F8_E4M3, which NumPy does not have; convert it to float32"):
        load_arrays(tmp_path / "x.safetensors")


def test_every_flipped_bit_of_a_file_is_detected(tmp_path):
    path = tmp_path / "x.safetensors"
    save_arrays(path, {"weight": np.float32([1])})
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        turned = bytearray(content)
        turned[bit // 8] ^= 1 << bit % 8
        path.write_bytes(turned)
        with pytest.raises(ValueError, match=r"x\.safetensors: "):
            load_arrays(path)


def test_files_without_a_checksum_are_read(tmp_path):
    from safetensors.numpy import save_file

    arrays = {"a": np.float32([1, 2]), "b": np.array([True, False])}
    save_file(arrays, tmp_path / "foreign.safetensors", {"format": "np"})
    save_file(arrays, tmp_path / "old.safetensors", {"tied": '{"c": "a"}'})
    assert same(load_arrays(tmp_path / "foreign.safetensors"), arrays)
    assert same(load_arrays(tmp_path / "old.safetensors"), arrays | {"c": arrays["a"]})


@pytest.fixture
def other_process():
    """Return a function that starts a child, which does some work and then waits to be killed."""
    children = []

    def start(work):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            with work():
                os.write(writing, b"!")
                signal.pause()
        children.append(child)
        assert os.read(reading, 1) == b"!"
        os.close(reading)
        os.close(writing)
        return child

    def kill(child):
        children.remove(child)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

    start.kill = kill
    yield start
    for child in [*children]:
        kill(child)


def test_one_process_holds_a_directory_until_it_is_killed(tmp_path, other_process):
    child = other_process(lambda: held(tmp_path))
    with pytest.raises(ValueError, match=f"{tmp_path}: process {child} is saving there; wait until"), held(tmp_path):
        pass
    other_process.kill(child)
    with held(tmp_path), pytest.raises(ValueError, match=f"process {os.getpid()} is saving there"), held(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "mine").write_text("precious")
    (tmp_path / ".lock").symlink_to("mine")
    with pytest.raises(ValueError, match=r"\.lock: it cannot be written"), held(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "precious"


def test_only_temporary_files_of_dead_writers_are_removed(tmp_path, other_process):
    lives, died = other_process(nullcontext), other_process(nullcontext)
    other_process.kill(died)
    own = f"{os.getpid()}.{threading.get_ident()}"
    owners = {f"{lives}", f"{lives}.7", "somebody", f"{os.getpid()}.7", f"{died}", f"{died}.7", f"{os.getpid()}", own, "9" * 30}
    for owner in owners:
        (tmp_path / f".file.{owner}").touch()
    (tmp_path / f".file2.{died}").touch()
    replace_file(tmp_path / "file", b"new")
    left = {f".file.{owner}" for owner in (lives, f"{lives}.7", "somebody", f"{os.getpid()}.7")}
    assert {path.name for path in tmp_path.iterdir()} == left | {"file", f".file2.{died}"}
