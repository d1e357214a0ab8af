"""GPT."""

from typing import Any

from parity.case import ParityCase
from parity.cases.draws import Inputs
from parity.inputs import Draw

V, CONTEXT, HEADS, HEAD = 23, 19, 3, 5
B, T, BEFORE = 5, 13, 6


def text(layers: int = 0, time: int = T) -> Inputs:
    """Return a draw of tokens, many of them equal, and of the key-value caches of so many layers."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        inputs: dict[str, Any] = {"tokens": draw.integers(0, V - 1, B, time)}  # only the head uses the last row of the table
        kept = (draw.normal(layers, B, HEADS, BEFORE, HEAD) for _ in range(2))
        return inputs | ({"state": tuple(kept)} if layers else {})

    return draw_inputs


SIZES: dict[str, Any] = {"vocab_size": V, "context": CONTEXT, "width": HEADS * HEAD, "layers": 2, "heads": HEADS}
CASES = [
    ParityCase(f"gpt{suffix}", "models.GPT", inputs, SIZES | config, constants=("state",))
    for suffix, inputs, config in (
        ("", text(), {}),
        ("-one-layer", text(time=CONTEXT), {"layers": 1}),
        ("-deep", text(), {"layers": 12}),
        ("-one-head", text(), {"heads": 1}),
        ("-dropout", text(), {"dropout": 0.3}),
        ("-continued", text(layers=2), {}),
        ("-continued-to-the-end", text(layers=3, time=CONTEXT - BEFORE), {"layers": 3, "dropout": 0.3}),
        ("-one-token", text(layers=2, time=1), {}),
    )
]
CASES += [ParityCase("gpt-batch-of-one", "models.GPT", lambda draw: {"tokens": draw.integers(0, V - 1, 1, 6)}, SIZES)]
