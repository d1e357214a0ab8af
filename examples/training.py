"""What every example trains with: one small interface to the two backends, batches, and the learning rate's course."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import reference.models
import scratch.models
from parity.weights import get_state, load_arrays, load_config, load_model, set_state
from scratch.module import Array, Module, constant
from scratch.ops.cross_entropy import cross_entropy
from scratch.optim import AdamW
from scratch.random import use_generator

# A batch is the model's inputs followed by the labels. Logits (..., classes) have their classes last.


class NumPyBackend:
    """Trains and applies a model of scratch.models."""

    name, device = "numpy", "cpu"

    def __init__(self, model: Module):
        self.model = model
        self.optimizer = AdamW(model.parameters())

    def step(self, *batch: Array, lr: float) -> tuple[float, float]:
        """Train on one batch; its loss and accuracy before the update."""
        self.model.train()
        self.model.zero_grad()
        *inputs, labels = self._arrays(batch)
        with constant(*inputs):
            logits, backward = self.model(*inputs)
        loss, loss_backward = cross_entropy(_rows(logits), labels.reshape(-1))
        drows, *_ = loss_backward(np.ones_like(loss))
        backward(drows.reshape(logits.shape))
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        return float(loss), accuracy(logits, labels)

    def score(self, *batch: Array) -> tuple[float, float]:
        """The loss and accuracy on one batch."""
        *inputs, labels = self._arrays(batch)
        logits = self.logits(*inputs)
        loss, _ = cross_entropy(_rows(logits), labels.reshape(-1))
        return float(loss), accuracy(logits, labels)

    def logits(self, *inputs: Array) -> Array:
        """The model's logits."""
        self.model.eval()
        logits, _ = self.model(*self._arrays(inputs))
        return logits

    def _arrays(self, batch: Sequence[Array]) -> list[Array]:
        dtype = next(self.model.parameters()).data.dtype
        return [array.astype(dtype, copy=False) if array.dtype.kind == "f" else array for array in batch]


class TorchBackend:
    """Trains and applies a model of reference.models, on any device of PyTorch's."""

    name = "torch"

    def __init__(self, model: torch.nn.Module, device: str = "cpu"):
        if device == "cuda":  # float32 as everywhere else, and the same sums in every run
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cudnn.deterministic = True
        self.model, self.device = model.to(device), device
        self.optimizer = torch.optim.AdamW(self.model.parameters())

    def step(self, *batch: Array, lr: float) -> tuple[float, float]:
        """Train on one batch; its loss and accuracy before the update."""
        self.model.train()
        self.model.zero_grad()
        *inputs, labels = self._tensors(batch)
        logits = self.model(*inputs)
        loss = F.cross_entropy(_rows(logits), labels.reshape(-1))
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        return loss.item(), accuracy(logits, labels)

    @torch.no_grad()
    def score(self, *batch: Array) -> tuple[float, float]:
        """The loss and accuracy on one batch."""
        self.model.eval()
        *inputs, labels = self._tensors(batch)
        logits = self.model(*inputs)
        return F.cross_entropy(_rows(logits), labels.reshape(-1)).item(), accuracy(logits, labels)

    @torch.no_grad()
    def logits(self, *inputs: Array) -> Array:
        """The model's logits."""
        self.model.eval()
        return self.model(*self._tensors(inputs)).cpu().numpy()

    def _tensors(self, batch: Sequence[Array]) -> list[torch.Tensor]:
        dtype = next(self.model.parameters()).dtype
        tensors = (torch.from_numpy(array) for array in batch)
        return [t.to(self.device, dtype if t.is_floating_point() else None) for t in tensors]


Backend = NumPyBackend | TorchBackend


def _rows(logits: Any) -> Any:
    return logits.reshape(-1, logits.shape[-1])


def accuracy(logits: Any, labels: Any) -> float:
    """The share of labels that are the largest of their logits, in either backend."""
    return float((logits.argmax(-1) == labels).sum()) / math.prod(labels.shape)


def new_model(name: str, config: Mapping[str, Any], seed: int, dtype: str) -> Module:
    """A model of scratch.models with initial weights that depend on nothing but the seed."""
    with use_generator(np.random.default_rng(seed)):
        return getattr(scratch.models, name)(**config).astype(dtype)


def saved_model(directory: str | Path, name: str, dtype: str) -> tuple[Module, dict[str, Any]]:
    """The scratch model of class `name` that either backend saved in a directory, and its config; ValueError where none is."""
    found, config = load_config(directory)
    if found != name:
        raise ValueError(f"{directory}: expected a {name}, found a model of class {found!r}")
    model = load_model(directory, scratch.models).astype(dtype)
    set_state(model, load_arrays(Path(directory) / "model.safetensors"))  # again, in the dtype in which they were saved
    return model, config


def backend_for(name: str, model: Module, config: Mapping[str, Any], device: str = "cpu") -> Backend:
    """A backend that begins at the weights of `model`, itself or its PyTorch twin."""
    if name == "numpy":
        return NumPyBackend(model)
    state = get_state(model)
    twin = getattr(reference.models, type(model).__name__)(**config).to(torch.from_numpy(next(iter(state.values()))).dtype)
    set_state(twin, state)
    return TorchBackend(twin, device)


def score(backend: Backend, *arrays: Array, batch: int = 500) -> tuple[float, float]:
    """The mean loss and accuracy over a data set, in batches."""
    pieces = [tuple(a[i : i + batch] for a in arrays) for i in range(0, len(arrays[0]), batch)]
    loss, accuracy = np.average([backend.score(*p) for p in pieces], axis=0, weights=[len(p[0]) for p in pieces])
    return float(loss), float(accuracy)


def shuffled(rng: np.random.Generator, batch: int, *arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The batches of one epoch, in an order drawn from `rng`; the last may be smaller."""
    order = rng.permutation(len(arrays[0]))
    for start in range(0, len(order), batch):
        yield tuple(array[order[start : start + batch]] for array in arrays)


def warmup_cosine(step: int, steps: int, peak: float, warmup: float = 0.1) -> float:
    """The learning rate at a step counted from 0: up to `peak` over a share of the steps, then down half a cosine towards 0."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising))) / 2
