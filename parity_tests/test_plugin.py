"""The pytest plugin as a guest in other people's projects, each written into a directory of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from parity import ParityError

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
WRONG = """
import numpy as np
import torch
from parity import assert_parity

X, W, B = (np.random.default_rng(0).normal(size=shape) for shape in ((5, 7), (3, 7), 3))


def my_linear(x, weight, bias):
    def backward(dy):
        return dy @ weight, dy.T @ x / 5, dy.sum(axis=0)

    return x @ weight.T + bias, backward


def test_wrong():
    assert_parity(my_linear, torch.nn.functional.linear, inputs=dict(x=X, weight=W, bias=B))
"""
THEIR_OPTIONS = """
def pytest_addoption(parser):
    parser.addoption("--device", default="tpu")
    parser.addoption("--scratch", default="disk")
    parser.addoption("--seeds", default="many")
"""
THEIR_TEST = """
import pytest

@pytest.fixture
def judge():
    return "a person"

@pytest.fixture(params=["left", "right"])
def leg(request):
    return request.param

def test_theirs(request, leg, judge):
    assert [request.config.getoption(name) for name in ("--device", "--scratch", "--seeds")] == ["tpu", "disk", "many"]
    assert leg in ("left", "right")
    assert judge == "a person"
"""
NOTHING_HEAVY = """
import sys

def test_nothing_heavy_is_imported():
    assert not {"numpy", "torch", "scipy", "parity.assertion", "scratch", "reference"} & sys.modules.keys()
"""


@pytest.fixture
def project(tmp_path):
    """Return a function that writes files into a project of its own."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path = path.with_name(path.name + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def pytest_in(directory, *arguments, expected=0, **environment):
    """Run `python -m pytest` in a directory and return what it prints."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=directory, env=own | {"PYTHONPATH": str(ROOT)} | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout + done.stderr


# --- their names ---


def test_a_project_may_have_options_and_fixtures_of_the_same_names(project):
    directory = project(conftest=THEIR_OPTIONS, test_theirs=THEIR_TEST)
    assert "2 passed" in pytest_in(directory)


def test_a_plugin_may_have_options_of_the_same_names(project):
    directory = project(their_plugin=THEIR_OPTIONS, test_theirs=THEIR_TEST)
    assert "2 passed" in pytest_in(directory, "-p", "their_plugin")


@pytest.mark.parametrize("arguments", [["--device", "cpu"], ["--scratch", "mine"]], ids="=".join)
def test_the_old_names_are_unknown_in_other_projects(project, arguments):
    said = pytest_in(project(test_nothing=NOTHING_HEAVY), *arguments, expected=pytest.ExitCode.USAGE_ERROR)
    assert "unrecognized arguments" in said


def test_the_old_names_are_kept_in_this_project():
    said = pytest_in(ROOT, "--scratch", "/nowhere", "parity_tests/test_twins.py", expected=pytest.ExitCode.USAGE_ERROR)
    assert "ERROR: /nowhere: there is no such directory" in said
    assert "--device=NAME         the old name of --parity-device" in pytest_in(ROOT, "--help", COLUMNS="100")


def test_the_old_names_give_way_in_this_project_too(project):
    path = os.pathsep.join(map(str, (ROOT, project(their_plugin=THEIR_OPTIONS))))
    said = pytest_in(ROOT, "-p", "their_plugin", "--help", PYTHONPATH=path)
    assert "--parity-device=NAME" in said
    assert "the old name" not in said


# --- their settings ---


def test_nothing_heavy_is_imported_at_the_start(project):
    pytest_in(project(test_light=NOTHING_HEAVY))


@pytest.mark.parametrize(
    "arguments",
    [["-W", "error"], ["--strict-markers", "--strict-config"], ["-p", "no:parity"], ["-p", "no:xdist"], ["-n", "2"]],
    ids=" ".join,
)
def test_a_project_that_does_not_use_parity_sees_nothing_of_it(project, arguments):
    directory = project(test_light=NOTHING_HEAVY)
    (directory / "pytest.ini").write_text("[pytest]\naddopts = -ra --strict-markers\nfilterwarnings = error\n")
    said = pytest_in(directory, *arguments)
    assert "1 passed" in said
    assert not [line for line in said.splitlines() if "parity" in line and not line.startswith(("rootdir", "plugins"))]


def test_a_project_whose_own_folder_is_called_parity_can_leave_the_plugin_out(project):
    directory = project(
        parity____init__="", test_theirs="import parity\n\ndef test_theirs():\n    assert not hasattr(parity, 'plugin')\n"
    )
    assert "1 passed" in pytest_in(directory, "-p", "no:parity")


# --- what a failed test says ---

FIRST_LINE = f"parity.{ParityError.__name__}: my_linear differs from torch's linear: grad weight needs the factor 5"


def lines_of(pytester, monkeypatch, text, *arguments):
    """Run pytest on one file and return the lines that it prints.

    It runs in a process of its own: pytester forgets the modules that a run imports, and torch has some that cannot be
    imported twice.
    """
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(test_mine=text)
    return pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", *arguments).outlines


def test_a_failed_test_shows_itself_and_says_first_what_is_wrong(pytester, monkeypatch):
    lines = lines_of(pytester, monkeypatch, WRONG)
    shown = [line for line in lines if line.startswith(("E", ">"))]
    assert shown[0].startswith(">       assert_parity(my_linear")
    assert shown[1].startswith(f"E       {FIRST_LINE}")
    assert shown[1].endswith("(float64)")
    assert shown[3].startswith("E         culprit   my_linear, backward: error")
    assert [line for line in lines if line.endswith(": ParityError")] == ["test_mine.py:16: ParityError"]
    assert any(line.startswith(f"FAILED test_mine.py::test_wrong - {FIRST_LINE}") for line in lines)
    assert "assertion.py" not in "\n".join(lines)


@pytest.mark.parametrize("style", ["short", "line"])
def test_every_style_of_traceback_shows_the_line_of_the_test(pytester, monkeypatch, style):
    said = "\n".join(lines_of(pytester, monkeypatch, WRONG, f"--tb={style}", "-rN"))
    assert "test_mine.py:16" in said
    assert FIRST_LINE in said
    assert "assertion.py" not in said


def test_a_wrong_call_shows_the_line_of_the_test_too(pytester, monkeypatch):
    call = "stateful(my_linear, {'W': 'weight'})"
    text = WRONG.replace("assert_parity(my_linear", f"assert_parity({call}") + "\nfrom parity.adapters import stateful\n"
    lines = lines_of(pytester, monkeypatch, text)
    assert [line for line in lines if line.endswith("Error")] == ["test_mine.py:16: ValueError"]
    assert "adapters.py" not in "\n".join(lines)


# --- cases in a project of one's own ---

OWN_CASES = """
from operator import attrgetter
import pytest
from parity.cases import matching

@pytest.mark.parametrize("case", matching("leaky_relu"), ids=attrgetter("name"))
def test_twins_agree(case, parity_leg, parity_judge):
    parity_judge(case, parity_leg)
"""


def test_a_project_may_judge_its_package_by_our_cases(project):
    wrong = "import numpy as np\ndef leaky_relu(x, negative_slope=0.01):\n    return x, lambda dy: dy\n"
    directory = project(test_own=OWN_CASES, mine__ops=wrong)
    said = pytest_in(directory, "-q", "--parity-scratch", "mine", expected=1, COLUMNS="200")
    assert "parity.ParityError: leaky_relu differs from torch.nn.functional.leaky_relu: " in said
    assert "mine: 0 of 1 verified; next: fix leaky_relu" in said
