"""The confinement of a process that runs foreign code: its own descriptors and signals, and limits of memory and time."""

from __future__ import annotations

import faulthandler
import gc
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform == "linux":
    import resource

WAITING = 5  # the limit on the clock is this many times the limit of CPU time, since code may sleep or wait
MEMORY = 4 * 2**30  # bytes that the process may take in addition to those at its start; the cases need far less
CUT_OFF = 113  # exit status of a process that cannot answer because its connection is closed
TIMERS = {"SIGPROF": "of CPU time", "SIGALRM": "on the clock"}  # signals that end the process, and the kind of time limit


def confine(printed: Path, last_words: Path, connection: int) -> int | None:
    """Cut the process off from its parent's terminal, descriptors and signals, and print into a file.

    If a limit ends the process or it crashes, a second file gets the traceback. Return the argument for `limit_memory`.
    """
    gc.freeze()  # a collection would look through the inherited objects, and so copy their memory
    with suppress(AttributeError, OSError):  # no sessions on Windows
        os.setsid()
    words = os.open(last_words, os.O_WRONLY | os.O_APPEND)
    _redirect(os.open(printed, os.O_WRONLY | os.O_APPEND), {words, connection})
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    faulthandler.enable(words)
    for name in TIMERS:
        if hasattr(signal, name):
            number = getattr(signal, name)
            faulthandler.unregister(number)
            signal.signal(number, signal.SIG_DFL)
            faulthandler.register(number, words, chain=True)
    return _memory_allowed()


def limit_memory(allowed: int | None) -> None:
    """Limit the memory of the process, so that code which asks for more gets a MemoryError; None lifts the limit."""
    if sys.platform == "linux":
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        with suppress(ValueError):  # a package may have set a lower limit, which cannot be raised again
            resource.setrlimit(resource.RLIMIT_DATA, (hard if allowed is None else allowed, hard))


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End the process if the block takes more than so many seconds of CPU time, or WAITING times as many on the clock."""
    if not hasattr(signal, "setitimer"):
        faulthandler.dump_traceback_later(WAITING * seconds, exit=True)
        yield
        faulthandler.cancel_dump_traceback_later()
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, WAITING * seconds)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)


def end_group() -> None:
    """End the process and all processes that it has started."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _redirect(output: int, keep: set[int]) -> None:
    """Send standard output and errors to one descriptor, and the other descriptors, except those to keep, nowhere.

    They are not closed: the next file would get a closed number, and the number's former owner might close that file.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    inherited = {int(name) for name in os.listdir("/proc/self/fd")} if sys.platform == "linux" else set()
    for number in inherited - keep - {output, nowhere}:
        os.dup2(nowhere, number, inheritable=False)
    for number, target in enumerate((nowhere, output, output)):
        os.dup2(target, number)
    sys.stdin = open(os.devnull)  # noqa: SIM115  the process needs it until its end
    stream = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", "backslashreplace", write_through=True)
    sys.stdout = sys.stderr = stream
    vars(sys).update(__stdin__=sys.stdin, __stdout__=stream, __stderr__=stream)


def _memory_allowed() -> int | None:
    """Return the bytes of data that the process may have; None where limits do not exist or another is already set.

    From now on, a crash writes no image of the memory.
    """
    if sys.platform != "linux":
        return None
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    lines = Path("/proc/self/status").read_text().splitlines()
    used = next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmData:")), None)
    free = resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY
    return None if used is None or not free else used + MEMORY
