"""The exit status and the errors of a command: each error is one line on stderr, without a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

LONGEST_MESSAGE = 1000  # characters


def exit_status(name: str, main: Callable[[], int | None], refused: type[Exception] = ValueError) -> int:
    """Run a command and return its exit status: its own, 2 for bad input, 1 for an error of the system, 130 for Ctrl-C.

    `refused` is the exception that the command raises for bad input. If the reader of a pipe, such as `head`, has seen enough,
    no error is printed.
    """
    if not _standard_streams():
        _say(name, "standard output is closed, expected a place to print to; use > /dev/null to print nothing")
        return 2
    try:
        try:
            return main() or 0
        finally:
            sys.stdout.flush()  # here, so that an error can still be reported
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
        _say(name, f"there is not enough memory for this command ({error}); take a smaller model, batch or size")
        return 2
    except OSError as error:
        of_output = error.errno is not None and error.filename is None  # an error of a file has the file's name
        _say(name, f"what is printed cannot be written ({error.strerror})" if of_output else str(error))
        if of_output:
            _close(sys.stdout)
        return 1


def one_line(text: str) -> str:
    """Return a text as one line of limited length; characters that a terminal would obey are escaped."""
    line = " ".join(text.split())
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line[: 2 * LONGEST_MESSAGE])
    return shown if len(shown) <= LONGEST_MESSAGE else f"{shown[:LONGEST_MESSAGE]} ..."


def _say(name: str, message: str) -> None:
    """Print one line on stderr."""
    try:
        print(f"{name}: {one_line(message)}", file=sys.stderr, flush=True)
    except OSError:  # stderr is closed or full
        _close(sys.stderr)


def _standard_streams() -> bool:
    """Replace closed standard streams by empty ones, and return whether standard output was open.

    Otherwise the next file that is opened would take the number of a closed stream, and the output would go into that file.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    closed = sys.stdout is None
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115  the process needs it until its end
        else:
            with suppress(AttributeError, OSError):  # another program may have replaced the stream
                getattr(sys, stream).reconfigure(errors="backslashreplace")  # some terminals have few characters
    return not closed


def _close(stream: TextIO) -> None:
    """Discard the text that is not written yet, so that Python does not report an error at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
