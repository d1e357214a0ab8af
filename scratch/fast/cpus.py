"""The number of CPUs that this process may use: its affinity, and the quota of its control group (Linux)."""

import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def available_cpus() -> int:
    """Return how many CPUs this process may keep busy, at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(int(min(allowed, _quota())), 1)


def _quota() -> float:
    """Return the CPUs that the control groups of this process grant it; infinity where there is no limit."""
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except OSError:
        return float("inf")
    quotas = [float("inf")]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2: one tree, a limit may be set at every level
            quotas += [_limit(directory / "cpu.max") for directory in _upwards(ROOT, path)]
        elif "cpu" in controllers.split(","):
            quotas += [_limit(directory / "cpu.cfs_quota_us", "cpu.cfs_period_us") for directory in _upwards(ROOT / "cpu", path)]
    return min(quotas)


def _upwards(root: Path, path: str) -> list[Path]:
    """Return the directory of a control group and those above it, which in a container may be hidden."""
    group = root / path.lstrip("/")
    return [group, *group.parents][: len(group.parts) - len(root.parts) + 1]


def _limit(file: Path, period: str = "") -> float:
    """Return quota / period as two numbers of one file, or as one number each of two; infinity where there is none."""
    try:
        quota, length = (file.read_text() + (" " + (file.parent / period).read_text() if period else "")).split()
        return float(quota) / float(length) if float(quota) > 0 else float("inf")
    except (OSError, ValueError):  # no such file, or "max"
        return float("inf")
