"""Everything that a training run needs to resume, in one file that is complete at every moment.

The file holds the weights, the arrays of the optimiser, the recurrent state that is carried on and the losses so far. Its metadata
has the step and the options of the run. Batches, dropout masks and samples come from random generators that are seeded with (seed,
step), so the step is their state too. Either backend can resume a run that the other saved.

A file may come from somebody else: everything that is read is checked, and nothing in it names a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from examples.training.backend import Backend
from parity.checkpoints.arrays import load_stored, refuse_not_finite, save_arrays
from parity.checkpoints.disk import parse_json
from parity.weights import get_state
from scratch.module import Array

FILE = "checkpoint.safetensors"
KEPT = {"step", "exp_avg", "exp_avg_sq"}  # the arrays that AdamW keeps for a parameter
MAY_BE_NAN = "history.scores"


@dataclass
class Checkpoint:
    """A run after some steps.

    options      all options that the losses depend on, by name
    model        the class of the model
    config       the arguments of the model
    vocabulary   the symbols that the numbers stand for, by name
    arrays       "model.NAME", "optimizer.NUMBER.NAME", "state.NUMBER" and "history.NAME"
    environment  the last bits of the losses depend on it: versions, processor, threads
    """

    step: int
    options: dict[str, Any]
    model: str
    config: dict[str, Any]
    vocabulary: dict[str, Any]
    arrays: dict[str, Array]
    environment: dict[str, str] = field(default_factory=dict)  # older files have none

    def part(self, name: str) -> dict[str, Array]:
        """Return the arrays whose names begin with this word, without the word."""
        return {key.removeprefix(f"{name}."): array for key, array in self.arrays.items() if key.startswith(f"{name}.")}

    def save(self, directory: str | Path) -> None:
        """Write the file, and only then replace the last one with it."""
        described = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "arrays"}
        save_arrays(Path(directory) / FILE, self.arrays, {"checkpoint": json.dumps(described)})

    @classmethod
    def load(cls, directory: str | Path) -> Checkpoint:
        """Read the checkpoint of a directory; ValueError if there is none or it is not valid."""
        path = Path(directory) / FILE
        if not os.path.lexists(path):
            raise ValueError(f"{directory}: expected the directory of a run that was started with --save, which contains {FILE}")
        arrays, metadata = load_stored(path)
        if "checkpoint" not in metadata:
            raise ValueError(f"{path}: expected a checkpoint, found a safetensors file of another kind")
        described = parse_json(metadata["checkpoint"], f"{path}: its description")
        problem = _problem(described, arrays)
        if problem:
            raise ValueError(f"{path}: expected a checkpoint; {problem}")
        refuse_not_finite(path, {name: array for name, array in arrays.items() if name != MAY_BE_NAN})
        return cls(**described, arrays=arrays)


def _problem(described: Any, arrays: Mapping[str, Array]) -> str:
    """Return why a description and arrays are not those of a checkpoint; "" if they are."""
    types = {"step": int, "options": dict, "model": str, "config": dict, "vocabulary": dict, "environment": dict}
    if not isinstance(described, dict):
        return f"its description is a {type(described).__name__}, expected an object"
    missing, unknown = types.keys() - described.keys() - {"environment"}, described.keys() - types.keys()
    if missing or unknown:
        return "; ".join(
            f"{word} {', '.join(sorted(names))}" for word, names in (("missing", missing), ("unknown", unknown)) if names
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
        return "its environment has values that are not strings"
    if not all(isinstance(text, str) for symbols in described["vocabulary"].values() for text in _strings(symbols)):
        return "its vocabulary has symbols that are not strings"
    return _problem_of_history(step, arrays)


def _strings(symbols: Any) -> list[Any]:
    return symbols if isinstance(symbols, list) else [symbols]


def _problem_of_history(step: int, arrays: Mapping[str, Array]) -> str:
    losses, scores = arrays.get("history.losses"), arrays.get("history.scores")
    if losses is None or scores is None or {losses.dtype.kind, scores.dtype.kind} != {"f"}:
        return "its losses or scores are missing, or are not floating-point numbers"
    if losses.shape != ((step, 1) if step else (0,)):
        return f"after {step} steps its losses have the shape {losses.shape}, expected {(step, 1)}"
    if scores.size and (scores.ndim != 2 or scores.shape[1] < 2):
        return f"its scores have the shape {scores.shape}, expected one row for each report"
    return ""


def snapshot(backend: Backend, history: Mapping[str, Array]) -> dict[str, Array]:
    """Return all arrays of a backend, and those of the run's history."""
    arrays = {f"model.{name}": array for name, array in get_state(backend.model).items()}
    for number, kept in backend.optimizer_state().items():
        arrays |= {f"optimizer.{number}.{name}": array for name, array in kept.items()}
    arrays |= {f"state.{number}": array for number, array in enumerate(backend.carried())}
    return arrays | {f"history.{name}": array for name, array in history.items()}


def restore(backend: Backend, checkpoint: Checkpoint, state: Sequence[Array]) -> None:
    """Load the optimiser's arrays and the recurrent state of a checkpoint into a backend; ValueError if they do not fit.

    The model has the weights already. `state` is a recurrent state with the expected shapes and dtypes.
    """
    kept: dict[int, dict[str, Array]] = {}
    for key, array in checkpoint.part("optimizer").items():
        word, _, name = key.partition(".")
        number = int(word) if word.isdecimal() and len(word) < 10 else -1
        kept.setdefault(number, {})[name] = array
    parameters = [parameter for group in backend.optimizer.param_groups for parameter in group["params"]]
    for number, of_parameter in kept.items():
        if not 0 <= number < len(parameters) or not _fits(of_parameter, tuple(parameters[number].data.shape)):
            raise ValueError(
                f"{FILE}: the optimiser's arrays do not fit the model; expected {', '.join(sorted(KEPT))} for each parameter"
            )
    carried = checkpoint.part("state")
    leaves = [carried.get(str(number)) for number in range(len(carried))]
    if [(a.shape, a.dtype) if a is not None else None for a in leaves] != [(a.shape, a.dtype) for a in state]:
        raise ValueError(
            f"{FILE}: the recurrent state does not fit the model; expected {len(state)} arrays of the model's shapes and dtype"
        )
    backend.load_optimizer_state(kept)
    backend.carry([leaf for leaf in leaves if leaf is not None])


def _fits(kept: Mapping[str, Array], shape: tuple[int, ...]) -> bool:
    """Return whether these are the arrays that the optimiser keeps for a parameter of this shape."""
    return kept.keys() == KEPT and all(
        array.dtype.kind == "f" and array.shape == (() if name == "step" else shape) for name, array in kept.items()
    )
