"""Turn timings into ratios and print them as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich import box
from rich.table import Table

from benchmarks.backends import NUMPY, TORCH, Backend
from benchmarks.timing import Timing

LEGEND = """\
ratio      NumPy / PyTorch, each in its faster layout: median and range over the blocks; below 1 NumPy is faster
both NCHW  the same ratio with both sides in NCHW; times with a * are in channels_last
"""


@dataclass(frozen=True)
class Row:
    """One phase of a case, with the time of every block by backend and block number."""

    case: str
    phase: str
    blocks: dict[Backend, dict[int, float]]

    def seconds(self, backend: Backend) -> float:
        """Return the median time over the blocks."""
        return median(self.blocks[backend].values())

    def fastest(self, device: str | None = None, variant: str = "") -> Backend | None:
        """Return NumPy (device None) or PyTorch on a device in its faster layout, or None if it was not timed."""
        layouts = [b for b in self.blocks if (b.device, b.variant) == (device, variant)]
        return min(layouts, key=self.seconds, default=None)

    def ratios(self, numpy: Backend | None, torch: Backend | None) -> list[float]:
        """Return the ratio of the first backend's time to the second's, for each block."""
        if numpy not in self.blocks or torch not in self.blocks:
            return []
        mine, theirs = self.blocks[numpy], self.blocks[torch]
        return [mine[number] / theirs[number] for number in mine if number in theirs]

    def as_json(self) -> dict[str, Any]:
        """Return the fastest layouts and their ratios as plain data."""
        mine, theirs = self.fastest(), self.fastest("cpu")
        return {
            "case": self.case,
            "phase": self.phase,
            "numpy": mine and mine.name,
            "torch": theirs and theirs.name,
            "ratios": self.ratios(mine, theirs),
        }


@dataclass(frozen=True)
class Memory:
    """The bytes that training steps of a model add to the memory of each backend."""

    case: str
    numpy: int
    torch: int


def rows(timings: list[Timing]) -> list[Row]:
    """Return one row for each case and phase, in the order in which they were timed."""
    found: dict[tuple[str, str], Row] = {}
    for t in timings:
        row = found.setdefault((t.case, t.phase), Row(t.case, t.phase, {}))
        row.blocks.setdefault(t.backend, {})[t.block] = t.seconds
    return list(found.values())


def speed_table(found: Sequence[Row]) -> Table:
    """Compare NumPy with PyTorch on the CPU, and show PyTorch's variants and other devices if they were timed."""
    extra = sorted({(b.device, b.variant) for row in found for b in row.blocks if b.device} - {("cpu", "")})
    variants = (f"{device} {variant}".rstrip() for device, variant in extra)
    headings = ["NumPy", "PyTorch", "ratio", "min – max", "both NCHW", *variants]
    table = Table(box=box.SIMPLE_HEAD, title="time in ms", title_justify="left")
    table.add_column("case", no_wrap=True)
    table.add_column("phase", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    previous = ""
    for row in found:
        mine, theirs = row.fastest(), row.fastest("cpu")
        ratios = row.ratios(mine, theirs)
        layouts = any(b.channels_last for b in row.blocks)
        table.add_row(
            "" if row.case == previous else row.case,
            row.phase,
            _milliseconds(row, mine),
            _milliseconds(row, theirs),
            _ratio(ratios),
            f"{min(ratios):.2f} – {max(ratios):.2f}" if ratios else "",
            _ratio(row.ratios(NUMPY, TORCH)) if layouts else "",
            *(_milliseconds(row, row.fastest(*kind)) for kind in extra),
        )
        previous = row.case
    return table


def memory_table(memories: Sequence[Memory]) -> Table:
    """Show the memory that a training step needs besides the model and the batch."""
    table = Table(box=box.SIMPLE_HEAD, title="peak memory of a training step in MB", title_justify="left")
    table.add_column("case")
    for heading in ("NumPy", "PyTorch", "ratio"):
        table.add_column(heading, justify="right")
    for m in memories:
        table.add_row(m.case, f"{m.numpy / 1e6:.0f}", f"{m.torch / 1e6:.0f}", f"{m.numpy / m.torch:.2f}")
    return table


def _milliseconds(row: Row, backend: Backend | None) -> str:
    return f"{1e3 * row.seconds(backend):.2f}{'*' if backend.channels_last else ' '}" if backend else "– "


def _ratio(ratios: list[float]) -> str:
    return f"{median(ratios):.2f}" if ratios else "–"
