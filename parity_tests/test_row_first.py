"""A row that is written before its twins: every command shows them as missing, and none ends in a traceback."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TABLE = """
from parity.case import ParityCase


def _row(name, path, reference="torch.relu"):
    return ParityCase(name=name, scratch=path, reference=reference, inputs=lambda draw: {"x": draw.normal(5, 7)})


CASES = [
    _row("row-absent", "ops.zzyzx"),
    _row("row-no-twin", "layers.Zzyzx", "layers.Zzyzx"),
    _row("row-stub", "ops.row_stub"),
    _row("row-reference-stub", "layers.RowReferenceStub", "layers.RowReferenceStub"),
    _row("row-forward", "ops.row_forward"),
    _row("row-wrong", "ops.row_wrong"),
    _row("row-written", "ops.row_written"),
]
"""
OPS = """
import numpy as np


def row_stub(x):
    raise NotImplementedError


def row_forward(x):
    return np.maximum(x, 0), None


def row_wrong(x):
    return np.maximum(x, 1), None


def row_written(x):
    return np.maximum(x, 0), lambda dy: dy * (x > 0)
"""
LAYER = """

class RowReferenceStub(Module):
    def forward(self, x):
        raise NotImplementedError("RowReferenceStub is not written")
"""
PYTEST = """
from operator import attrgetter
import pytest
from parity.cases import matching

@pytest.mark.parametrize("case", matching("row-"), ids=attrgetter("name"))
def test_twins_agree(case, parity_leg, parity_judge):
    parity_judge(case, parity_leg)
"""
DRIVER = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
import parity.own_package.check
from parity.__main__ import main

def one_save(directory):
    yield {directory / "ops" / "__init__.py"}
    raise KeyboardInterrupt

parity.own_package.check.saves = one_save
found = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(words)
    found.append([status, out.getvalue(), err.getvalue()])
print(json.dumps(found))
"""
NO_REFERENCE = "reference.layers has no 'Zzyzx', expected by the path 'layers.Zzyzx'"
MESSAGES = {
    "row-absent": ["scratch.ops has no zzyzx"],
    "row-no-twin": ["scratch.layers has no Zzyzx", NO_REFERENCE],
    "row-stub": ["it raises NotImplementedError"],
    "row-reference-stub": ["the reference is not written: RowReferenceStub is not written"],
    "row-forward": ["the backward is None"],
}
OWN_MESSAGES = MESSAGES | {
    "row-absent": ["mine.ops has no zzyzx"],
    "row-no-twin": ["mine has no layers", NO_REFERENCE],
    "row-reference-stub": ["mine has no layers"],
}
COMMANDS = {
    "list": ["list", "row-"],
    "list as JSON": ["list", "row-", "--json"],
    "check": ["check", "row-"],
    "check as JSON": ["check", "row-", "--json"],
    "check what is written": ["check", "row-written"],
    "calibrate": ["calibrate", "row-no-twin", "--seeds", "1"],
    "own": ["check", "row-", "--scratch", "mine"],
    "own as JSON": ["check", "row-", "--scratch", "mine", "--json"],
    "own, nothing written": ["check", "row-absent", "--scratch", "mine"],
    "watch": ["check", "row-", "--scratch", "mine", "--watch"],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a copy of the project with rows whose twins are absent, stubs, half written, wrong and written."""
    root = tmp_path_factory.mktemp("row_first")
    for package in ("parity", "scratch", "reference"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in {
        "parity/cases/rows_first.py": TABLE,
        "scratch/ops/__init__.py": OPS,
        "scratch/layers/__init__.py": f"\nfrom scratch.module import Module\n{LAYER}",
        "reference/layers/__init__.py": f"\nfrom torch.nn import Module\n{LAYER}",
        "mine/ops/__init__.py": OPS,
        "test_rows.py": PYTEST,
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        with (root / path).open("a") as file:
            file.write(text)
    return root


def python_in(project, *words):
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment = own | {"PYTHONPATH": str(project), "COLUMNS": "200"}
    return subprocess.run([sys.executable, *words], cwd=project, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def ran(project):
    """Return the status, the output and the errors of each command; one process in the project runs them all."""
    done = python_in(project, "-c", DRIVER, json.dumps(list(COMMANDS.values())))
    assert done.returncode == 0, done.stderr
    return dict(zip(COMMANDS, json.loads(done.stdout), strict=True))


def test_list_names_what_is_missing(ran):
    status, out, err = ran["list"]
    assert (status, err) == (0, "")
    assert "missing: scratch.ops has no zzyzx" in out
    rows = {row["name"]: row for row in json.loads(ran["list as JSON"][1])["cases"]}
    assert rows["row-no-twin"]["missing"] == MESSAGES["row-no-twin"]
    assert rows["row-written"]["missing"] == []


def test_check_shows_missing_twins_and_fails(ran):
    status, out, err = ran["check"]
    assert (status, err) == (1, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for name, messages in MESSAGES.items():
        assert f"{name} float64 cpu seed 0 missing" in lines
        assert f"missing {messages[0]}" in lines
        assert any(line.startswith(f"{name} ") and line.endswith(" missing missing") for line in lines), name
    assert "16 of 54 comparisons failed: 2 mismatch, 14 missing" in out
    assert ran["check what is written"][0] == 0


def test_json_has_the_status_of_every_row(ran):
    status, out, _ = ran["check as JSON"]
    assert status == 1
    for row in json.loads(out)["cases"]:
        name = row["name"].removesuffix("-eval")
        assert row["status"] == ("missing" if name in MESSAGES else "mismatch" if name == "row-wrong" else "ok"), name
        if name in MESSAGES:
            assert [finding["message"] for finding in row["findings"]] == MESSAGES[name]


def test_calibrate_counts_a_missing_twin_as_an_alarm(ran):
    status, out, err = ran["calibrate"]
    assert (status, err) == (1, "")
    assert "row-no-twin float64 seed 0: missing scratch.layers has no Zzyzx" in out


def test_an_own_package_may_lack_anything(ran):
    assert ran["own, nothing written"][0] == 0
    status, out, err = ran["own"]
    assert (status, err) == (1, "")  # one op is wrong
    assert "zzyzx, Zzyzx, row_stub, RowReferenceStub, row_forward backward" in " ".join(out.split())
    assert "1 of 23 verified; next: fix row_wrong" in out
    printed = json.loads(ran["own as JSON"][1])
    assert printed["progress"]["wrong"] == ["ops.row_wrong"]
    assert printed["progress"]["verified"] == ["ops.row_written"]
    for row in printed["cases"]:
        if row["name"] in OWN_MESSAGES:
            assert (row["status"], [finding["message"] for finding in row["findings"]]) == ("missing", OWN_MESSAGES[row["name"]])


def test_watch_checks_rows_without_twins_again(ran):
    status, out, err = ran["watch"]
    assert (status, err) == (1, "")
    assert out.count("1 of 23 verified; next: fix row_wrong") == 2
    assert "__init__.py saved; checked again in" in out


def test_pytest_says_what_is_missing(project):
    done = python_in(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_rows.py")
    assert done.returncode == 1
    for name, messages in MESSAGES.items():
        assert f"{name} is not complete: {'; '.join(messages)}" in done.stdout
    assert "16 of 54 comparisons failed: 2 mismatch, 14 missing\n" in done.stdout
