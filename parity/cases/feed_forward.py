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
