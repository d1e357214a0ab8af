"""Weights shared between backends: state dicts as NumPy arrays, strict loading, and files that either backend reads.

A model's directory holds `config.json`, which says how to build it, and `model.safetensors`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

import parity.siblings  # noqa: F401  first
from scratch.module import Array, Module, state_mismatch

AnyModule = Module | torch.nn.Module


def get_state(module: AnyModule) -> dict[str, Array]:
    """A copy of the module's state dict, from either backend."""
    arrays = {name: v.detach().cpu().numpy() if isinstance(v, torch.Tensor) else v for name, v in module.state_dict().items()}
    return {name: array.copy() for name, array in arrays.items()}


def set_state(module: AnyModule, state: Mapping[str, Array]) -> None:
    """Copy a state in by name, in either backend; ValueError, before anything is changed, unless every name and shape fits."""
    if isinstance(module, Module):
        module.load_state_dict(state)
        return
    unfit = state_mismatch({name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}, state)
    if unfit:
        raise ValueError(f"the state does not fit {type(module).__name__}: {unfit}")
    module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in state.items()})


def save_arrays(path: str | Path, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays to a safetensors file, whole or not at all, with words that load_metadata gives back.

    Names that hold the same memory, such as tied weights, are stored once; load_arrays gives every name back.
    """
    first: dict[tuple[int, tuple[int, ...], tuple[int, ...]], str] = {}
    tied = {}
    for name, array in arrays.items():
        place = (array.__array_interface__["data"][0], array.shape, array.strides)
        original = first.setdefault(place, name) if array.size else name
        if original != name:
            tied[name] = original
    # safetensors writes the memory as it lies: anything but C order would come back scrambled
    stored = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items() if name not in tied}
    replace_file(path, save(stored, metadata={**(metadata or {}), "tied": json.dumps(tied)}))


def load_arrays(path: str | Path) -> dict[str, Array]:
    """Read a safetensors file; ValueError where it is truncated or something else."""
    if not Path(path).is_file():
        raise ValueError(f"{path}: there is no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
            tied = json.loads((file.metadata() or {}).get("tied", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path}: expected a safetensors file, but it is truncated or of another format ({error})") from error
    return arrays | {name: arrays[original] for name, original in tied.items()}


def load_metadata(path: str | Path) -> dict[str, str]:
    """The words that a safetensors file was saved with."""
    with safe_open(path, framework="numpy") as file:
        return file.metadata() or {}


def save_model(directory: str | Path, module: AnyModule, config: Mapping[str, Any]) -> None:
    """Write a model of scratch.models or reference.models: its class and the arguments that built it, and its weights."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    state = module.state_dict()
    # detach() keeps the memory of tied tensors the same, by which they are recognised
    arrays = {name: v.detach().cpu().numpy() if isinstance(v, torch.Tensor) else v for name, v in state.items()}
    save_arrays(directory / "model.safetensors", arrays)
    text = json.dumps({"model": type(module).__name__, "config": dict(config)}, indent=2)
    replace_file(directory / "config.json", f"{text}\n".encode())


def load_config(directory: str | Path) -> tuple[str, dict[str, Any]]:
    """The class name and the arguments in a model's directory."""
    path = Path(directory) / "config.json"
    try:
        described = json.loads(path.read_text())
        return described["model"], described["config"]
    except FileNotFoundError:
        raise ValueError(f"{directory}: expected a model's directory with config.json and model.safetensors") from None
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f'{path}: expected {{"model": CLASS, "config": {{...}}}} ({type(error).__name__}: {error})') from error


def load_model(directory: str | Path, models: ModuleType) -> Any:
    """Build the model of a directory with `models` (scratch.models or reference.models) and load its weights."""
    name, config = load_config(directory)
    build: Callable[..., AnyModule] | None = getattr(models, name, None)
    if build is None:
        raise ValueError(f"{directory}: config.json names the model {name!r}, which {models.__name__} does not have")
    try:
        module = build(**config)
    except TypeError as error:
        raise ValueError(f"{directory}: the arguments in config.json do not fit {name}: {error}") from error
    set_state(module, load_arrays(Path(directory) / "model.safetensors"))
    return module


def replace_file(path: str | Path, content: bytes) -> None:
    """Write a file under another name beside it and then rename it, so that a reader never finds half of it."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
