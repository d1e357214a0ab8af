"""Everything that a training run goes on from, in one file that is whole at every moment.

The file holds the weights, what the optimiser keeps, the recurrent state that is carried on, the losses so far, and as
metadata the step and what the run was started with. Batches, masks and samples are drawn by generators that begin anew from
(seed, step), so that the step is their state too. Either backend goes on from what the other saved.

A file may come from somebody else: whatever is read is checked, and nothing in it names a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from training import Backend

from parity.checkpoints.arrays import load_stored, refuse_not_finite, save_arrays
from parity.checkpoints.disk import parse_json
from parity.weights import get_state
from scratch.module import Array

FILE = "checkpoint.safetensors"
KEPT = {"step", "exp_avg", "exp_avg_sq"}  # what AdamW keeps for a parameter
UNCHECKED = "history.scores"  # a score may be NaN


@dataclass
class Checkpoint:
    """A run after some steps.

    options      what the run was started with, by name: everything that its losses depend on
    model        the class of the model
    config       the arguments that built it
    vocabulary   the symbols that its numbers stand for, by name
    arrays       "model.NAME", "optimizer.NUMBER.NAME", "state.NUMBER" and "history.NAME"
    environment  what the last bits of its losses depend on: versions, processor, threads
    """

    step: int
    options: dict[str, Any]
    model: str
    config: dict[str, Any]
    vocabulary: dict[str, Any]
    arrays: dict[str, Array]
    environment: dict[str, str] = field(default_factory=dict)  # files of older versions have none

    def part(self, name: str) -> dict[str, Array]:
        """The arrays whose names begin with this word, without it."""
        return {key.removeprefix(f"{name}."): array for key, array in self.arrays.items() if key.startswith(f"{name}.")}

    def save(self, directory: str | Path) -> None:
        """Put it in place of the last one, once it is written whole."""
        described = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "arrays"}
        save_arrays(Path(directory) / FILE, self.arrays, {"checkpoint": json.dumps(described)})

    @classmethod
    def load(cls, directory: str | Path) -> Checkpoint:
        """Read a directory's checkpoint; ValueError where there is none, or something else."""
        path = Path(directory) / FILE
        if not os.path.lexists(path):
            raise ValueError(f"{directory}: expected the directory of a run that was started with --save, with {FILE} in it")
        arrays, metadata = load_stored(path)
        if "checkpoint" not in metadata:
            raise ValueError(f"{path}: expected a checkpoint, found a safetensors file of another kind")
        described = parse_json(metadata["checkpoint"], f"{path}: its description")
        problem = _problem(described, arrays)
        if problem:
            raise ValueError(f"{path}: expected a checkpoint; {problem}")
        refuse_not_finite(path, {name: array for name, array in arrays.items() if name != UNCHECKED})
        return cls(**described, arrays=arrays)


def _problem(described: Any, arrays: Mapping[str, Array]) -> str:
    """Say what keeps a description and arrays from being those of a checkpoint; "" where nothing does."""
    types = {"step": int, "options": dict, "model": str, "config": dict, "vocabulary": dict, "environment": dict}
    if not isinstance(described, dict):
        return f"its description is a {type(described).__name__}, expected an object"
    lacking, unknown = types.keys() - described.keys() - {"environment"}, described.keys() - types.keys()
    if lacking or unknown:
        return "; ".join(
            f"{word} {', '.join(sorted(names))}" for word, names in (("missing", lacking), ("unknown", unknown)) if names
        )
    for name, value in described.items():
        if type(value) is not types[name]:
            return f"its {name} is of type {type(value).__name__}, expected {types[name].__name__}"
    step = described["step"]
    if step < 0:
        return f"its step is {step}, expected at least 0"
    steps = described["options"].get("steps")
    if type(steps) is not int or step > steps:
        return f"its step is {step} of {steps!r}"
    if not all(isinstance(value, str) for value in described.get("environment", {}).values()):
        return "its environment has something else than strings"
    if not all(isinstance(text, str) for symbols in described["vocabulary"].values() for text in _strings(symbols)):
        return "its vocabulary has something else than strings"
    return _problem_of_history(step, arrays)


def _strings(symbols: Any) -> list[Any]:
    return symbols if isinstance(symbols, list) else [symbols]


def _problem_of_history(step: int, arrays: Mapping[str, Array]) -> str:
    losses, scores = arrays.get("history.losses"), arrays.get("history.scores")
    if losses is None or scores is None or {losses.dtype.kind, scores.dtype.kind} != {"f"}:
        return "its losses or scores are missing, or no floating-point numbers"
    if losses.shape != ((step, 1) if step else (0,)):
        return f"after {step} steps its losses have the shape {losses.shape}, expected {(step, 1)}"
    if scores.size and (scores.ndim != 2 or scores.shape[1] < 2):
        return f"its scores have the shape {scores.shape}, expected a row for each time that they were taken"
    return ""


def snapshot(backend: Backend, history: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of a backend and of what it has come through."""
    arrays = {f"model.{name}": array for name, array in get_state(backend.model).items()}
    for number, kept in backend.optimizer_state().items():
        arrays |= {f"optimizer.{number}.{name}": array for name, array in kept.items()}
    arrays |= {f"state.{number}": array for number, array in enumerate(backend.carried())}
    return arrays | {f"history.{name}": array for name, array in history.items()}


def restore(backend: Backend, checkpoint: Checkpoint, state: Sequence[Array]) -> None:
    """Put a backend, whose model has the checkpoint's weights already, where the run stopped; ValueError where it does not fit.

    `state` is a recurrent state of the shapes and dtype that the checkpoint's is to have.
    """
    kept: dict[int, dict[str, Array]] = {}
    for key, array in checkpoint.part("optimizer").items():
        number, _, name = key.partition(".")
        kept.setdefault(int(number) if number.isdecimal() else -1, {})[name] = array
    parameters = [parameter for group in backend.optimizer.param_groups for parameter in group["params"]]
    for number, of_parameter in kept.items():
        if not 0 <= number < len(parameters) or not _fits(of_parameter, tuple(parameters[number].data.shape)):
            raise ValueError(
                f"{FILE}: what the optimiser keeps does not fit the model; expected {', '.join(sorted(KEPT))} of each parameter"
            )
    carried = checkpoint.part("state")
    leaves = [carried.get(str(number)) for number in range(len(carried))]
    if [(a.shape, a.dtype) if a is not None else None for a in leaves] != [(a.shape, a.dtype) for a in state]:
        raise ValueError(
            f"{FILE}: the recurrent state does not fit the model: expected {len(state)} arrays of its shapes and dtype"
        )
    backend.load_optimizer_state(kept)
    backend.carry(leaves)


def _fits(kept: Mapping[str, Array], shape: tuple[int, ...]) -> bool:
    """Return whether these arrays are what the optimiser keeps for a parameter of this shape."""
    return kept.keys() == KEPT and all(
        array.dtype.kind == "f" and array.shape == (() if name == "step" else shape) for name, array in kept.items()
    )
