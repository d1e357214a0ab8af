"""Pages of the documentation whose code is run: their blocks of output are compared with what the code prints.

python -m parity_tests.pages      # write the outputs of these pages anew, and review what changed
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
    """Someone who does what a page says."""

    def follow(self, kind: str, block: str) -> None:
        """Take in a block of Python, of changes, or the name of the file that the next blocks belong to."""

    def output(self) -> str:
        """Return what is printed after the blocks so far."""


class LessonReader:
    """A reader of the lesson, whose file has an op in one block and its judgement in the next."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.names: dict[str, object] = {"__name__": "__main__"}
        self.printed = ""

    def follow(self, kind: str, block: str) -> None:
        """Run Python; run the latest op with a mistake in it, and its judgement, without keeping either."""
        if kind == "python":
            self.written.append(block)
            self.printed = printed_by(block, self.names)
        else:
            op, judgement = self.written[-2:]
            self.printed = printed_by(replaced(op, block) + judgement, dict(self.names))

    def output(self) -> str:
        """Return what the latest block has printed."""
        return self.printed


class WalkReader:
    """A reader who writes an implementation into a package of stubs, `mine`, in the working directory."""

    def __init__(self) -> None:
        self.file = Path()
        with contextlib.redirect_stdout(io.StringIO()):
            assert parity(["new", "mine"]) == 0

    def follow(self, kind: str, block: str) -> None:
        """Open a file, write it, or change it."""
        if kind == "file":
            self.file = Path(block)
        else:
            self.file.write_text(block if kind == "python" else replaced(self.file.read_text(), block))

    def output(self) -> str:
        """Return what the check of the package prints."""
        with contextlib.redirect_stdout(io.StringIO()) as out:
            parity(["check", "conv2d", "--scratch", "mine"])
        return out.getvalue()


def printed_by(code: str, names: dict[str, object]) -> str:
    """Return what code of `lesson.py` prints, with the last lines of the traceback where a judgement fails."""
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
    """Return the text without the numbers that depend on how this machine rounds, and without spaces at line ends."""
    return re.sub(r"\d[.\d]*e[+-]\d+", "#", re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))


def with_outputs(page: str, reader: Reader) -> str:
    """Return the page with the outputs that its reader sees; an output that is right but for rounding stays."""

    def filled(block: re.Match[str]) -> str:
        kind, text, file = block.groups()
        if kind != "text":
            reader.follow(kind or "file", text or file)
            return block[0]
        seen = reader.output()
        return block[0] if rounded(seen) == rounded(text) else f"```text\n{seen}```"

    return BLOCK.sub(filled, page)


def main() -> None:
    """Write the outputs of all pages anew."""
    LESSON.write_text(with_outputs(LESSON.read_text(), LessonReader()))
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory), patch.dict(os.environ, COLUMNS="200"):
        WALK.write_text(with_outputs(WALK.read_text(), WalkReader()))


if __name__ == "__main__":
    main()
