"""The progress of a run on the terminal: a progress bar, curves of one line, and the result line."""

from __future__ import annotations

import math
import sys
import time
from typing import Any, Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from scratch.module import Array


class Meter:
    """A progress bar if stdout is a terminal, and the mean loss, the accuracy and the speed since `begin`."""

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

    def begin(self, description: str, done: int) -> None:
        """Start new means after `done` steps."""
        self.count, self.loss, self.accuracy, self.since = 0, 0.0, 0.0, time.perf_counter()
        self.progress.update(self.task, description=description, completed=done)

    def step(self, size: int, loss: float, accuracy: float) -> None:
        """Add a step on `size` examples to the means; an accuracy of nan means that there is none."""
        self.count += size
        self.loss += (loss - self.loss) * size / self.count
        self.accuracy += (accuracy - self.accuracy) * size / self.count
        self.progress.update(self.task, advance=1, news=self.news())

    def news(self) -> str:
        """Return the means and the speed as text."""
        speed = self.count / (time.perf_counter() - self.since)
        accuracy = "" if math.isnan(self.accuracy) else f"accuracy {self.accuracy:6.2%}  "
        return f"loss {self.loss:.4f}{self.nats}  {accuracy}{speed:,.0f} {self.unit}/s"


def sparkline(values: Array, width: int = 60) -> str:
    """Draw a curve of non-negative values in one line of text, on a logarithmic scale; a character is a mean over some values."""
    stretches = np.array_split(values, min(width, len(values)))
    heights = np.log10([max(stretch.mean(), 1e-17) for stretch in stretches])
    heights = (heights - heights.min()) / (np.ptp(heights) or 1.0)
    return "".join("▁▂▃▄▅▆▇█"[round(7 * height)] for height in heights)


def result_line(**values: Any) -> str:
    """Return the last line that an example prints, name=value pairs for other programs."""
    return " ".join(f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items())
