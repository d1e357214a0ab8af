"""Saved files: the files that each target is made of, and the moments at which some are saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from parity.running.definitions import Definitions

CHECK_INTERVAL = 0.2  # seconds between two checks of the files

Stamps = dict[Path, tuple[int, int]]


def files_behind(directory: Path, targets: Iterable[str]) -> dict[str, set[Path]]:
    """Return the files of each target: those of its definition, of all that this uses or imports, and of their packages."""
    definitions = Definitions(directory)
    behind = {}
    for target in targets:
        files = {file for file, _ in definitions.used_by(target)}
        files |= {imported for file in files if file.name != "__init__.py" for imported in definitions.imports(file)}
        packages = {parent for file in files for parent in file.parents if parent.is_relative_to(directory)}
        behind[target] = files | {package / "__init__.py" for package in packages | {directory, directory / target.split(".")[0]}}
    return behind


def saves(directory: Path, pause: Callable[[float], None] = time.sleep) -> Iterator[set[Path]]:
    """Yield the set of Python files in a directory that have been written, made or removed, each time there are some."""
    before = _stamps(directory)
    while True:
        pause(CHECK_INTERVAL)
        now = _stamps(directory)
        changed = {file for file in before.keys() | now.keys() if before.get(file) != now.get(file)}
        before = now
        if changed:
            yield changed


def _stamps(directory: Path) -> Stamps:
    stamps: Stamps = {}
    for file in directory.rglob("*.py"):
        try:
            status = file.stat()
        except OSError:  # gone since it was listed, or a link to itself
            continue
        stamps[file] = status.st_mtime_ns, status.st_size
    return stamps
