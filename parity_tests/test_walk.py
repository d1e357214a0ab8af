"""docs/your-own-implementation.md is true: its code is written into a package of stubs, step by step, and judged."""

import re
from pathlib import Path

from parity.__main__ import main

PAGE = Path(__file__).parents[1] / "docs" / "your-own-implementation.md"


def test_the_page_prints_what_the_commands_print(tmp_path, monkeypatch, capsys):
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
    """The lines without what depends on how torch rounds on this machine."""
    return [re.sub(r"\d[.\d]*e[+-]\d+", "#", line) for line in lines]


def replaced(text, diff):
    """The text with the lines marked - replaced by those marked +."""
    old, new = ("".join(line[1:] + "\n" for line in diff.splitlines() if line[0] == sign) for sign in "-+")
    assert old in text
    return text.replace(old, new)
