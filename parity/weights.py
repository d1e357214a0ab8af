"""Weights shared between backends: state dicts as NumPy arrays, strict loading, and directories that either backend reads.

A model's directory holds `config.json`, which says how to build it, and `model.safetensors`; and, to verify it, a few inputs in
`samples.safetensors`.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch.nn.modules import module as torch_hooks

import parity.siblings  # noqa: F401  first
import reference.models
from parity.checkpoints.arrays import load_arrays, refuse_not_finite, save_arrays, stored_shapes
from parity.checkpoints.disk import parse_json, read_file, replace_file
from parity.running.state import AnyModule, get_state, set_state
from scratch.module import state_mismatch

__all__ = [
    "CONFIG",
    "SAMPLES",
    "WEIGHTS",
    "AnyModule",
    "get_state",
    "load_config",
    "load_model",
    "refuse_huge",
    "refuse_unfit",
    "save_model",
    "set_state",
]
CONFIG, WEIGHTS, SAMPLES = "config.json", "model.safetensors", "samples.safetensors"
LONGEST_CONFIG = 10_000_000  # bytes
LARGEST = 2**31 - 1  # of the numbers in a config


def save_model(directory: str | Path, module: AnyModule, config: Mapping[str, Any]) -> None:
    """Write a model of scratch.models or reference.models: its class and the arguments that built it, and its weights."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    state = module.state_dict()
    # detach() keeps the memory of tied tensors the same, by which they are recognised
    arrays = {name: v.detach().cpu().numpy() if isinstance(v, torch.Tensor) else v for name, v in state.items()}
    save_arrays(directory / WEIGHTS, arrays)
    text = json.dumps({"model": type(module).__name__, "config": dict(config)}, indent=2)
    replace_file(directory / CONFIG, f"{text}\n".encode())


def load_config(directory: str | Path) -> tuple[str, dict[str, Any]]:
    """Read the class name and the arguments in a model's directory; ValueError where they cannot be those of a model."""
    path = Path(directory) / CONFIG
    if not os.path.lexists(path):
        raise ValueError(f"{directory}: {_no_model(Path(directory))}")
    described = parse_json(read_file(path, LONGEST_CONFIG), path)
    if not isinstance(described, dict) or not {"model", "config"} <= described.keys():
        raise ValueError(f'{path}: expected {{"model": CLASS, "config": {{...}}}}')
    name, config = described["model"], described["config"]
    if not isinstance(name, str) or not isinstance(config, dict):
        raise ValueError(
            f'{path}: expected {{"model": CLASS, "config": {{...}}}}, a string and an object, '
            f"got {type(name).__name__} and {type(config).__name__}"
        )
    refuse_huge(config, path)
    return name, config


def load_model(directory: str | Path, models: ModuleType) -> Any:
    """Build the model of a directory with `models` (scratch.models or reference.models) and load its weights."""
    name, config = load_config(directory)
    build: Callable[..., AnyModule] | None = getattr(models, name, None)
    if not isinstance(build, type):
        raise ValueError(f"{directory}: {CONFIG} names the model {name!r}, which {models.__name__} does not have")
    weights = Path(directory) / WEIGHTS
    refuse_unfit(f"{directory}: the arguments in {CONFIG}", name, config, stored_shapes(weights))
    try:
        module = build(**config)
    except Exception as error:  # whatever a constructor raises comes from the arguments
        raise ValueError(f"{directory}: the arguments in {CONFIG} do not fit {name} ({_described(error)})") from error
    state = load_arrays(weights)
    refuse_not_finite(weights, state)
    set_state(module, state)
    return module


def refuse_unfit(source: str, name: str, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError unless a model built by these arguments has a state of these shapes; no memory is taken to find out.

    `source` says where the arguments come from.
    """
    try:
        with torch.device("meta"), _at_most(4 * len(shapes) + 1000), warnings.catch_warnings(action="ignore"):
            twin = getattr(reference.models, name)(**config)
    except Exception as error:  # whatever a constructor raises comes from the arguments
        raise ValueError(f"{source} do not fit {name} ({_described(error)})") from error
    expected = {name: tuple(tensor.shape) for name, tensor in twin.state_dict().items()}
    unfit = state_mismatch(expected, {name: SimpleNamespace(shape=shape) for name, shape in shapes.items()})
    if unfit:
        raise ValueError(f"{source} do not fit the weights: the state does not fit {name}: {unfit}")


def refuse_huge(value: Any, source: str | Path) -> None:
    """Raise ValueError where a whole number, however deep in lists and objects, is larger than that of any model."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            refuse_huge(item, source)
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError(f"{source}: expected whole numbers up to {LARGEST:,}, found one of {len(str(value))} digits")


@contextmanager
def _at_most(count: int) -> Iterator[None]:
    """Inside the block, PyTorch modules with more than so many parameters and submodules cannot be built."""

    def take(*_: Any) -> None:
        nonlocal count
        count -= 1
        if count < 0:
            raise ValueError("they make many more layers than there are weights")

    handles = [
        torch_hooks.register_module_parameter_registration_hook(take),
        torch_hooks.register_module_module_registration_hook(take),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _no_model(directory: Path) -> str:
    """Say what a directory without config.json has, and what to do."""
    if (directory / "checkpoint.safetensors").exists():
        return (
            f"it keeps a run that was killed, which has no {CONFIG} yet; "
            f"go on with --resume {directory}, whose end, or whose first Ctrl-C, saves what can be verified"
        )
    return f"expected a model's directory with {CONFIG} and {WEIGHTS}"


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
