"""The command line, called as a shell would call it."""

import json
import subprocess
import sys

import numpy as np
import pytest

import scratch.layers.linear
import scratch.models
from parity.__main__ import main
from parity.cases import CASES
from parity.checkpoints.arrays import save_arrays
from parity.weights import save_model

CONFIG = {"in_channels": 1, "image_size": [8, 8], "classes": 10, "channels": [4, 6], "hidden": 9}


def run(capsys, *arguments):
    status = main(arguments)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_list_names_every_case(capsys):
    status, out, _ = run(capsys, "list", "--json")
    assert status == 0
    rows = json.loads(out)["cases"]
    assert [row["name"] for row in rows] == [case.name for case in CASES]
    assert {"name", "family", "scratch", "reference", "parameters"} <= rows[0].keys()
    status, out, _ = run(capsys, "list", "CNN")
    assert "scratch.models.CNN" in out
    assert "1,303" in out


def test_check_prints_json_that_scripts_rely_on(capsys):
    status, out, err = run(capsys, "check", "mlp", "--json")
    assert (status, err) == (0, "")
    rows = json.loads(out)["cases"]
    assert {(row["name"], row["dtype"]) for row in rows} == {
        (c.name, d) for c in CASES if "mlp" in c.name for d in ("float64", "float32")
    }
    for row in rows:
        assert (row["status"], row["family"], row["device"]) == ("ok", "basics", "cpu")
        assert row["tensors"] > 0
        assert 0 <= row["worst_ratio"] < 1  # 0 where both backends take the same sums
    assert max(row["worst_ratio"] for row in rows) > 0


def test_check_takes_one_dtype_and_several_seeds(capsys):
    _, out, _ = run(capsys, "check", "Linear", "--dtype", "float32", "--json")
    assert {row["dtype"] for row in json.loads(out)["cases"]} == {"float32"}
    one = json.loads(run(capsys, "check", "mlp-deep", "--json")[1])["cases"][0]
    three = json.loads(run(capsys, "check", "mlp-deep", "--seeds", "3", "--json")[1])["cases"][0]
    assert three["tensors"] == 3 * one["tensors"]
    assert three["worst_ratio"] >= one["worst_ratio"]


def test_check_prints_a_table_and_a_summary(capsys):
    status, out, _ = run(capsys, "check", "cnn")
    assert status == 0
    assert "cnn-deep-eval" in out
    assert "10 cases verified in 20 comparisons of 260 tensors" in out


def test_a_mismatch_is_explained_and_is_status_1(capsys, monkeypatch):
    right = scratch.layers.linear.linear

    def wrong(x, weight, bias=None):
        y, backward = right(x, weight, bias)
        return y, lambda dy, needs: (lambda dx, dw, db: (dx, dw, None if db is None else db / len(x)))(*backward(dy, needs))

    monkeypatch.setattr(scratch.layers.linear, "linear", wrong)
    status, out, _ = run(capsys, "check", "mlp-linear")
    assert status == 1
    assert "culprit   layers.0 (Linear), backward: error" in out
    assert "cause     grad bias needs the factor 13 = x.shape[0]" in out
    assert "look at   scratch/ops/linear.py, linear" in out
    assert "grad layers.0.bias is off by" in out
    assert "4 of 4 comparisons failed: 4 mismatch" in out
    status, out, _ = run(capsys, "check", "mlp-linear", "--json")
    assert status == 1
    assert {row["status"] for row in json.loads(out)["cases"]} == {"mismatch"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "lstn"], "parity: no case is called anything like 'lstn'"),
        (["check", "cn-deep"], "did you mean cnn-deep"),
        (["list", "nothing-of-the-kind"], "`parity list` names all"),
        *(
            (["check", "--device", name], f"parity: device {name!r} cannot be used by PyTorch")
            for name in ("gpu", "meta", "cuda:99", "xla", "vulkan", "cuda:-1", "", "cpu cpu", "lazy", "privateuseone")
        ),
        (["check", "--weights", "/nowhere/at/all"], "parity: /nowhere/at/all: expected a model's directory"),
    ],
)
def test_usage_errors_are_one_line_and_status_2(capsys, arguments, message):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["check", "--seeds", "0"], ["check", "--dtype", "float16"], ["sheck"], []])
def test_argparse_errors_are_status_2(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def saved_model(directory, rng):
    save_model(directory, scratch.models.CNN(**CONFIG), CONFIG)
    save_arrays(directory / "samples.safetensors", {"x": rng.random((5, 1, 8, 8)).astype(np.float32)})
    return directory


def test_a_saved_model_is_verified_at_its_weights(capsys, tmp_path):
    directory = saved_model(tmp_path, np.random.default_rng(0))
    status, out, _ = run(capsys, "check", "cnn", "--weights", str(directory), "--json")
    assert status == 0
    rows = json.loads(out)["cases"]
    assert [(row["name"], row["dtype"], row["status"]) for row in rows] == [
        ("cnn-saved", "float64", "ok"),
        ("cnn-saved", "float32", "ok"),
    ]
    status, _, err = run(capsys, "check", "mlp", "--weights", str(directory))
    assert status == 2
    assert "holds a CNN, not 'mlp'" in err


def test_a_saved_model_without_samples_or_with_damaged_weights(capsys, tmp_path):
    directory = saved_model(tmp_path, np.random.default_rng(0))
    (directory / "samples.safetensors").unlink()
    status, _, err = run(capsys, "check", "--weights", str(directory))
    assert (status, len(err.splitlines())) == (2, 1)
    assert "samples.safetensors: there is no such file" in err
    saved_model(tmp_path, np.random.default_rng(0))
    (directory / "model.safetensors").write_bytes(b"garbage")
    status, _, err = run(capsys, "check", "--weights", str(directory))
    assert (status, len(err.splitlines())) == (2, 1)
    assert "expected a safetensors file" in err


def test_installed_command_runs_and_survives_a_closed_pipe():
    script = f"{sys.executable} -m parity list --json | head -n 1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr


def test_every_spelling_of_the_cpu_is_the_cpu(capsys):
    status, out, _ = run(capsys, "check", "flatten", "--device", "cpu:0", "--dtype", "float64", "--json")
    assert status == 0
    assert {row["device"] for row in json.loads(out)["cases"]} == {"cpu"}


def test_inputs_that_are_not_given_between_others_have_their_defaults(capsys, tmp_path):
    config = dict(vocab_size=9, embedding_size=4, hidden_size=5)
    save_model(tmp_path, scratch.models.NameGenerator(**config), config)
    save_arrays(tmp_path / "samples.safetensors", {"tokens": np.ones((3, 7), int), "lengths": np.array([7, 3, 2])})
    assert run(capsys, "check", "--weights", str(tmp_path))[0] == 0


def test_a_run_that_was_killed_is_told_from_no_model(capsys, tmp_path):
    (tmp_path / "checkpoint.safetensors").touch()
    status, _, err = run(capsys, "check", "--weights", str(tmp_path))
    assert (status, len(err.splitlines())) == (2, 1)
    assert f"it keeps a run that was killed, which has no config.json yet; go on with --resume {tmp_path}" in err
