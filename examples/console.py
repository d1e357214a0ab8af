"""What every example shows and says: progress, curves, the result line, and bad input refused in one line."""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from threadpoolctl import threadpool_limits

from parity import command
from scratch.fast.blas import let_idle_threads_sleep
from scratch.fast.threads import get_num_threads, set_num_threads
from scratch.module import Array


class Meter:
    """A progress bar with loss, accuracy and speed where stdout is a terminal, and their means over a stretch of the run."""

    def __init__(self, steps: int, unit: str, nats: str = ""):
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[news]}"), TimeRemainingColumn()
        self.progress = Progress(*columns, console=Console(), disable=not sys.stdout.isatty(), transient=True)
        self.unit, self.nats = unit, nats
        self.task = self.progress.add_task("", total=steps, news="")

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def begin(self, stretch: str, done: int | None = None) -> None:
        """Forget the last stretch of the run; where `done` is given, so many steps are behind."""
        self.count, self.loss, self.accuracy, self.since = 0, 0.0, 0.0, time.perf_counter()
        self.progress.update(self.task, description=stretch, completed=done)

    def step(self, size: int, loss: float, accuracy: float) -> None:
        """Take a step on `size` examples into account; an accuracy of nan is none."""
        self.count += size
        self.loss += (loss - self.loss) * size / self.count
        self.accuracy += (accuracy - self.accuracy) * size / self.count
        self.progress.update(self.task, advance=1, news=self.news())

    def news(self) -> str:
        """The stretch so far, in a few words."""
        speed = self.count / (time.perf_counter() - self.since)
        accuracy = "" if math.isnan(self.accuracy) else f"accuracy {self.accuracy:6.2%}  "
        return f"loss {self.loss:.4f}{self.nats}  {accuracy}{speed:,.0f} {self.unit}/s"


def sparkline(values: Array, width: int = 60) -> str:
    """A curve of values of at least 0 in one line of text, on a logarithmic scale: the means of `width` stretches of it."""
    stretches = np.array_split(values, min(width, len(values)))
    heights = np.log10([max(stretch.mean(), 1e-17) for stretch in stretches])
    heights = (heights - heights.min()) / (np.ptp(heights) or 1.0)
    return "".join("▁▂▃▄▅▆▇█"[round(7 * height)] for height in heights)


def result_line(**values: Any) -> str:
    """The last line of an example, for scripts: name=value pairs."""
    return " ".join(f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items())


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that refuses in one line, with status 2, and sets the number of threads that every example may be given."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        threads = "threads of NumPy, its BLAS and PyTorch; 1 is best beside other work (default: every free CPU)"
        self.add_argument("--threads", type=at_least(1), metavar="N", help=threads)

    def parse_args(self, *arguments: Any, **options: Any) -> Any:
        parsed = super().parse_args(*arguments, **options)
        try:
            use_threads(parsed.threads)
        except ValueError as error:
            self.error(str(error))
        return parsed

    source = ""  # of the words, where they are not the command line's

    def read(self, words: Sequence[str], source: str) -> argparse.Namespace:
        """Parse words that were saved; ValueError, which names their source, where they are refused."""
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
    """Compute with so many threads in both backends; None leaves each the number of its own, or ValueError if that is wrong."""
    if count is not None:
        set_num_threads(count)
        threadpool_limits(count)
        torch.set_num_threads(count)
    get_num_threads()
    let_idle_threads_sleep()  # before there are threads of ours, such as a progress bar's


def at_least(least: int) -> Callable[[str], int]:
    """An argparse type: an int no smaller than `least`."""

    def whole(text: str) -> int:
        if not text.lstrip("+-").isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text!r}")
        return int(text)

    return whole


def number(least: float, below: float = math.inf, least_too: bool = True) -> Callable[[str], float]:
    """An argparse type: a float from `least`, or only above it, to below a bound."""
    expected = f"a number {'of at least' if least_too else 'above'} {least:g}" + (
        f" and below {below:g}" if below < math.inf else ""
    )

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (least <= value < below and (least_too or value != least)):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return value

    return parse


positive = number(0, least_too=False)


def device_problem(backend: str, device: str, dtype: str) -> str | None:
    """Why a run cannot be had on this machine, with what to do; None where it can."""
    if device == "cpu":
        return None
    if backend == "numpy":
        return f"--device {device}: NumPy computes on the cpu; add --backend torch"
    available = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if not available[device]():
        return f"--device {device}: PyTorch {torch.__version__} finds no such device here; use --device cpu"
    if device == "mps" and dtype == "float64":
        return "--device mps has no float64; use --dtype float32 or --device cpu"
    return None


def writable(directory: str | Path) -> Path:
    """The directory, made where it is missing; ValueError where nothing can be written in it."""
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return Path(directory)
    except OSError as error:
        raise ValueError(f"{directory}: cannot write there ({error.strerror}); name a directory that can be written") from error


class InputError(Exception):
    """What the user can put right, said in one line."""


@contextmanager
def refusing() -> Iterator[None]:
    """Inside the block a ValueError is bad input; anywhere else it is a bug, and its traceback is shown."""
    try:
        yield
    except ValueError as error:
        raise InputError(str(error)) from error


def exit_status(main: Callable[[], None]) -> int:
    """Run an example from the command line and return its status, which is 2 for bad input."""
    return command.exit_status(Path(sys.argv[0]).name, main, InputError)
