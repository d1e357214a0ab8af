"""The Vision Transformer, its self-attention, and the interpolation of its positions."""

from typing import Any

from parity.case import ParityCase
from parity.cases.draws import Inputs, normal


def table(positions: int, width: int = 7) -> Inputs:
    """Return a draw of a table of learned positions."""
    return lambda draw: {"positions": draw.normal(1, positions, width)}


AFTER = ("transformer_models",)
OPS = [
    ParityCase(
        f"interpolate_positions-{name}",
        "ops.interpolate_positions",
        table(first + grid[0] * grid[1]),
        {"grid": grid, "size": size},
    )
    for name, first, grid, size in (
        ("larger", 1, (3, 4), (7, 5)),
        ("smaller", 1, (7, 5), (3, 4)),
        ("one-side", 2, (3, 5), (3, 8)),
        ("no-token", 0, (4, 3), (5, 9)),
        ("from-one", 1, (1, 3), (4, 2)),
        ("same", 1, (3, 4), (3, 4)),
    )
]
LAYERS = [
    ParityCase(
        f"SelfAttention{suffix}",
        "layers.SelfAttention",
        normal(3, T, 15),
        {"embed_dim": 15, "num_heads": heads},
    )
    for suffix, T, heads in (("", 13, 3), ("-one-head", 13, 1), ("-long", 131, 5))
]

# Weights with several axes are scaled by their fan-in, as kernels need; that would make these two too small.
SCALES = {"pos_embedding": 8, "class_token": 4}
STACK: dict[str, Any] = {"width": 15, "layers": 2, "heads": 3, "feed_forward": 11, "classes": 7}
PIXELS: dict[str, Any] = {"in_channels": 3, "image_size": [15, 12], "patch_size": [5, 3]}
# In a deep stack with large residual branches all tokens become similar, and mistakes in attention no longer show.
QUIET = {".out_proj.": 0.25, ".mlp.3.": 0.25, ".ln_1.bias": 0.25, ".ln_2.bias": 0.25, ".in_proj_weight": 2}
MODELS = [
    ParityCase(f"vit{suffix}", "models.ViT", normal(3, 3, *size), PIXELS | STACK | config, scales=SCALES | scales)
    for suffix, size, config, scales in (
        ("", (15, 12), {}, {}),
        ("-mean", (15, 12), {"pool": "mean"}, {}),
        ("-larger", (20, 24), {}, {}),
        ("-smaller", (10, 6), {"pool": "mean", "dropout": 0.3}, {}),
        ("-dropout", (15, 12), {"dropout": 0.3}, {}),
        ("-square", (12, 12), {"image_size": 12, "patch_size": 4}, {}),
        ("-deep", (15, 12), {"layers": 12, "width": 14, "heads": 2}, QUIET),
    )
]

CASES = [*OPS, *LAYERS, *MODELS]
CASES += [
    ParityCase(
        f"interpolate_positions-{name}",
        "ops.interpolate_positions",
        table(*shape),
        {"grid": grid, "size": size},
    )
    for name, shape, grid, size in (("one-number-each", (9, 1), (2, 4), (3, 5)), ("large", (64, 67), (8, 8), (8, 9)))
]
CASES += [
    ParityCase(f"SelfAttention-{size}", "layers.SelfAttention", normal(*shape), {"embed_dim": shape[-1], "num_heads": 3})
    for size, shape in (("batch-of-one", (1, 5, 6)), ("square", (18, 13, 18)))
]
CASES += [
    ParityCase("vit-batch-of-one", "models.ViT", normal(1, 3, 10, 12), PIXELS | STACK | {"image_size": [10, 12]}, scales=SCALES)
]
