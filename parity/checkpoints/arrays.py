"""Arrays in safetensors files, which either backend reads, with a checksum over every byte.

The checksum is the SHA-256 of the file with zeros in place of the checksum's own digits. It is part of the file's metadata.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import save

from parity.checkpoints.disk import parse_json, read_file, replace_file
from scratch.module import Array

CHECKSUM = "scratch-parity.checksum"
MARK = "sha256 of this file with zeros here: "
ZEROS = "0" * 64
LONGEST_HEADER = 100_000_000  # bytes: the format's own limit

DTYPES = {
    "BOOL": "u1",
    "U8": "u1",
    "U16": "<u2",
    "U32": "<u4",
    "U64": "<u8",
    "I8": "i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "BF16": "<u2",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}


def save_arrays(path: str | Path, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays and metadata to a safetensors file, whole or not at all.

    Names that share memory, such as tied weights, are stored once; load_arrays returns every name.
    """
    first: dict[tuple[int, tuple[int, ...], tuple[int, ...]], str] = {}
    tied = {}
    for name, array in arrays.items():
        place = (array.__array_interface__["data"][0], array.shape, array.strides)
        original = first.setdefault(place, name) if array.size else name
        if original != name:
            tied[name] = original
    # safetensors writes the bytes as they are in memory, and reads them in C order
    stored = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items() if name not in tied}
    content = save(stored, metadata={**(metadata or {}), "tied": json.dumps(tied), CHECKSUM: MARK + ZEROS})
    digest = hashlib.sha256(content).hexdigest()
    replace_file(path, content.replace(_checksum_entry(ZEROS), _checksum_entry(digest), 1))


def load_arrays(path: str | Path) -> dict[str, Array]:
    """Read the arrays of a safetensors file; ValueError where the file is damaged or of another kind."""
    return load_stored(path)[0]


def load_stored(path: str | Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Read the arrays and metadata of a safetensors file; ValueError where the file is damaged or of another kind.

    A file of an older version or of another program has no checksum, and none is verified.
    """
    content = read_file(path)
    header = _parsed(path, content)
    try:
        found = safetensors.deserialize(content)
        arrays = {name: _array(path, name, stored) for name, stored in found}
    except (safetensors.SafetensorError, OverflowError) as error:
        raise _unreadable(path, error) from error
    _verify(path, content, header.metadata)
    return arrays | {name: arrays[original] for name, original in header.tied.items()}, header.metadata


def stored_shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Read only the shapes of a safetensors file's arrays."""
    try:
        if not Path(path).is_file():
            return _parsed(path, read_file(path)).shapes  # this raises the fitting error
        with Path(path).open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            return _parsed(path, start + (file.read(length) if length <= LONGEST_HEADER else b"")).shapes
    except OSError as error:
        raise ValueError(f"{path}: it cannot be read ({error.strerror})") from error


def refuse_not_finite(path: str | Path, arrays: Mapping[str, Array]) -> None:
    """Raise ValueError where an array has numbers that are NaN or infinite, or infinite in float32."""
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            with np.errstate(over="ignore"):
                amiss = int(np.count_nonzero(~np.isfinite(array.astype(np.float32))))
            if amiss:
                raise ValueError(
                    f"{path}: {name} has {amiss:,} of {array.size:,} numbers that are NaN or infinite in float32; expected none"
                )


@dataclass(frozen=True)
class _Header:
    shapes: dict[str, tuple[int, ...]]
    tied: dict[str, str]
    metadata: dict[str, str]


def _parsed(path: str | Path, content: bytes) -> _Header:
    """Parse the header of a safetensors file: 8 bytes that hold a length, and as many bytes of JSON."""
    length = int.from_bytes(content[:8], "little")
    if not 2 <= length <= min(LONGEST_HEADER, len(content) - 8):
        raise _unreadable(path, f"the header should have {length:,} bytes, there are {max(0, len(content) - 8):,} after its length")
    try:
        entries = parse_json(content[8 : 8 + length], "its header")
        metadata = entries.pop("__metadata__", {})
        shapes = {name: tuple(map(int, entry["shape"])) for name, entry in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _unreadable(path, "its metadata are not strings by name")
    tied = parse_json(metadata.get("tied", "{}"), f"{path}: its metadata `tied`")
    if not isinstance(tied, dict) or not all(name not in shapes and original in shapes for name, original in _pairs(tied)):
        raise ValueError(f"{path}: its metadata `tied` is damaged: expected names, each with the name of the array that it shares")
    return _Header(shapes | {name: shapes[original] for name, original in tied.items()}, tied, metadata)


def _pairs(tied: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the names with their originals; one that is no string becomes a name that no array has."""
    return [(name, original if isinstance(original, str) else "\0") for name, original in tied.items()]


def _array(path: str | Path, name: str, stored: Mapping[str, Any]) -> Array:
    """Make an array from the stored bytes; bfloat16 becomes float32, which can represent all of its numbers."""
    dtype, shape, data = stored["dtype"], stored["shape"], stored["data"]
    if dtype not in DTYPES:
        advice = "convert it to float32 where it was made (in PyTorch: tensor.float()) and save it again"
        raise ValueError(f"{path}: {name} is stored as {dtype}, which NumPy does not have; {advice}")
    numbers = np.frombuffer(data, DTYPES[dtype]) if data else np.empty(0, DTYPES[dtype])
    if dtype == "BF16":
        numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
    try:
        return numbers.reshape(shape) if dtype != "BOOL" else (numbers != 0).reshape(shape)
    except ValueError as error:
        raise _unreadable(path, f"{name}: {error}") from error


def _verify(path: str | Path, content: bytes, metadata: Mapping[str, str]) -> None:
    """Raise ValueError where a file has a checksum and has changed since it was written."""
    marked = [value for name, value in metadata.items() if name == CHECKSUM or value.startswith(MARK)]
    if not marked:
        return
    written = re.fullmatch(rf"{MARK}([0-9a-f]{{64}})", metadata.get(CHECKSUM, ""))
    end = 8 + int.from_bytes(content[:8], "little")
    if written and content.count(entry := _checksum_entry(written[1]), 0, end) == 1:
        checksum = hashlib.sha256(content[:end].replace(entry, _checksum_entry(ZEROS)))
        checksum.update(memoryview(content)[end:])
        if checksum.hexdigest() == written[1]:
            return
    raise ValueError(
        f"{path}: the file is damaged: it has changed since it was written, says its checksum; use a copy or make it anew"
    )


def _checksum_entry(digest: str) -> bytes:
    """Return the entry of the checksum in the header; no other text there looks so, since quotes in it have a backslash."""
    return f'"{CHECKSUM}":"{MARK}{digest}"'.encode()


def _unreadable(path: str | Path, why: object) -> ValueError:
    return ValueError(f"{path}: expected a safetensors file, but it is truncated or of another format ({why})")
