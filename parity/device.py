"""The machine that a comparison runs on: its devices, its threads, its versions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from scratch.ops.threads import num_threads

SHARED = 1  # threads among which scratch shares its work


def checked_device(name: str) -> str:
    """The name, where PyTorch can run on that device; else ValueError."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device {name!r} cannot be used by PyTorch {torch.__version__} here ({str(error).splitlines()[0]}); use the device cpu"
        ) from None
    return name


def environment() -> dict[str, str]:
    """The versions that figures depend on."""
    return {"torch": torch.__version__, "numpy": np.__version__, "threads": "1"}


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
