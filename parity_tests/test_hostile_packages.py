"""`--scratch` under attack: whatever a package does, it gets a verdict, the others get theirs, and the output stays JSON."""

import json

import pytest

from parity.cases import CASES
from parity.own import check_own
from parity_tests.hostile_packages import HOSTILE, RELU, WAITING

JUDGED = [case for case in CASES if case.name in ("linear", "relu")]


def package(root, content):
    """Write a package with a hostile linear and a right relu."""
    (root / "ops").mkdir(parents=True)
    (root / "ops" / "__init__.py").write_text("from .linear import linear\nfrom .activation import relu\n")
    (root / "ops" / "activation.py").write_text(RELU)
    file = root / "ops" / "linear.py"
    if callable(content):
        content(file)
    else:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def judged(root, time_limit):
    """Return what the verdict on linear says, and whether relu is verified."""
    progress = check_own(root, JUDGED, ("float64",), (0,), time_limit=time_limit)
    printed = json.loads(progress.as_json({}))
    told = {}
    for case in printed["cases"]:
        texts = [case["message"], *(finding["message"] for finding in case["findings"])]
        told[case["name"]] = "ok" if case["verdict"] == "ok" else f"{case['verdict']}: {'; '.join(filter(None, texts))}"
        assert len(json.dumps(case)) < 500_000
        assert all(character.isprintable() or character in "\n\t" for character in case["printed"] + told[case["name"]])
    assert told["relu"] == "ok"
    return told["linear"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_op_is_told_and_the_other_verified(tmp_path, name):
    content, words = HOSTILE[name]
    told = judged(package(tmp_path / "mine", content), time_limit=0.5)
    assert any(word in told for word in ([words] if isinstance(words, str) else words)), told[:500]


@pytest.mark.parametrize("name", WAITING)
def test_what_waits_for_ever_is_ended_by_the_clock(tmp_path, name):
    content, word = WAITING[name]
    told = judged(package(tmp_path / "mine", content), time_limit=0.2)
    assert word in told, told[:500]
