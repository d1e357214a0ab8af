"""The case of a saved model: its twins at its own weights, on the inputs that were saved with it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import parity.siblings  # noqa: F401  first
import scratch.models
from parity.case import ParityCase, resolve
from parity.cases import tables
from parity.checkpoints.arrays import load_arrays, refuse_not_finite
from parity.judging.verdict import describe
from parity.running.builders import reference_builder
from parity.running.device import reproducible
from parity.running.problem import Problem
from parity.running.run_reference import run_reference
from parity.weights import SAMPLES, WEIGHTS, load_config, load_model
from scratch.module import Array


def saved_model(directory: Path, pattern: str = "") -> ParityCase:
    """Return the case of the model in a directory; ValueError, in one line, where the directory holds no such model."""
    model, config = load_config(directory)
    rows = [case for case in tables().cases if case.scratch == f"models.{model}" and case.training]
    if not rows:
        raise ValueError(
            f"{directory}: config.json names the model {model!r}, which has no case; `parity list` names those that have"
        )
    if pattern and pattern.lower() not in model.lower():
        raise ValueError(f"{directory} holds a {model}, not {pattern!r}; leave PATTERN out or name another directory")
    load_model(directory, scratch.models)  # this refuses files that fit no model
    state = load_arrays(directory / WEIGHTS)
    inputs = _inputs(directory / SAMPLES, model, resolve(rows[0].scratch, "scratch").forward)
    case = replace(rows[0], name=f"{model.lower()}-saved", config=config, inputs=lambda draw: inputs, state=state, training=False)
    _try_forward(case, inputs, directory / SAMPLES)
    return case


def _inputs(path: Path, model: str, forward: Any) -> dict[str, Any]:
    """Read the inputs of a model in the order of its arguments; an input that is not given has its default."""
    samples = load_arrays(path)
    taken = {name: parameter for name, parameter in inspect.signature(forward).parameters.items() if name != "self"}
    if unknown := samples.keys() - taken:
        raise ValueError(
            f"{path} has {', '.join(sorted(unknown))}, which {model} does not take; expected some of {', '.join(taken)}"
        )
    if lacking := [name for name, parameter in taken.items() if parameter.default is parameter.empty and name not in samples]:
        raise ValueError(f"{path} has no {' and no '.join(lacking)}, which {model} needs")
    if empty := [name for name, array in samples.items() if not array.size]:
        raise ValueError(f"{path}: {empty[0]} is empty, of shape {samples[empty[0]].shape}; expected a few examples")
    refuse_not_finite(path, samples)
    last = max(i for i, name in enumerate(taken) if name in samples)
    given = list(taken.items())[: last + 1]
    return {name: _as_drawn(samples[name]) if name in samples else parameter.default for name, parameter in given}


def _as_drawn(array: Array) -> Array:
    """Return an input in the dtype of the drawn inputs of cases."""
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _try_forward(case: ParityCase, inputs: Mapping[str, Any], path: Path) -> None:
    """Raise ValueError where the PyTorch twin cannot be applied to the inputs."""
    try:
        with reproducible():
            run_reference(
                reference_builder(case), Problem(inputs, case.state or {}, ()), "float32", backward=False, record_calls=False
            )
    except Exception as error:  # the weights fit, so the inputs are to blame
        raise ValueError(f"{path} does not fit the model, to which it cannot be applied: {describe(error)}") from error
