"""The number of CPUs that this process may use, by its affinity and by the quota of its control group (Linux)."""

import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def available_cpus() -> int:
    """Return the number of CPUs that this process may keep busy, at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(int(min(allowed, _quota())), 1)


def _quota() -> float:
    """Return the number of CPUs that the control groups of this process grant it; infinity where there is no limit."""
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except OSError:
        return float("inf")
    quotas = [float("inf")]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2: one tree, and every level may set a limit
            quotas += [_limit(directory / "cpu.max") for directory in _upwards(ROOT, path)]
        elif "cpu" in controllers.split(","):
            quotas += [_limit(directory / "cpu.cfs_quota_us", "cpu.cfs_period_us") for directory in _upwards(ROOT / "cpu", path)]
    return min(quotas)


def _upwards(root: Path, path: str) -> list[Path]:
    """Return the directory of a control group and all directories above it; a container may hide some."""
    group = root / path.lstrip("/")
    return [group, *group.parents][: len(group.parts) - len(root.parts) + 1]


def _limit(file: Path, period: str = "") -> float:
    """Return quota / period, from two numbers in one file or from one number in each of two; infinity where there is none."""
    try:
        quota, length = (file.read_text() + (" " + (file.parent / period).read_text() if period else "")).split()
        return float(quota) / float(length) if float(quota) > 0 else float("inf")
    except (OSError, ValueError):  # no such file, or "max"
        return float("inf")
