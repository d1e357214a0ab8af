"""The parent's side of a judging process: it starts the process, asks for verdicts, and ends it."""

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

CHECK_INTERVAL = 0.05  # seconds between two checks of a process that does not answer
MOST_SECONDS_TO_END = 1.0
MOST_SECONDS_TO_START = 120.0  # a process that is not forked has to import PyTorch
MOST_PRINTED = 10_000  # bytes of printed text that are kept of one comparison
MOST_ON_DISK = 2**20  # bytes of printed text on the disk, before a check removes most of them

# PyTorch's first backward imports the one, which takes most of a second; the first explanation imports the other
IMPORTED_LATE = ("torch.fx.experimental.symbolic_shapes", "parity.mistakes.functions")

_context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")  # a fork has torch imported already


@dataclass
class Answer:
    """A verdict, the text that the package printed, and whether a thread of the package still computes."""

    verdict: Verdict
    printed: str
    busy: bool


class EndedError(Exception):
    """An error of a process that has ended, or had to be ended, before it answered.

    what        the event as a sentence without its subject: "did not end within 10 s of CPU time"
    importing   the file of the package that was being imported; "" where none was
    place       the file of the package and the line that was running
    """

    def __init__(self, what: str, timed_out: bool, importing: str, place: tuple[Path, int] | None, printed: str):
        super().__init__(what)
        self.what, self.timed_out, self.importing, self.place, self.printed = what, timed_out, importing, place, printed


class JudgingProcess:
    """A process, in its own session, that judges cases on a package; it answers one question at a time."""

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
        for name in IMPORTED_LATE:  # once here instead of once in every fork
            with warnings.catch_warnings(), suppress(ImportError):
                importlib.import_module(name)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
            self._process.start()
        theirs.close()
        try:
            self._channel.receive(MOST_SECONDS_TO_START)
        except (EOFError, TimeoutError, ValueError):
            self.end()
            raise ValueError(f"{directory}: the process that is to judge it does not start") from None

    def ask(self, name: str, dtype: str, seed: int, diagnose: bool) -> Answer:
        """Return the answer for a case; EndedError where the process does not answer."""
        importing: list[str] = []
        deadline = time.monotonic() + WAITING * self.time_limit + MOST_SECONDS_TO_END
        try:
            self._channel.send((name, dtype, seed, diagnose))
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
        except (ValueError, TypeError, KeyError):  # the server never sends such a message
            raise EndedError("disturbed the connection to the harness", False, "", None, self._take_printed()) from None
        raise self._ended(importing, late=True)

    def end(self) -> None:
        """End the process and those that it has started."""
        with suppress(AttributeError, ProcessLookupError, PermissionError):  # Windows has no groups; a group may be empty
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self._channel.close()
        self._printed.close()
        self._last_words.close()
        self._files.cleanup()

    def _next_message(self) -> Any:
        """Return the next message, or None if there is none soon; EOFError where the process has ended."""
        try:
            return self._channel.receive(CHECK_INTERVAL)
        except TimeoutError:
            if self._process.exitcode is not None:
                raise EOFError from None
            _shorten(self._printed)
            return None

    def _take_printed(self) -> str:
        """Return the beginning of the text that has been printed since the last call."""
        self._printed.seek(0)
        text = self._printed.read(MOST_PRINTED).decode("utf-8", "backslashreplace")
        self._printed.truncate(0)
        return printable(text, MOST_PRINTED, keep="\n\t")

    def _ended(self, importing: list[str], late: bool) -> EndedError:
        """Return an error that describes the end of the process and its place."""
        deadline = time.monotonic() + (0 if late else MOST_SECONDS_TO_END)
        while self._process.exitcode is None and time.monotonic() < deadline:
            time.sleep(MOST_SECONDS_TO_END / 100)
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
        """Return the file of the package, the line and the function in which the main thread was; a traceback lists it last."""
        lines = re.findall(r'File "(.*)", line (\d+) in (.*)', words.rpartition("hread 0x")[2])
        inside = [(Path(file), int(line), name) for file, line, name in lines if Path(file).is_relative_to(self.root)]
        if not inside:
            return None
        file, line, name = inside[0]
        return file, line, "" if name == "<module>" else f", in {name}"


def _shorten(printed: FileIO) -> None:
    """Cut a file of printed text down to the part that is kept, before it fills the disk."""
    if printed.seek(0, os.SEEK_END) > MOST_ON_DISK:
        printed.truncate(MOST_PRINTED)
