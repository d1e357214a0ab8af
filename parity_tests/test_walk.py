"""Run docs/your-own-implementation.md: write its code into a package step by step, and compare its output."""

import re
from pathlib import Path

from parity.__main__ import main

PAGE = Path(__file__).parents[1] / "docs" / "your-own-implementation.md"


def test_the_page_shows_the_commands_real_output(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["new", "mine"]) == 0
    capsys.readouterr()
    file = Path("mine/ops/conv.py")
    steps = re.findall(r"^```(python|diff|text)\n(.*?)^```|^A layer holds", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for kind, block in steps:
        if kind == "python":
            file.write_text(block)
        elif kind == "diff":
            file.write_text(replaced(file.read_text(), block))
        elif kind == "text":
            main(["check", "conv2d", "--scratch", "mine"])
            printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
            assert rounded(printed) == rounded(block.splitlines())
        else:
            file = Path("mine/layers/conv.py")
    assert len(steps) > 20


def rounded(lines):
    """Replace numbers that depend on the rounding of torch on this machine."""
    return [re.sub(r"\d[.\d]*e[+-]\d+", "#", line) for line in lines]


def replaced(text, diff):
    """Replace the lines marked - by the lines marked +."""
    old, new = ("".join(line[1:] + "\n" for line in diff.splitlines() if line[0] == sign) for sign in "-+")
    assert old in text
    return text.replace(old, new)
