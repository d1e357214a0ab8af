"""The verified sets of versions, their table, and the note of a report when a version is newer."""

import json
import subprocess
import tomllib

import pytest
import torch

import scratch.ops
from parity.__main__ import main
from parity.running.device import NEWEST_VERIFIED, newer_than_verified
from parity_tests import versions
from parity_tests.versions import Environment


def completed(status=0, out="", err=""):
    return subprocess.CompletedProcess([], status, out, err)


def test_every_python_has_pinned_and_newest_versions():
    project = tomllib.loads((versions.ROOT / "pyproject.toml").read_text())["project"]
    oldest, *others = versions.environments()
    assert project["requires-python"] == f">={oldest.python}"
    assert set(project["dependencies"]) < {pin.replace("==", ">=") for pin in oldest.pins}
    by_kind = {kind: [e for e in others if e.kind == kind] for kind in ("pinned", "newest")}
    assert [e.python for e in by_kind["pinned"]] == [e.python for e in by_kind["newest"]] >= ["3.11", "3.12", "3.13"]
    assert all(any(pin.startswith("torch==") for pin in e.pins) for e in by_kind["pinned"])
    assert not any(e.pins for e in by_kind["newest"])


def test_a_requirement_without_a_floor_is_refused():
    with pytest.raises(ValueError, match=r"expected a floor such as rich>=1\.0 for rich$"):
        versions.floors(["numpy>=1.26", "rich"])


def test_the_files_of_the_quick_round_exist():
    assert all((versions.ROOT / file).is_file() for file in versions.QUICK)


@pytest.fixture
def answers_of_programs(monkeypatch, tmp_path):
    """Replace the programs of an environment by answers: a dictionary from a module to its result."""
    answers = {
        "venv": completed(),
        "pip install": completed(),
        "pip list": completed(out=json.dumps([{"name": name, "version": "1.2"} for name in versions.SHOWN])),
        "parity": completed(out=json.dumps({"cases": [{"status": "ok"}, {"status": "ok"}]})),
        "pytest": completed(out="....\n==== 4 passed, 1 skipped in 3.21s ====\n"),
    }

    def run(self, program, *arguments):
        module, command = arguments[1:3]
        return answers[f"pip {command}" if module == "pip" else module]

    monkeypatch.setattr(Environment, "run", run)
    monkeypatch.setattr(versions, "CACHE", tmp_path / ".versions")
    monkeypatch.setattr(versions, "present", lambda python: python != "3.13")
    return answers


def rows(out):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines()]


def test_a_row_shows_versions_comparisons_and_tests(answers_of_programs, capsys):
    assert versions.main(["newest-3.12"]) == 0
    head, _, row = rows(capsys.readouterr().out)
    assert head == list(versions.HEADINGS)
    assert row == ["newest", "3.12", "1.2", "1.2", "1.2", "2 of 2 ok", "4 passed, 1 skipped"]


def test_a_missing_interpreter_is_a_row_but_no_failure(answers_of_programs, capsys):
    assert versions.main(["pinned-3.13"]) == 0
    assert "python3.13 is not on the path" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("what", "answer", "shown"),
    [
        ("pip install", completed(1, err="WARNING: slow\nERROR: no torch==2.7\nERROR: again\n"), "no torch==2.7"),
        ("venv", completed(1, err="no space left\n"), "no space left"),
        ("parity", completed(1, out=json.dumps({"cases": [{"status": "ok"}, {"status": "mismatch"}]})), "1 of 2 ok"),
        ("parity", completed(1, err="Traceback\nImportError: no scipy\n"), "ImportError: no scipy"),
        ("pytest", completed(1, out="F...\n1 failed, 3 passed in 2.00s\n"), "1 failed, 3 passed"),
        ("pytest", completed(3), "status 3"),
    ],
)
def test_a_failure_is_a_row_with_its_reason(answers_of_programs, capsys, what, answer, shown):
    answers_of_programs[what] = answer
    assert versions.main(["oldest"]) == 1
    assert shown in rows(capsys.readouterr().out)[2]


def test_an_unknown_set_of_versions_is_refused(capsys):
    assert versions.main(["newer"]) == 2
    assert "no set of versions has 'newer' in its name; expected a part of one of oldest-3.11, " in capsys.readouterr().err


def test_the_newest_verified_versions_agree_with_the_table():
    table = [row for row in rows((versions.ROOT / "docs" / "versions.md").read_text()) if len(row) == len(versions.HEADINGS)]
    newest = [dict(zip(table[0], row, strict=True)) for row in table if row[0] == "newest"]
    assert newest
    for name, verified in NEWEST_VERIFIED.items():
        assert verified in {".".join(row[name].split(".")[:2]) for row in newest}


@pytest.mark.parametrize(("version", "said"), [("2.6.0+cu124", False), ("2.15.9", False), ("2.99.0.dev1", True), ("3.0", True)])
def test_only_newer_versions_are_mentioned(monkeypatch, version, said):
    monkeypatch.setattr(torch, "__version__", version)
    assert bool(newer_than_verified()) == said


def test_a_mismatch_with_a_newer_torch_mentions_it(monkeypatch, capsys):
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    assert main(["check", "box_area"]) == 0
    assert "newer" not in capsys.readouterr().out
    monkeypatch.setattr(scratch.ops, "box_area", lambda boxes: (boxes[..., 0], lambda dy: boxes))
    assert main(["check", "box_area"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("torch 2.99.0 is newer than ")
