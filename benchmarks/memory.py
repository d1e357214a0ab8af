"""Peak memory of training steps, each backend in its own process: `python -m benchmarks.memory cnn-128 numpy`."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks import numpy_side, torch_side
from benchmarks.cases import MODELS
from benchmarks.work import labels_for, logits_of
from parity.case import ParityCase
from parity.inputs import Draw
from parity.running.builders import builders
from scratch.fast.threads import num_threads
from scratch.optim import AdamW

STEPS = 3  # the optimiser's state exists from the second step on
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_in_own_process(case: ParityCase, backend: str, threads: int) -> int:
    """Return the bytes that training steps add to a process that holds the model and the batch already."""
    command = [sys.executable, "-m", "benchmarks.memory", case.name, backend, str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} failed: {done.stderr.strip().splitlines()[-1]}")
    return int(done.stdout)


def measure(case: ParityCase, backend: str) -> int:
    """Measure the same in this process."""
    build_scratch, build_reference = builders(case)
    arrays = [v.astype(np.float32) if v.dtype.kind == "f" else v for v in case.inputs(Draw(0)).values()]
    model: Any
    inputs: tuple[Any, ...]
    labels: Any
    optimizer: Any
    step: Any
    if backend == "numpy":
        model, inputs, step = build_scratch().astype(np.float32), tuple(arrays), numpy_side.training_step
        y, _ = model(*(x[:1] for x in inputs))
        labels, optimizer = labels_for(len(inputs[0]), *logits_of(y).shape[1:]), AdamW(model.parameters())
    else:
        model, inputs, step = build_reference(), tuple(torch.from_numpy(x) for x in arrays), torch_side.training_step
        y = model(*(x[:1] for x in inputs))
        labels = torch.from_numpy(labels_for(len(inputs[0]), *logits_of(y).shape[1:]))
        del y
        optimizer = torch.optim.AdamW(model.parameters())
    ctypes.CDLL(None).malloc_trim(0)  # give freed memory back; otherwise the step would reuse it unseen
    CLEAR.write_text("5")  # reset the peak
    before = _status("VmRSS")
    for _ in range(STEPS):
        step(model, optimizer, inputs, labels)
    return _status("VmHWM") - before


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", STATUS.read_text())
    assert found is not None
    return 1024 * int(found[1])


if __name__ == "__main__":
    name, backend, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    with threadpool_limits(int(threads)), num_threads(int(threads)):
        print(measure(next(case for case in MODELS if case.name == name), backend))
