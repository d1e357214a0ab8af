"""Which targets a saved file touches, and when one has been saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from parity.running.definitions import Definitions

INTERVAL = 0.2  # seconds between two looks at the files

Stamps = dict[Path, tuple[int, int]]


def files_behind(directory: Path, targets: Iterable[str]) -> dict[str, set[Path]]:
    """The files that each target is made of: where it is defined, what that uses or imports, and the packages on the way."""
    definitions = Definitions(directory)
    behind = {}
    for target in targets:
        files = {file for file, _ in definitions.used_by(target)}
        files |= {imported for file in files if file.name != "__init__.py" for imported in definitions.imports(file)}
        packages = {parent for file in files for parent in file.parents if parent.is_relative_to(directory)}
        behind[target] = files | {package / "__init__.py" for package in packages | {directory, directory / target.split(".")[0]}}
    return behind


def saves(directory: Path, pause: Callable[[float], None] = time.sleep) -> Iterator[set[Path]]:
    """The Python files in a directory that have been written, made or removed since the last time, whenever there are some."""
    before = _stamps(directory)
    while True:
        pause(INTERVAL)
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
