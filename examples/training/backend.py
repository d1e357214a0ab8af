"""The interface of the two backends, and what both do in the same way.

A batch is the model's inputs followed by the target. The target of a model with several heads is a tuple. The value of a
recurrent model is (logits, state); if the state is carried on, it is the last input of the next call.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from examples.data.batches import IGNORED, pieces
from examples.training.objectives import Objective, cross_entropy
from parity.running.dropout_masks import shared_noise
from scratch.module import Array
from scratch.random import use_generator

CROSS_ENTROPY = cross_entropy()


class Backend(Protocol):
    """A model with its optimiser, in NumPy or in PyTorch. Inputs and results are NumPy arrays in both.

    state   the recurrent state that is carried from one batch to the next; None at the start
    """

    name: str
    device: str
    model: Any
    optimizer: Any
    state: Any

    def step(
        self, *batch: Any, lr: float, clip: float = math.inf, carry: bool = False, objective: Objective = CROSS_ENTROPY
    ) -> tuple[float, float]:
        """Train on one batch, with the gradient clipped to a norm; return its loss and accuracy before the update."""
        ...

    def score(self, *batch: Any, carry: bool = False, objective: Objective = CROSS_ENTROPY) -> tuple[float, float]:
        """Return the loss and the accuracy on one batch in eval mode."""
        ...

    def predict(self, *inputs: Any) -> Any:
        """Return the value of the model in eval mode, such as its logits."""
        ...

    def start(self, *inputs: Any) -> Any:
        """Return the state in which a model of sequence pairs begins to write."""
        ...

    def attention(self, *inputs: Any) -> Array:
        """Return the attention weights of the model."""
        ...

    def generate(self, prompt: Array, uniforms: Array, state: Any = None, **options: Any) -> Array:
        """Return the tokens (B, steps) that the model writes after a prompt, also beyond its context."""
        ...

    def optimizer_state(self) -> dict[int, dict[str, Array]]:
        """Return the arrays that the optimiser keeps for each parameter, by number."""
        ...

    def load_optimizer_state(self, kept: Mapping[int, Mapping[str, Array]]) -> None:
        """Load the optimiser's arrays, which either backend may have saved."""
        ...

    def carried(self) -> list[Array]:
        """Return the arrays of the recurrent state that is carried on."""
        ...

    def carry(self, arrays: Sequence[Array]) -> None:
        """Set the recurrent state that is carried on; no arrays reset it."""
        ...


def mean_score(
    backend: Backend, *arrays: Array | None, batch: int = 500, objective: Objective = CROSS_ENTROPY
) -> tuple[float, float]:
    """Return the mean loss and accuracy over a data set, in batches; an input may be None."""
    inputs, labels = arrays[:-1], arrays[-1]
    assert labels is not None
    parts = [
        (*(None if array is None else array[piece] for array in inputs), labels[piece]) for piece in pieces(len(labels), batch)
    ]
    counts = [np.count_nonzero(labels[piece] != IGNORED) for piece in pieces(len(labels), batch)]
    loss, accuracy = np.average([backend.score(*part, objective=objective) for part in parts], axis=0, weights=counts)
    return float(loss), float(accuracy)


@contextmanager
def noise(*seed: int) -> Iterator[None]:
    """Draw the dropout masks of both backends inside the block from one generator with this seed."""
    rng = np.random.default_rng(seed)
    with use_generator(rng), shared_noise(rng.random):
        yield


def freeze(model: Any, rates: Mapping[str, float]) -> list[Any]:
    """Freeze the submodules whose rate is 0 and return them: they get no gradient and have to stay in eval mode."""
    submodules = [submodule for name, submodule in model.named_children() if rates.get(name) == 0]
    for submodule in submodules:
        submodule.requires_grad_(False)
    return submodules


def parameter_groups(model: Any, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Group the trained parameters by the rate of their submodule, a share of the learning rate that is 1 by default."""
    groups: dict[float, list[Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(rates.get(name.split(".")[0], 1.0), []).append(parameter)
    return [{"params": parameters, "share": share} for share, parameters in groups.items()]


def split_value(y: Any, target: Any) -> tuple[tuple[Any, ...], tuple[Any, ...], Any]:
    """Split the value of a model into predictions and recurrent state; return the predictions, the targets and the state."""
    if isinstance(target, tuple):
        return y if isinstance(y, tuple) else (y,), target, None
    prediction, state = y if isinstance(y, tuple) else (y, None)
    return (prediction,), (target,), state


def as_state(leaves: list[Any]) -> Any:
    """Return the recurrent state that these arrays make up."""
    return tuple(leaves) if len(leaves) > 1 else leaves[0] if leaves else None


def step_function(model: Any) -> Any:
    """Return the function that writes token by token: the model's `step` if it has one, else the model."""
    return getattr(model, "step", model)
