"""Safe access to files: bounded reads, replacement as a whole, and directories that one process holds at a time."""

from __future__ import annotations

import glob
import json
import math
import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

if sys.platform != "win32":
    import fcntl

LOCK = ".lock"


def read_file(path: str | Path, most: float = math.inf) -> bytes:
    """Read a regular file of at most so many bytes; ValueError, in one line, where it is another or cannot be read.

    A pipe or a device is refused, because reading it may never end.
    """
    path = Path(path)
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise ValueError(f"{path}: expected a file, found a directory")
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{path}: expected a regular file, found a device or a pipe")
        if found.st_size > most:
            raise ValueError(f"{path}: expected at most {most:,} bytes, found {found.st_size:,}")
        return path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ValueError(f"{path}: it cannot be read ({error.strerror})") from error
    except MemoryError:
        raise ValueError(f"{path}: its {found.st_size:,} bytes do not fit in memory") from None


def parse_json(content: bytes | str, source: str | Path) -> Any:
    """Return the value of strict JSON in UTF-8; ValueError where it has NaN, an infinity or a key twice, or nests too deeply."""
    try:
        text = content if isinstance(content, str) else content.decode()
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"{source}: expected JSON, found it nested too deeply to be read") from None
    except ValueError as error:
        raise ValueError(f"{source}: expected JSON ({error})") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {max(keys, key=keys.count)!r} comes more than once")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that JSON has")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def replace_file(path: str | Path, content: bytes) -> None:
    """Write a temporary file beside the file and then rename it, so that a reader never finds half of it."""
    path = Path(path)
    for half_written in path.parent.glob(f".{glob.escape(path.name)}.*"):
        if _is_ownerless(half_written.name.removeprefix(f".{path.name}.")):
            half_written.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _is_ownerless(owner: str) -> bool:
    """Return whether the process and the thread in the name of a temporary file no longer write it."""
    process, _, thread = owner.partition(".")
    if not process.isdecimal():
        return False
    if int(process) == os.getpid():
        return thread in ("", str(threading.get_ident()))
    if sys.platform == "win32":  # os.kill ends the process there
        return False
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:  # the process lives, and belongs to another user
        pass
    return False


@contextmanager
def held(directory: str | Path) -> Iterator[None]:
    """Hold a directory for this process until the block or the process ends; ValueError where another process holds it.

    Windows and some file systems have no such locks; there the directory is not held.
    """
    lock = _lock(Path(directory) / LOCK) if sys.platform != "win32" else None
    try:
        yield
    finally:
        if lock is not None:
            (Path(directory) / LOCK).unlink(missing_ok=True)  # before the release, since others may lock the file right after
            os.close(lock)


def _lock(path: Path) -> int | None:
    """Lock a file and write the number of this process into it; None where the file system has no locks."""
    while True:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise ValueError(f"{path}: it cannot be written ({error.strerror}); name another directory") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same_file(lock, path):
                os.ftruncate(lock, 0)
                os.write(lock, str(os.getpid()).encode())
                return lock
        except BlockingIOError:
            holder = os.read(lock, 20).decode(errors="replace")
            os.close(lock)
            named = f"process {holder}" if holder.isdecimal() else "another process"
            raise ValueError(
                f"{path.parent}: {named} is saving there; wait until it has ended, or name another directory"
            ) from None
        except OSError:
            os.close(lock)
            return None
        os.close(lock)  # its holder has removed it in the meantime


def _is_same_file(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), path.stat())
    except FileNotFoundError:
        return False
