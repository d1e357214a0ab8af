"""What a process that runs foreign code may do: descriptors, signals, memory and time of its own."""

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

WAITING = 5  # times the limit of CPU time is the limit on the clock, for what sleeps or waits
MEMORY = 4 * 2**30  # bytes beyond those that the process begins with; the cases need a small part of them
CUT_OFF = 113  # exit status of a process that cannot answer, since its connection has been closed
TIMERS = {"SIGPROF": "of CPU time", "SIGALRM": "on the clock"}  # signals that end the process, and the time that is over


def confine(printed: Path, last_words: Path, connection: int) -> int | None:
    """Cut the process off from its parent's terminal, descriptors and signals; what it prints goes to a file.

    A second file gets the traceback where the process is ended by a limit or crashes. Return what `limit_memory` takes.
    """
    gc.freeze()  # what a fork has inherited stays; to look through it copies its memory
    with suppress(AttributeError, OSError):  # no sessions on Windows
        os.setsid()
    words = os.open(last_words, os.O_WRONLY | os.O_APPEND)
    _redirect(os.open(printed, os.O_WRONLY | os.O_APPEND), {words, connection})
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to handle
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
    """Let what asks for more memory get a MemoryError, rather than the machine to its knees; None lifts the limit."""
    if sys.platform == "linux":
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        with suppress(ValueError):  # of a package that has set it lower for good
            resource.setrlimit(resource.RLIMIT_DATA, (hard if allowed is None else allowed, hard))


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End the process where the block takes so many seconds of CPU time, or WAITING times as many on the clock."""
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
    """End the process and those that it has started."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _redirect(output: int, keep: set[int]) -> None:
    """Let standard output and errors go to a descriptor, and every descriptor but those to keep go nowhere.

    They are not closed: a closed number would be given to the next file, and its former owner would close that.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    inherited = {int(name) for name in os.listdir("/proc/self/fd")} if sys.platform == "linux" else set()
    for number in inherited - keep - {output, nowhere}:
        os.dup2(nowhere, number, inheritable=False)
    for number, target in enumerate((nowhere, output, output)):
        os.dup2(target, number)
    sys.stdin = open(os.devnull)  # noqa: SIM115  for as long as the process lives
    stream = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", "backslashreplace", write_through=True)
    sys.stdout = sys.stderr = stream
    vars(sys).update(__stdin__=sys.stdin, __stdout__=stream, __stderr__=stream)


def _memory_allowed() -> int | None:
    """Return how many bytes of data the process may have; None where there is no such limit, or another already.

    A crash writes no image of the memory from now on.
    """
    if sys.platform != "linux":
        return None
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    lines = Path("/proc/self/status").read_text().splitlines()
    used = next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmData:")), None)
    free = resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY
    return None if used is None or not free else used + MEMORY
