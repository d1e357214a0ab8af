"""Public files of data sets: read from a directory or downloaded once, and verified each time they are read."""

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

LARGEST = 500_000_000  # bytes of a file, compressed or decompressed


@dataclass(frozen=True)
class PublicFile:
    """A file of a public data set.

    folder      its folder in $PARITY_DATA and in the cache, such as "mnist"
    name        its name in that folder; a file that ends in .gz is decompressed when it is read
    md5         the MD5 of the decompressed content: the compression differs between mirrors
    mirrors     its addresses; empty if it cannot be downloaded by itself
    """

    folder: str
    name: str
    md5: str
    mirrors: tuple[str, ...] = ()

    def read(self) -> bytes:
        """Return the decompressed content; ValueError if the file is corrupt or cannot be found or downloaded."""
        given = os.environ.get("PARITY_DATA")
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scratch-parity" / self.folder
        folders = [Path(given) / self.folder, cache] if given else [cache]
        for path in (folder / self.name for folder in folders):
            if os.path.lexists(path):
                try:
                    return self._verified(read_file(path, LARGEST))
                except ValueError as error:
                    raise ValueError(f"{path}: {error}; delete the file so that it is downloaded again, or replace it") from error
        return self._download(folders)

    def _verified(self, stored: bytes) -> bytes:
        """Decompress the stored bytes; ValueError unless the content has the expected MD5."""
        content = stored
        if self.name.endswith(".gz"):
            try:
                with gzip.open(io.BytesIO(stored)) as packed:
                    content = packed.read(LARGEST + 1)  # a few bytes may decompress to more than the memory holds
            except (OSError, EOFError, zlib.error) as error:
                raise ValueError(
                    f"expected a complete gzip file, got {len(stored)} bytes that do not decompress ({error})"
                ) from error
        if len(content) > LARGEST:
            raise ValueError(f"expected at most {LARGEST:,} bytes after decompression")
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != self.md5:
            raise ValueError(f"expected content of MD5 {self.md5}, got {found}")
        return content

    def _download(self, folders: list[Path]) -> bytes:
        """Download the file from the first mirror that works, and keep it in the last folder, the cache."""
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
