"""The task that a run learns: its batches, its score on held-out data, and examples to show."""

from __future__ import annotations

from typing import Any

from examples.data.batches import IGNORED
from examples.training.backend import Backend
from examples.training.objectives import Objective, cross_entropy
from examples.training.options import TrainingOptions
from scratch.module import Array

# The purpose of a random generator. It is seeded with (seed, purpose, step), so a resumed run draws the same numbers.
HELD_OUT, SAMPLES, BATCHES, MASKS, CHANGES = range(5)


class Task:
    """The data of a run and how to score a model on it.

    unit       the loss is a mean over these: "character"
    nats       whether the loss is in nats per unit
    carries    whether the recurrent state is carried from one batch to the next
    options    the options of the run
    """

    unit: str
    nats = True
    carries = False
    options: TrainingOptions

    @property
    def objective(self) -> Objective:
        """The loss that training minimises."""
        return cross_entropy(self.options.label_smoothing)

    def describe(self) -> str:
        """Return a description of the data in one line."""
        raise NotImplementedError

    def vocabulary(self) -> dict[str, Any]:
        """Return the symbols that the numbers stand for, by name: strings or lists of strings."""
        raise NotImplementedError

    def batch(self, step: int) -> tuple[Any, ...]:
        """Return the inputs and labels of a step; they depend on the step and the seed alone."""
        raise NotImplementedError

    def size(self, batch: tuple[Any, ...]) -> int:
        """Return the number of units in a batch: of labels that count."""
        return int((batch[-1] != IGNORED).sum())

    def resets_state(self, step: int) -> bool:
        """Return whether the recurrent state is reset before this step."""
        return True

    def validate(self, backend: Backend) -> dict[str, float]:
        """Return the scores on held-out data, by name: the "loss", and shares from 0 to 1."""
        raise NotImplementedError

    def show(self, backend: Backend, step: int) -> list[str]:
        """Return a few lines that the model writes or answers after so many steps."""
        return []

    def samples(self) -> dict[str, Array]:
        """Return a few inputs of the model, by name, for `parity check` to compare the twins on."""
        raise NotImplementedError
