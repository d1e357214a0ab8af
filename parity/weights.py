"""Weights that both backends share: state dicts as NumPy arrays, strict loading, and directories that either backend reads.

The directory of a model holds its class and constructor arguments in `config.json`, and its weights in `model.safetensors`. A few
inputs in `samples.safetensors` serve to verify it.
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
LARGEST_NUMBER = 2**31 - 1  # in a config


def save_model(directory: str | Path, module: AnyModule, config: Mapping[str, Any]) -> None:
    """Write a model of scratch.models or reference.models: its class, its constructor arguments and its weights."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    state = module.state_dict()
    # detach() makes no copy, so tied tensors still share memory and are stored once
    arrays = {name: v.detach().cpu().numpy() if isinstance(v, torch.Tensor) else v for name, v in state.items()}
    save_arrays(directory / WEIGHTS, arrays)
    text = json.dumps({"model": type(module).__name__, "config": dict(config)}, indent=2)
    replace_file(directory / CONFIG, f"{text}\n".encode())


def load_config(directory: str | Path) -> tuple[str, dict[str, Any]]:
    """Read the class and the constructor arguments of the model in a directory; ValueError where they describe no model."""
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
    except Exception as error:  # the arguments are to blame for any error of a constructor
        raise ValueError(f"{directory}: the arguments in {CONFIG} do not fit {name} ({_described(error)})") from error
    state = load_arrays(weights)
    refuse_not_finite(weights, state)
    set_state(module, state)
    return module


def refuse_unfit(source: str, name: str, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError unless a model with these arguments has weights of these shapes; the check takes no memory for weights.

    `source` is the origin of the arguments, for the message.
    """
    try:
        with torch.device("meta"), _at_most(4 * len(shapes) + 1000), warnings.catch_warnings(action="ignore"):
            twin = getattr(reference.models, name)(**config)
    except Exception as error:  # the arguments are to blame for any error of a constructor
        raise ValueError(f"{source} do not fit {name} ({_described(error)})") from error
    expected = {name: tuple(tensor.shape) for name, tensor in twin.state_dict().items()}
    unfit = state_mismatch(expected, {name: SimpleNamespace(shape=shape) for name, shape in shapes.items()})
    if unfit:
        raise ValueError(f"{source} do not fit the weights: the state does not fit {name}: {unfit}")


def refuse_huge(value: Any, source: str | Path) -> None:
    """Raise ValueError where a whole number is larger than that of any model; lists and objects are searched at any depth."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            refuse_huge(item, source)
    elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise ValueError(f"{source}: expected whole numbers up to {LARGEST_NUMBER:,}, found one of {len(str(value))} digits")


@contextmanager
def _at_most(count: int) -> Iterator[None]:
    """Let PyTorch modules inside the block have at most so many parameters and submodules."""

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
    """Return a message about a directory without config.json: its content, and the next step."""
    if (directory / "checkpoint.safetensors").exists():
        return (
            f"it keeps a run that was killed, which has no {CONFIG} yet; "
            f"go on with --resume {directory}, whose end, or whose first Ctrl-C, saves what can be verified"
        )
    return f"expected a model's directory with {CONFIG} and {WEIGHTS}"


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
