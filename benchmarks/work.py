"""One phase of a case, ready to be timed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from parity.inputs import Draw
from parity.running import nested
from parity.running.problem import Tensors
from parity.running.trace import to_numpy
from scratch.module import Array

FORWARD = "forward"  # the value alone, as in inference: PyTorch records no graph
FORWARD_BACKWARD = "forward+backward"  # the value and the gradient of every input
STEP = "step"  # forward, cross-entropy, backward and AdamW
UPDATE = "AdamW"  # the update of all weights, with given gradients


@dataclass(frozen=True)
class Work:
    """Work that `run(*fresh())` does once: `fresh` makes the inputs, and only `run` is timed.

    The results are arrays or tensors, nested in dictionaries and tuples. The results of `rounds` runs are compared: the loss of
    the second step depends on the update of the first.
    """

    fresh: Callable[[], tuple[Any, ...]]
    run: Callable[..., dict[str, Any]]
    rounds: int = 1

    def results(self) -> Tensors:
        """Do the work and return the results of all rounds as arrays, by name."""
        results: Tensors = {}
        for i in range(self.rounds):
            nest = self.run(*self.fresh())
            prefix = f"round {i + 1}: " if self.rounds > 1 else ""
            results |= {
                f"{prefix}{name}": to_numpy(leaf) for key, value in nest.items() for name, leaf in nested.leaves(key, value)
            }
        return results


def logits_of(y: Any) -> Any:
    """Return the model's value, or the first of several values: the loss is computed from it."""
    return y[0] if isinstance(y, tuple) else y


def for_labels(logits: Any, labels: Any) -> Any:
    """Return logits in the form that cross_entropy takes: one row for each label, or images unchanged."""
    return logits if labels.ndim > 1 else logits.reshape(len(labels), -1)


def gradients_for(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Draw a gradient for each weight."""
    draw = Draw(3)
    return {name: draw.normal(*shape) for name, shape in shapes.items()}


def labels_for(*shape: int) -> Array:
    """Draw labels for logits of this shape: one a pixel for images (N, classes, H, W), else one for each row of (..., classes)."""
    if len(shape) == 4:
        N, classes, *image = shape
        return Draw(2).integers(0, classes, N, *image)
    *rows, classes = shape
    return Draw(2).integers(0, classes, math.prod(rows))
