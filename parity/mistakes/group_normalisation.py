"""Mistakes in group normalisation: those of layer normalisation within each group, and groups of other numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from parity.mistakes import row_normalisation
from parity.mistakes.graft import graft
from parity.mistakes.row_normalisation import layer_norm


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *,
    groups: str = "",
    change: str = "",
    divisor: str = "",
) -> Tensor:
    """Group normalisation spelt out, with other groups or one change."""
    N, C = input.shape[:2]
    G = {"one": 1, "each channel": C, "of num_groups": C // num_groups}.get(groups, num_groups)
    x = input.reshape(N, G, C // G, -1)
    if groups == "every n-th":
        x = input.reshape(N, C // G, G, -1).transpose(1, 2)
    axes = {"of the batch": (1, 0, 2, 3), "pixel by pixel": (0, 1, 3, 2)}.get(groups, (0, 1, 2, 3))
    rows = x.permute(axes)
    if groups == "of the batch":
        y = layer_norm(rows, tuple(rows.shape[1:]), eps=eps)
    elif groups == "pixel by pixel":
        y = layer_norm(rows, tuple(rows.shape[3:]), eps=eps)
    else:
        inner = "" if change == "weight lost in the backward" else change
        y = layer_norm(rows, tuple(rows.shape[2:]), eps=eps, change=inner, divisor=divisor)
    y = y.permute(axes)  # each of them is its own inverse
    y = (y.transpose(1, 2) if groups == "every n-th" else y).reshape(input.shape)
    along = (1, -1, *(1,) * (input.dim() - 2))
    if weight is not None:
        scaled = y * weight.view(along)
        y = graft(scaled, y + y.detach() * weight.view(along)) if change == "weight lost in the backward" else scaled
    return y if bias is None else y + bias.view(along)


TABLE: dict[str, list[tuple[str, Callable[..., Tensor]]]] = {
    "group_norm": [
        *(
            (text, partial(group_norm, groups=groups))
            for groups, text in {
                "every n-th": "puts every n-th channel into a group; those of a group follow each other",
                "one": "normalises all channels together: that is one group",
                "each channel": "normalises each channel alone: that is instance normalisation",
                "of num_groups": "takes num_groups for the number of channels in a group",
                "of the batch": "normalises over the batch as well, as batch normalisation does",
                "pixel by pixel": "normalises each pixel alone; all pixels of a group belong together",
            }.items()
        ),
        *((text, partial(group_norm, divisor=divisor)) for divisor, text in row_normalisation.DIVISORS.items()),
        ("takes the unbiased variance, / (n - 1); torch takes the biased one, / n", partial(group_norm, divisor="unbiased")),
        *(
            (text, partial(group_norm, change=change))
            for change, text in {
                "not centred": "subtracts the mean for the variance only",
                "variance about 0": "takes the mean of x² for the variance",
                "mean constant": "takes the mean of a group for a constant in the backward",
                "variance constant": "takes the variance of a group for a constant in the backward",
                "both constant": "takes the mean and the variance of a group for constants in the backward",
                "weight lost in the backward": "leaves weight out of the gradient of x",
                "undivided": "does not divide by the root in the backward",
                "term added": "adds the term that goes through the root in the backward, which is to be subtracted",
            }.items()
        ),
    ],
}
