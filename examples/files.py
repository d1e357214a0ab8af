"""Public files that the examples read: from a directory, or downloaded once; verified whenever they are read."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import zlib
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from parity.checkpoints.disk import read_file, replace_file

LARGEST = 500_000_000  # bytes of a file, packed and unpacked


@dataclass(frozen=True)
class PublicFile:
    """A file of a public data set.

    folder      where it lies below $PARITY_DATA and the cache: "mnist"
    name        its name there; one that ends in .gz is unpacked when it is read
    md5         of the content, unpacked: packing differs between mirrors
    mirrors     its addresses; none where it cannot be downloaded by itself
    """

    folder: str
    name: str
    md5: str
    mirrors: tuple[str, ...] = ()

    def read(self) -> bytes:
        """The content, wherever the file is found; ValueError where it is corrupt or cannot be had."""
        given = os.environ.get("PARITY_DATA")
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scratch-parity" / self.folder
        folders = [Path(given) / self.folder, cache] if given else [cache]
        for path in (folder / self.name for folder in folders):
            if os.path.lexists(path):
                try:
                    return self._verified(read_file(path, LARGEST))
                except ValueError as error:
                    raise ValueError(f"{path}: {error}; delete it, to have it downloaded, or replace it") from error
        return self._download(folders)

    def _verified(self, stored: bytes) -> bytes:
        """The content of the stored bytes; ValueError unless it has this MD5."""
        content = stored
        if self.name.endswith(".gz"):
            try:
                with gzip.open(io.BytesIO(stored)) as packed:
                    content = packed.read(LARGEST + 1)  # a few bytes may unpack to more than there is memory for
            except (OSError, EOFError, zlib.error) as error:
                raise ValueError(f"expected a whole gzip file, got {len(stored)} bytes that do not unpack ({error})") from error
        if len(content) > LARGEST:
            raise ValueError(f"expected at most {LARGEST:,} bytes, unpacked")
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != self.md5:
            raise ValueError(f"expected content of MD5 {self.md5}, got {found}")
        return content

    def _download(self, folders: list[Path]) -> bytes:
        """Fetch it from the first mirror that gives it whole, and keep it in the last of the folders, the cache."""
        cache, failures = folders[-1], []
        if self.mirrors:
            try:
                cache.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ValueError(
                    f"{cache}: cannot write there ({error.strerror}); set XDG_CACHE_HOME to a writable directory"
                ) from error
        for mirror in self.mirrors:
            print(f"downloading {mirror}", file=sys.stderr)
            try:
                with urlopen(mirror, timeout=30) as response:
                    stored = response.read()
                content = self._verified(stored)
            except (OSError, HTTPException, ValueError) as error:
                failures.append(f"{mirror}: {error or type(error).__name__}")
                continue
            replace_file(cache / self.name, stored)
            return content
        failed = f" and could not be downloaded ({'; '.join(failures)})" if failures else ""
        raise ValueError(
            f"{self.name} is not in {' or '.join(map(str, folders))}{failed}; "
            f"put it in {cache}, or in DIR/{self.folder} and set PARITY_DATA=DIR"
        )
