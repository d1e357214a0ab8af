"""Run the code of pages in the documentation, and compare their blocks of output with what it prints.

python -m parity_tests.pages      # write the outputs into these pages again; review the changes
"""

import contextlib
import io
import os
import re
import tempfile
import traceback
from pathlib import Path
from typing import Protocol
from unittest.mock import patch

from parity import ParityError
from parity.__main__ import main as parity

DOCS = Path(__file__).parents[1] / "docs"
LESSON, WALK = DOCS / "a-backward-by-hand.md", DOCS / "your-own-implementation.md"
BLOCK = re.compile(r"^```(python|diff|text)\n(.*?)^```$|`(mine/\S+\.py)`", re.MULTILINE | re.DOTALL)


class Reader(Protocol):
    """A reader who follows the steps of a page."""

    def follow(self, kind: str, block: str) -> None:
        """Process a block of Python or of changes, or the name of the file of the next blocks."""

    def output(self) -> str:
        """Return the output after the blocks so far."""


class LessonReader:
    """A reader of the lesson: one block of its file has an op, the next block judges it."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.names: dict[str, object] = {"__name__": "__main__"}
        self.printed = ""

    def follow(self, kind: str, block: str) -> None:
        """Run Python, or run the latest op with a mistake and its judgement, without keeping them."""
        if kind == "python":
            self.written.append(block)
            self.printed = printed_by(block, self.names)
        else:
            op, judgement = self.written[-2:]
            self.printed = printed_by(replaced(op, block) + judgement, dict(self.names))

    def output(self) -> str:
        """Return the output of the latest block."""
        return self.printed


class WalkReader:
    """A reader who writes an implementation into a package of stubs, `mine`, in the working directory."""

    def __init__(self) -> None:
        self.file = Path()
        with contextlib.redirect_stdout(io.StringIO()):
            assert parity(["new", "mine"]) == 0

    def follow(self, kind: str, block: str) -> None:
        """Choose a file, write it, or change it."""
        if kind == "file":
            self.file = Path(block)
        else:
            self.file.write_text(block if kind == "python" else replaced(self.file.read_text(), block))

    def output(self) -> str:
        """Return the output of a check of the package."""
        with contextlib.redirect_stdout(io.StringIO()) as out:
            parity(["check", "conv2d", "--scratch", "mine"])
        return out.getvalue()


def printed_by(code: str, names: dict[str, object]) -> str:
    """Run code as `lesson.py` and return its output; if a judgement fails, add the error message."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            exec(compile(code, "lesson.py", "exec"), names)
        except ParityError as error:
            print("".join(traceback.format_exception_only(error)), end="")
    return out.getvalue()


def replaced(text: str, diff: str) -> str:
    """Return the text with the lines marked - replaced by those marked +."""
    old, new = ("".join(line[1:] + "\n" for line in diff.splitlines() if line[0] == sign) for sign in "-+")
    assert old in text, f"there are no such lines:\n{old}"
    return text.replace(old, new)


def rounded(text: str) -> str:
    """Return the text without numbers that depend on this machine's rounding, and without spaces at line ends."""
    return re.sub(r"\d[.\d]*e[+-]\d+", "#", re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))


def with_outputs(page: str, reader: Reader) -> str:
    """Return the page with the reader's outputs; an output that differs only by rounding stays."""

    def filled(block: re.Match[str]) -> str:
        kind, text, file = block.groups()
        if kind != "text":
            reader.follow(kind or "file", text or file)
            return block[0]
        seen = reader.output()
        return block[0] if rounded(seen) == rounded(text) else f"```text\n{seen}```"

    return BLOCK.sub(filled, page)


def main() -> None:
    """Write the current outputs into all pages."""
    LESSON.write_text(with_outputs(LESSON.read_text(), LessonReader()))
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory), patch.dict(os.environ, COLUMNS="200"):
        WALK.write_text(with_outputs(WALK.read_text(), WalkReader()))


if __name__ == "__main__":
    main()
