"""References that are wrong on purpose: the mistakes that people make, each in a line or two of torch.

A table a file; each maps the name of a torch function to its mistakes. If a scratch twin equals one of them to rounding,
then that is what it computes. A mistake stands in for the function while the reference runs again, so that it serves the
function itself and every layer built on it. A new mistake is a row in one of these tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import parity.siblings  # noqa: F401  first
from parity.mistakes import (
    activation,
    attention,
    boxes,
    cells,
    convolution,
    dropout,
    embedding,
    group_normalisation,
    loss,
    normalisation,
    padding,
    pooling,
    positions,
    recurrent,
    resizing,
    row_normalisation,
    sequences,
    set_prediction,
    transposed,
    yolo,
)
from parity.mistakes.options import other_options

Wrong = Callable[..., Any]

TABLE: dict[str, list[tuple[str, Wrong]]] = {
    **activation.TABLE,
    **attention.TABLE,
    **boxes.TABLE,
    **cells.TABLE,
    **convolution.TABLE,
    **dropout.TABLE,
    **embedding.TABLE,
    **group_normalisation.TABLE,
    **loss.TABLE,
    **normalisation.TABLE,
    **padding.TABLE,
    **pooling.TABLE,
    **positions.TABLE,
    **recurrent.TABLE,
    **resizing.TABLE,
    **row_normalisation.TABLE,
    **sequences.TABLE,
    **set_prediction.TABLE,
    **transposed.TABLE,
    **yolo.TABLE,
}


def counterfactuals(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Iterator[tuple[str, Wrong]]:
    """What may be wrong with a call of the torch function of this name, and the functions that are wrong in this way."""
    yield from TABLE.get(name, ())
    yield from other_options(name, arguments, options)
