"""The process that runs the package under test: it judges case after case for the process that has started it."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import getpid  # bound here, before anyone replaces it
from pathlib import Path
from typing import Any

import torch

from parity.case import ParityCase
from parity.cases import tables
from parity.check import check
from parity.judging.verdict import Verdict, describe
from parity.own_package.channel import Channel
from parity.own_package.confinement import CUT_OFF, confine, end_group, limit_memory, time_limit
from parity.own_package.surroundings import Surroundings
from parity.running import nested
from parity.running.importing import BrokenImportError, mount
from parity.running.safe_text import LONGEST, message_of, printable

MOST_FINDINGS = 1_000  # in a verdict; a model has a few hundred tensors
A_MOMENT = 0.002  # seconds, in which a thread that computes takes CPU time


def serve(
    end: socket.socket, token: bytes, directory: Path, limit: float, printed: Path, last_words: Path, refused: dict[str, str]
) -> None:
    """Answer each task with a verdict as JSON, for as long as anyone asks.

    The files of the package that are `refused`, since their import would end the process, fail to import with that message.
    """
    full_size = tables().full_size  # the tables are read before the process is confined
    cases = {case.name: case for case in (*tables().cases, *full_size)}
    memory = confine(printed, last_words, end.fileno())
    warnings.simplefilter("default")  # whatever filters a fork has inherited
    channel, owner = Channel(end, token), getpid()

    @contextmanager
    def on_import(path: str) -> Iterator[None]:
        file = str(Path(path).relative_to(directory.resolve()))
        if file in refused:
            raise BrokenImportError(refused[file])
        tell({"importing": file})
        with warnings.catch_warnings():
            try:
                yield
            finally:
                surroundings.restore()
        tell({"imported": file})

    def tell(message: dict[str, Any]) -> None:
        if getpid() == owner:  # not from a fork that the package has made
            channel.send(message)

    torch.set_num_threads(1)  # as in every comparison; what a package sets is set back to this
    package = mount(directory, on_import)
    surroundings = Surroundings()
    tell({"ready": True})
    try:
        while True:
            name, dtype, seed, why = channel.receive()
            limit_memory(None if cases[name] in full_size else memory)
            with time_limit(limit):
                verdict = _judge(cases[name], dtype, seed, package, why)
                _flush()
            if getpid() != owner:
                os._exit(0)
            surroundings.restore()
            tell({"verdict": verdict, "busy": _goes_on()})
    except EOFError:  # nobody asks any more
        end_group()
    except OSError:
        os._exit(CUT_OFF)


def _judge(case: ParityCase, dtype: str, seed: int, package: str, why: bool) -> dict[str, Any]:
    """Return a verdict as plain data that is safe to print, whatever is raised on the way."""
    verdict = Verdict(case.name, case.family, dtype, "cpu", seed, verdict="error")
    try:
        verdict = check(case, dtype, "cpu", seed, package, why)
    except SystemExit as error:
        verdict.message = f"it called sys.exit({'' if error.code is None else message_of(error)})"
    except BaseException as error:
        try:
            verdict.message = f"it raises {describe(error)}"
        except BaseException:
            verdict.message = "it raises an exception that cannot be described"
    del verdict.findings[MOST_FINDINGS:]
    safe: dict[str, Any] = nested.map_leaves(_printable, verdict.as_json())
    return safe


def _printable(leaf: Any) -> Any:
    return printable(leaf, 2 * LONGEST) if isinstance(leaf, str) else leaf


def _flush() -> None:
    """Write out what Python and C hold back of what was printed."""
    with suppress(Exception):
        sys.stdout.flush()
        ctypes.CDLL(None).fflush(None)


def _goes_on() -> bool:
    """Return whether a thread goes on computing although the comparison is over."""
    if threading.active_count() == 1:
        return False
    before = time.process_time()
    time.sleep(A_MOMENT)
    return time.process_time() - before > A_MOMENT / 2
