"""docs/your-own-implementation.md is true: its code is written into a package of stubs, step by step, and judged."""

import re
from pathlib import Path

from parity.__main__ import main

# the file that each part of the page writes, and the pattern of the cases that it checks
PLACES = [("mine/ops/conv.py", "conv2d"), ("mine/layers/conv.py", "conv2d"), ("mine/optim/sgd.py", "optimisers sgd")]
PAGE = Path(__file__).parents[1] / "docs" / "your-own-implementation.md"


def test_the_page_prints_what_the_commands_print(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["new", "mine"]) == 0
    capsys.readouterr()
    places = iter(PLACES)
    file, pattern = next(places)
    steps = re.findall(r"^```(python|diff|text)\n(.*?)^```|^## The (?:layer|optimiser)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for kind, block in steps:
        if kind == "python":
            Path(file).write_text(block)
        elif kind == "diff":
            Path(file).write_text(replaced(Path(file).read_text(), block))
        elif kind == "text":
            main(["check", pattern, "--scratch", "mine"])
            printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
            assert rounded(printed) == rounded(block.splitlines())
        else:
            file, pattern = next(places)
    assert len(steps) > 20


def rounded(lines):
    """The lines without what depends on how torch rounds on this machine."""
    return [re.sub(r"\d[.\d]*e[+-]\d+", "#", line) for line in lines]


def replaced(text, diff):
    """The text with the lines marked - replaced by those marked +."""
    old, new = ("".join(line[1:] + "\n" for line in diff.splitlines() if line[0] == sign) for sign in "-+")
    assert old in text
    return text.replace(old, new)
