"""The machine that a comparison runs on: its devices, its threads, its versions."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from threadpoolctl import threadpool_limits

NEWEST_VERIFIED = {"torch": "2.15", "numpy": "2.5"}  # by `make versions`; docs/versions.md has its table


def checked_device(name: str) -> str:
    """The name, where PyTorch can run on that device; else ValueError."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device {name!r} cannot be used by PyTorch {torch.__version__} here ({str(error).splitlines()[0]}); use --device cpu"
        ) from None
    return name


def environment() -> dict[str, str]:
    """The versions that figures depend on."""
    return {"torch": torch.__version__, "numpy": np.__version__, "threads": "1"}


def newer_than_verified() -> str:
    """Return a line about versions that are newer than any that was verified, or nothing."""
    newer = [
        f"{name} {version} is newer than {NEWEST_VERIFIED[name]}"
        for name, version in environment().items()
        if name in NEWEST_VERIFIED and _release(version) > _release(NEWEST_VERIFIED[name])
    ]
    verified = " and ".join(f"{name} {version}" for name, version in NEWEST_VERIFIED.items())
    return f"{', '.join(newer)}: every case was verified up to {verified}; a rule of theirs may have changed since" if newer else ""


def _release(version: str) -> tuple[int, ...]:
    """Return the first two numbers of a version."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


@contextmanager
def reproducible() -> Iterator[None]:
    """One thread in both backends, whose number changes the last digits of float32 sums, and no TF32 on a GPU."""
    threads, precision, cudnn_tf32 = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")  # another kernel serves
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = cudnn_tf32
