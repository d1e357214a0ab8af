"""Models to train: new ones, saved ones, and the backend that trains a model or its PyTorch twin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import reference.models
import scratch.models
from examples.training.backend import Backend
from examples.training.numpy_backend import NumPyBackend
from examples.training.torch_backend import TorchBackend
from parity.checkpoints.arrays import load_arrays
from parity.weights import WEIGHTS, get_state, load_config, load_model, set_state
from scratch.module import Module
from scratch.random import use_generator


def new_model(name: str, config: Mapping[str, Any], seed: int, dtype: str) -> Module:
    """Return a model of scratch.models; its initial weights depend on the seed alone."""
    with use_generator(np.random.default_rng(seed)):
        return getattr(scratch.models, name)(**config).astype(dtype)


def saved_model(directory: str | Path, name: str, dtype: str) -> tuple[Module, dict[str, Any]]:
    """Return the scratch model of class `name` that either backend saved in a directory, and its config."""
    found, config = load_config(directory)
    if found != name:
        raise ValueError(f"{directory}: expected a {name}, found a model of class {found!r}")
    model = load_model(directory, scratch.models).astype(dtype)
    set_state(model, load_arrays(Path(directory) / WEIGHTS))  # once more, in the dtype of the file
    return model, config


def backend_for(
    name: str, model: Module, config: Mapping[str, Any], device: str = "cpu", rates: Mapping[str, float] | None = None
) -> Backend:
    """Return a backend that trains a NumPy model, or its PyTorch twin with the same weights.

    `rates` has the learning rates of some submodules, by name, as shares of the run's learning rate; 0 freezes a submodule.
    """
    if name == "numpy":
        return NumPyBackend(model, rates)
    state = get_state(model)
    twin = getattr(reference.models, type(model).__name__)(**config).to(torch.from_numpy(next(iter(state.values()))).dtype)
    set_state(twin, state)
    return TorchBackend(twin, device, rates)
