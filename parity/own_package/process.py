"""A started process that judges, seen from outside: asked for verdicts, watched, ended."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from parity.judging.verdict import Verdict
from parity.own_package.channel import Channel
from parity.own_package.confinement import CUT_OFF, TIMERS, WAITING
from parity.own_package.server import serve
from parity.running.safe_text import printable

LOOK = 0.05  # seconds between two looks at a process that does not answer
GRACE = 1.0  # seconds that a process may take to end
START = 120.0  # seconds that a process may take to start, which imports PyTorch where it is not forked
MOST_PRINTED = 10_000  # bytes of what a comparison prints that are kept
MOST_ON_DISK = 2**20  # bytes of it that may lie on the disk between two looks

# by PyTorch's first backward, which takes most of a second; and by the first explanation of a wrong result
IMPORTED_LATE = ("torch.fx.experimental.symbolic_shapes", "parity.mistakes.functions")

_context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")  # a fork has torch imported already


@dataclass
class Answer:
    """A verdict, and what became of the process."""

    verdict: Verdict
    printed: str
    busy: bool  # a thread of the package goes on computing


class EndedError(Exception):
    """The process has ended, or had to be ended, before it answered."""

    def __init__(self, what: str, timed_out: bool, importing: str, place: tuple[Path, int] | None, printed: str):
        super().__init__(what)
        self.what = what  # what happened, as a sentence without its subject
        self.timed_out = timed_out
        self.importing = importing  # the file of the package that was being imported; "" where none was
        self.place = place  # the file of the package and the line that it was in
        self.printed = printed


class JudgingProcess:
    """A process that judges cases on a package, in a session of its own; it is asked for one verdict at a time."""

    def __init__(self, directory: Path, time_limit: float, refused: dict[str, str]):
        self.root, self.time_limit = directory.resolve(), time_limit
        self._files = tempfile.TemporaryDirectory(prefix="parity-", ignore_cleanup_errors=True)
        printed, last_words = (Path(self._files.name) / name for name in ("printed", "last_words"))
        self._printed, self._last_words = (open(path, "w+b", buffering=0) for path in (printed, last_words))  # noqa: SIM115
        ours, theirs = socket.socketpair()
        token = secrets.token_bytes(16)
        self._channel = Channel(ours, token)
        arguments = theirs, token, directory, time_limit, printed, last_words, refused
        self._process = _context.Process(target=serve, args=arguments, daemon=True)
        for name in IMPORTED_LATE:  # here, once, rather than in every fork
            with warnings.catch_warnings(), suppress(ImportError):
                importlib.import_module(name)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
            self._process.start()
        theirs.close()
        try:
            self._channel.receive(START)
        except (EOFError, TimeoutError, ValueError):
            self.end()
            raise ValueError(f"{directory}: the process that is to judge it does not start") from None

    def ask(self, name: str, dtype: str, seed: int, why: bool) -> Answer:
        """Return the answer for a case; EndedError where there is none."""
        importing: list[str] = []
        deadline = time.monotonic() + WAITING * self.time_limit + GRACE
        try:
            self._channel.send((name, dtype, seed, why))
            while time.monotonic() < deadline:
                match self._next_message():
                    case {"importing": str(file)}:
                        importing.append(file)
                    case {"imported": str(file)}:
                        importing.remove(file)
                    case {"verdict": dict(verdict), "busy": bool(busy)}:
                        return Answer(Verdict.from_json(verdict), self._take_printed(), busy)
        except (EOFError, OSError):
            raise self._ended(importing, late=False) from None
        except (ValueError, TypeError, KeyError):  # it is not what the server sends
            raise EndedError("disturbed the connection to the harness", False, "", None, self._take_printed()) from None
        raise self._ended(importing, late=True)

    def end(self) -> None:
        """End the process and those that it has started."""
        with suppress(AttributeError, ProcessLookupError, PermissionError):  # no groups on Windows, or nobody is left in it
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self._channel.close()
        self._printed.close()
        self._last_words.close()
        self._files.cleanup()

    def _next_message(self) -> Any:
        """Return the next message, or None after a while; EOFError where the process has ended."""
        try:
            return self._channel.receive(LOOK)
        except TimeoutError:
            if self._process.exitcode is not None:
                raise EOFError from None
            _shorten(self._printed)
            return None

    def _take_printed(self) -> str:
        """Return the beginning of what has been printed since the last time."""
        self._printed.seek(0)
        text = self._printed.read(MOST_PRINTED).decode("utf-8", "backslashreplace")
        self._printed.truncate(0)
        return printable(text, MOST_PRINTED, keep="\n\t")

    def _ended(self, importing: list[str], late: bool) -> EndedError:
        """Return how the process ended, and where; it is not running any more afterwards."""
        patience = time.monotonic() + (0 if late else GRACE)
        while self._process.exitcode is None and time.monotonic() < patience:
            time.sleep(GRACE / 100)
        status = self._process.exitcode
        self._last_words.seek(0)
        words = self._last_words.read(MOST_ON_DISK).decode("ascii", "replace")
        printed = self._take_printed()
        signalled = signal.Signals(-status).name if status is not None and status < 0 else ""
        what = f"ended the whole process, with {signalled or f'exit status {status}'}"
        timed_out = late or (signalled in TIMERS or words.startswith("Timeout"))
        if timed_out:
            clock = TIMERS.get(signalled, TIMERS["SIGALRM"])
            limit = self.time_limit if signalled == "SIGPROF" else WAITING * self.time_limit
            what = f"did not end within {limit:g} s {clock}"
        elif status in (None, CUT_OFF):
            what = "closed the connection to the harness"
        frame = self._frame(words)
        where = f" ({frame[0].name}:{frame[1]}{frame[2]})" if frame else ""
        more = "; --time-limit allows more" if timed_out else ""
        last = importing[-1] if importing else ""
        return EndedError(f"{what}{where}{more}", timed_out, last, frame[:2] if frame else None, printed)

    def _frame(self, words: str) -> tuple[Path, int, str] | None:
        """Return the file of the package that the main thread, which is told last, was in, the line, and the function."""
        lines = re.findall(r'File "(.*)", line (\d+) in (.*)', words.rpartition("hread 0x")[2])
        inside = [(Path(file), int(line), name) for file, line, name in lines if Path(file).is_relative_to(self.root)]
        if not inside:
            return None
        file, line, name = inside[0]
        return file, line, "" if name == "<module>" else f", in {name}"


def _shorten(printed: FileIO) -> None:
    """Forget what a file holds beyond what is kept of it, before it fills the disk."""
    if printed.seek(0, os.SEEK_END) > MOST_ON_DISK:
        printed.truncate(MOST_PRINTED)
