"""Loss layers: they are called with (input, target), and their backward returns the gradients of both (None for labels)."""

from scratch.module import Array, Backward, Buffer, Module
from scratch.ops.cross_entropy import cross_entropy
from scratch.ops.loss import binary_cross_entropy_with_logits, l1_loss, mse_loss, smooth_l1_loss
from scratch.ops.nll_loss import nll_loss


class CrossEntropyLoss(Module):
    """Cross-entropy of logits with labels or probabilities; weight (C,) is a buffer, as in torch."""

    def __init__(
        self, weight: Array | None = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
    ):
        self.weight = None if weight is None else Buffer(weight)
        self.ignore_index, self.reduction, self.label_smoothing = ignore_index, reduction, label_smoothing

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        weight = None if self.weight is None else self.weight.data
        y, backward = cross_entropy(input, target, weight, self.ignore_index, self.label_smoothing, self.reduction)
        return y, lambda dy: backward(dy)[:2]


class NLLLoss(Module):
    """Negative log-likelihood of log-probabilities; weight (C,) is a buffer, as in torch."""

    def __init__(self, weight: Array | None = None, ignore_index: int = -100, reduction: str = "mean"):
        self.weight = None if weight is None else Buffer(weight)
        self.ignore_index, self.reduction = ignore_index, reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        weight = None if self.weight is None else self.weight.data
        y, backward = nll_loss(input, target, weight, self.ignore_index, self.reduction)
        return y, lambda dy: backward(dy)[:2]


class MSELoss(Module):
    """Squared error."""

    def __init__(self, reduction: str = "mean"):
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        return mse_loss(input, target, self.reduction)


class L1Loss(Module):
    """Absolute error."""

    def __init__(self, reduction: str = "mean"):
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        return l1_loss(input, target, self.reduction)


class SmoothL1Loss(Module):
    """Squared error within beta of the target, absolute error beyond."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0):
        self.reduction, self.beta = reduction, beta

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        return smooth_l1_loss(input, target, self.reduction, self.beta)


class BCEWithLogitsLoss(Module):
    """Binary cross-entropy of logits; weight and pos_weight broadcast to the input and are buffers, as in torch."""

    def __init__(self, weight: Array | None = None, reduction: str = "mean", pos_weight: Array | None = None):
        self.weight = None if weight is None else Buffer(weight)
        self.pos_weight = None if pos_weight is None else Buffer(pos_weight)
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        weight, pos_weight = (None if b is None else b.data for b in (self.weight, self.pos_weight))
        y, backward = binary_cross_entropy_with_logits(input, target, weight, pos_weight, self.reduction)
        return y, lambda dy: backward(dy)[:2]
