"""The command line of the examples: types of options, and bad input refused in one line with status 2."""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import torch
from threadpoolctl import threadpool_limits

from parity import command
from scratch.fast.blas import let_idle_threads_sleep
from scratch.fast.threads import get_num_threads, set_num_threads


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that refuses bad input in one line with status 2, and sets the number of threads."""

    source = ""  # where the words come from, if not from the command line

    def __init__(self, **options: Any):
        super().__init__(**options)
        threads = "threads of NumPy, its BLAS and PyTorch; 1 is fastest beside other work (default: every free CPU)"
        self.add_argument("--threads", type=at_least(1), metavar="N", help=threads)

    def parse_args(self, *arguments: Any, **options: Any) -> Any:
        parsed = super().parse_args(*arguments, **options)
        try:
            use_threads(parsed.threads)
        except ValueError as error:
            self.error(str(error))
        return parsed

    def read(self, words: Sequence[str], source: str) -> argparse.Namespace:
        """Parse words that were saved; ValueError, with their source, if they are refused."""
        self.source = source
        try:
            return self.parse_args(words)
        finally:
            self.source = ""

    def error(self, message: str) -> NoReturn:
        if self.source:
            raise ValueError(f"{self.source}: {message}")
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")


def use_threads(count: int | None) -> None:
    """Set the number of threads of both backends; None keeps their defaults. ValueError if the environment's number is wrong."""
    if count is not None:
        set_num_threads(count)
        threadpool_limits(count)
        torch.set_num_threads(count)
    get_num_threads()
    let_idle_threads_sleep()  # before other threads exist, such as that of a progress bar


def at_least(least: int) -> Callable[[str], int]:
    """Return an argparse type: an int of at least `least`."""

    def whole(text: str) -> int:
        if not text.lstrip("+-").isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text!r}")
        return int(text)

    return whole


def number(least: float, below: float = math.inf, or_equal: bool = True) -> Callable[[str], float]:
    """Return an argparse type: a float of at least `least` (above it, if not `or_equal`) and below a bound."""
    upper = f" and below {below:g}" if below < math.inf else ""
    expected = f"a number {'of at least' if or_equal else 'above'} {least:g}{upper}"

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (least <= value < below and (or_equal or value != least)):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return value

    return parse


positive = number(0, or_equal=False)


def device_problem(backend: str, device: str, dtype: str) -> str:
    """Return why a run is impossible on this machine and what to do; "" if it is possible."""
    if device == "cpu":
        return ""
    if backend == "numpy":
        return f"--device {device}: NumPy computes on the cpu; add --backend torch"
    if not (torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()):
        return f"--device {device}: PyTorch {torch.__version__} finds no such device here; use --device cpu"
    if device == "mps" and dtype == "float64":
        return "--device mps has no float64; use --dtype float32 or --device cpu"
    return ""


def writable(directory: str | Path) -> Path:
    """Create a directory if it is missing and return it; ValueError if no file can be written in it."""
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return Path(directory)
    except OSError as error:
        raise ValueError(f"{directory}: cannot write there ({error.strerror}); name a directory that can be written") from error


class InputError(Exception):
    """A mistake of the user, described in one line."""


@contextmanager
def refusing() -> Iterator[None]:
    """Turn a ValueError inside the block into an InputError. Elsewhere a ValueError is a bug and keeps its traceback."""
    try:
        yield
    except ValueError as error:
        raise InputError(str(error)) from error


def exit_status(main: Callable[[], None]) -> int:
    """Run an example from the command line and return its exit status, 2 for bad input."""
    return command.exit_status(Path(sys.argv[0]).name, main, InputError)
