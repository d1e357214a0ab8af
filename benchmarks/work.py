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

FORWARD = "forward"  # the value alone, as inference wants it: PyTorch records nothing for a backward
FORWARD_BACKWARD = "forward+backward"  # and the gradient of every input
STEP = "step"  # forward, cross-entropy, backward and AdamW
UPDATE = "AdamW"  # of all weights, given their gradients


@dataclass(frozen=True)
class Work:
    """`run(*fresh())` does the work once; `fresh` makes its inputs and `run` alone is timed.

    The results are arrays or tensors in a nest of dictionaries and tuples. Those of so many `rounds` are compared: a
    step's second loss shows what its first round updated.
    """

    fresh: Callable[[], tuple[Any, ...]]
    run: Callable[..., dict[str, Any]]
    rounds: int = 1

    def results(self) -> Tensors:
        """Do the work: the results of its rounds as arrays, by name."""
        results: Tensors = {}
        for i in range(self.rounds):
            nest = self.run(*self.fresh())
            prefix = f"round {i + 1}: " if self.rounds > 1 else ""
            results |= {
                f"{prefix}{name}": to_numpy(leaf) for key, value in nest.items() for name, leaf in nested.leaves(key, value)
            }
        return results


def logits_of(y: Any) -> Any:
    """What the loss is of: a model's value, or the first of several."""
    return y[0] if isinstance(y, tuple) else y


def for_labels(logits: Any, labels: Any) -> Any:
    """Logits as cross_entropy takes them: a row for each label, or images as they are."""
    return logits if labels.ndim > 1 else logits.reshape(len(labels), -1)


def gradients_for(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """A gradient for each weight."""
    draw = Draw(3)
    return {name: draw.normal(*shape) for name, shape in shapes.items()}


def labels_for(*shape: int) -> Array:
    """Labels for logits of this shape: for images (N, classes, H, W) one a pixel, else one a row of (..., classes)."""
    if len(shape) == 4:
        N, classes, *image = shape
        return Draw(2).integers(0, classes, N, *image)
    *rows, classes = shape
    return Draw(2).integers(0, classes, math.prod(rows))
