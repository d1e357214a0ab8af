"""The process that runs the package under test, and judges case after case for the process that started it."""

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
from parity.judging.status import Status
from parity.judging.verdict import Verdict, describe
from parity.own_package.channel import Channel
from parity.own_package.confinement import CUT_OFF, confine, end_group, limit_memory, time_limit
from parity.own_package.surroundings import Surroundings
from parity.running import nested
from parity.running.importing import BrokenImportError, mount
from parity.running.safe_text import LONGEST, message_of, printable

MOST_FINDINGS = 1_000  # in a verdict; a model has a few hundred tensors
BUSY_CHECK = 0.002  # seconds of waiting, in which a thread that computes takes CPU time


def serve(
    end: socket.socket, token: bytes, directory: Path, limit: float, printed: Path, last_words: Path, refused: dict[str, str]
) -> None:
    """Answer each task with a verdict as JSON, until the other end closes.

    `refused` has the files whose import would end the process; their import fails with the message given there.
    """
    full_size = tables().full_size  # the tables are read before the process is confined
    cases = {case.name: case for case in (*tables().cases, *full_size)}
    memory = confine(printed, last_words, end.fileno())
    warnings.simplefilter("default")  # a fork inherits the filters of its parent
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
        if getpid() == owner:  # the package may have made a fork, which must not answer
            channel.send(message)

    torch.set_num_threads(1)  # as in every comparison; a package's own setting is undone after each one
    package = mount(directory, on_import)
    surroundings = Surroundings()
    tell({"ready": True})
    try:
        while True:
            name, dtype, seed, diagnose = channel.receive()
            limit_memory(None if cases[name] in full_size else memory)
            with time_limit(limit):
                verdict = _verdict_on(cases[name], dtype, seed, package, diagnose)
                _flush()
            if getpid() != owner:
                os._exit(0)
            surroundings.restore()
            tell({"verdict": verdict, "busy": _still_computes()})
    except EOFError:  # the other end is closed
        end_group()
    except OSError:
        os._exit(CUT_OFF)


def _verdict_on(case: ParityCase, dtype: str, seed: int, package: str, diagnose: bool) -> dict[str, Any]:
    """Return a verdict as plain data that is safe to print, whatever the package raises."""
    verdict = Verdict(case.name, case.family, dtype, "cpu", seed, Status.ERROR)
    try:
        verdict = check(case, dtype, "cpu", seed, package, diagnose)
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
    """Write out the printed text that Python and C still buffer."""
    with suppress(Exception):
        sys.stdout.flush()
        ctypes.CDLL(None).fflush(None)


def _still_computes() -> bool:
    """Return whether a thread still computes although the comparison is over."""
    if threading.active_count() == 1:
        return False
    before = time.process_time()
    time.sleep(BUSY_CHECK)
    return time.process_time() - before > BUSY_CHECK / 2
