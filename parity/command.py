"""What every command line owes its shell: a status, and one line on stderr, with no traceback, for what goes wrong outside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

LONGEST = 1000  # characters of a message


def exit_status(name: str, main: Callable[[], int | None], refused: type[Exception] = ValueError) -> int:
    """Run a command and return its status: its own, 2 where it is refused, 1 where it fails, 130 where it is interrupted.

    `refused` is what it raises for bad input. Where the reader of a pipe, such as `head`, has seen enough, nothing is said.
    """
    if not _standard_streams():
        _say(name, "standard output is closed, expected a place to print to; use > /dev/null where nothing is to be read")
        return 2
    try:
        try:
            return main() or 0
        finally:
            sys.stdout.flush()  # while it can still be said that this fails
    except KeyboardInterrupt:
        _say(name, "interrupted")
        return 130
    except BrokenPipeError:
        _close(sys.stdout)
        return 1
    except refused as error:
        _say(name, str(error))
        return 2
    except MemoryError as error:
        _say(name, f"there is not enough memory for what was asked ({error}); take a smaller model, batch or size")
        return 2
    except OSError as error:
        of_output = error.errno is not None and error.filename is None  # what is raised for a file names it
        _say(name, f"what is printed cannot be written ({error.strerror})" if of_output else str(error))
        if of_output:
            _close(sys.stdout)
        return 1


def one_line(text: str) -> str:
    """Return a text in one line of limited length, in which what a terminal would obey is escaped."""
    line = " ".join(text.split())
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line[: 2 * LONGEST])
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]} ..."


def _say(name: str, message: str) -> None:
    try:
        print(f"{name}: {one_line(message)}", file=sys.stderr, flush=True)
    except OSError:  # nobody listens
        _close(sys.stderr)


def _standard_streams() -> bool:
    """Return whether there is an output to print to, after closed streams have become empty ones.

    Otherwise the next file that is opened would take their place, and be printed into.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    closed = sys.stdout is None
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115  it is needed until the end
        else:
            with suppress(AttributeError, OSError):  # a stream that another program has put there
                getattr(sys, stream).reconfigure(errors="backslashreplace")  # for a terminal of few characters
    return not closed


def _close(stream: TextIO) -> None:
    """Send what is still to be written nowhere, so that Python does not complain of it at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
