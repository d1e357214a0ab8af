"""The machine that a comparison runs on: its devices, its threads, its versions."""

from __future__ import annotations

import platform
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from scratch.fast.threads import get_num_threads, num_threads

SHARED = 1  # threads among which scratch shares its work

NEWEST_VERIFIED = {"torch": "2.15", "numpy": "2.5"}  # by `make versions`; docs/versions.md has its table


def checked_device(name: str) -> str:
    """Return the name of a device on which PyTorch computes here, "cpu" for all of its spellings; else ValueError."""
    try:
        if torch.device(name).type == "cpu":
            return "cpu"
        if (torch.ones(2, device=name) + 1).tolist() != [2.0, 2.0]:
            raise RuntimeError("it computes wrongly: 1 + 1 is not 2 there")
    except Exception as error:  # each device has exceptions of its own
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(
            f"device {name!r} cannot be used by PyTorch {torch.__version__} here ({reason}); use the device cpu"
        ) from None
    return name


def environment() -> dict[str, str]:
    """The versions that figures depend on."""
    return {"torch": torch.__version__, "numpy": np.__version__, "threads": "1"}


def rounding_environment() -> dict[str, str]:
    """Return what the last bits of float sums depend on here and now: versions, processor, kernels, numbers of threads."""
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    kernels = {f"{library['internal_api']} {library['version']} {library.get('architecture', '')}".strip() for library in blas}
    return {
        "numpy": np.__version__,
        "torch": torch.__version__,
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "BLAS": ", ".join(sorted(kernels)) or "unknown",
        "BLAS threads": str(max((library["num_threads"] for library in blas), default=1)),
        "PyTorch threads": str(torch.get_num_threads()),
        "scratch threads": str(get_num_threads()),
    }


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
        with threadpool_limits(1), num_threads(SHARED), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")  # another kernel serves
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = cudnn_tf32
