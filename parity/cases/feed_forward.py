"""The feed-forward block of transformers, plain and gated."""

from parity.case import ParityCase
from parity.cases.draws import normal

AFTER = ("positions",)
CASES = [
    ParityCase(f"FeedForward{suffix}", "layers.FeedForward", normal(3, 13, 7), {"d_model": 7, "d_ff": 11} | config)
    for suffix, config in (
        ("", {}),
        ("-dropout", {"activation": "gelu", "dropout": 0.3}),
        ("-gelu-tanh", {"activation": "gelu_tanh"}),
        ("-no-bias", {"activation": "silu", "bias": False}),
        ("-gated", {"activation": "gelu", "gated": True}),
        ("-gated-no-bias", {"activation": "silu", "dropout": 0.3, "bias": False, "gated": True}),
        ("-gated-sigmoid", {"activation": "sigmoid", "gated": True}),
    )
]
CASES += [
    ParityCase(f"FeedForward-{size}", "layers.FeedForward", normal(*shape), {"d_model": shape[-1], "d_ff": 5} | config)
    for size, shape, config in (
        ("one-row", (6,), {}),
        ("batch-of-one", (1, 2, 3, 5), {"activation": "gelu"}),
        ("square", (67, 67), {"activation": "silu", "gated": True}),
    )
]
