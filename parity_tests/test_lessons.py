"""docs/a-backward-by-hand.md is true: its code runs, and prints what the page shows."""

import re

import pytest

from parity_tests.pages import BLOCK, LESSON, LessonReader, with_outputs

PAGE = LESSON.read_text()
OPS = ["linear", "relu", "softmax", "cross_entropy", "attention"]


def test_the_lesson_prints_what_its_code_prints():
    assert with_outputs(PAGE, LessonReader()) == PAGE


@pytest.mark.parametrize("op", OPS)
def test_each_op_is_judged_right_and_with_a_mistake(op):
    outputs = [text for kind, text, _ in BLOCK.findall(PAGE) if kind == "text"]
    assert f"{op} agrees with torch\n" in outputs
    mistaken = [text for text in outputs if text.startswith(f"parity.ParityError: {op} differs from torch's ")]
    assert re.search(r"\n  culprit   .*\n  cause     ", mistaken[0])


@pytest.mark.parametrize(
    ("shown", "other"),
    [
        ("```text\nrelu agrees with torch", "```text\nrelu agrees"),
        ("(x >= 0)", "(x < 0)"),
        ("dx = dy @ weight  #", "dx = 2 * dy @ weight  #"),
    ],
)
def test_a_page_that_is_not_true_is_noticed(shown, other):
    assert shown in PAGE
    changed = PAGE.replace(shown, other)
    assert with_outputs(changed, LessonReader()) != changed
