"""Every command and example with a standard stream that is full, closed, or a pipe without a reader."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "list": ["list"],
    "list as JSON": ["list", "--json"],
    "check": ["check", "flatten"],
    "check as JSON": ["check", "flatten", "--json"],
    "check of a package": ["check", "flatten", "--scratch", "scratch"],
    "calibrate": ["calibrate", "flatten", "--seeds", "1"],
    "help": ["check", "--help"],
    "new": ["new", "{}"],
}
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py") if "exit_status(main)" in path.read_text())
WITHOUT_TRAINING = {"mnist_cnn": ["--epochs", "1", "--backend", "torch", "--batch", "500"]}


def outcomes(runs):
    """Return the exit status and the standard error of each run."""
    command = [sys.executable, "-m", "parity_tests.outputs", json.dumps(runs)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout)


def runs_of_commands(tmp_path, kind):
    return [["parity", [word.format(tmp_path / kind / name) for word in words], kind] for name, words in COMMANDS.items()]


@pytest.mark.parametrize(
    ("kind", "status", "lines", "said"),
    [("full", 1, 1, "what is printed cannot be written"), ("closed", 2, 1, "standard output is closed"), ("unread", 1, 0, "")],
)
def test_a_command_that_cannot_print_ends_with_one_line(kind, status, lines, said, tmp_path):
    (tmp_path / kind).mkdir()
    for (_, words, _), (found, err) in zip(runs := runs_of_commands(tmp_path, kind), outcomes(runs), strict=True):
        assert (found, len(err.splitlines()), said in err) == (status, lines, True), (words, err)


@pytest.mark.parametrize("kind", ["no stdin", "no stderr"])
def test_a_command_needs_neither_stdin_nor_stderr(kind):
    runs = [["parity", words, kind] for words in (["list"], ["check", "flatten"], ["check", "nothing-of-the-kind"])]
    assert [status for status, _ in outcomes(runs)] == [0, 0, 2]


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [("full", 1, "what is printed cannot be written"), ("closed", 2, "standard output is closed")],
)
def test_an_example_that_cannot_print_ends_with_one_line(kind, status, said):
    assert len(EXAMPLES) >= 11
    runs = [[name, ["--help"], kind] for name in EXAMPLES]
    runs += [[name, WITHOUT_TRAINING.get(name, ["--steps", "0"]), kind] for name in ("mnist_cnn", "name_generation", "sentiment")]
    for (name, _, _), (found, err) in zip(runs, outcomes(runs), strict=True):
        assert (found, len(err.splitlines()), said in err) == (status, 1, True), (name, err)


def test_an_example_whose_output_nobody_reads_ends_silently():
    assert outcomes([["name_generation", ["--steps", "0"], "unread"]]) == [[1, ""]]
