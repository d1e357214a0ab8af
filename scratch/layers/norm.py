"""Normalisation layers."""

from collections.abc import Sequence

import numpy as np

from scratch.module import Array, Backward, Buffer, Module, Parameter, apply
from scratch.ops.group_norm import group_norm
from scratch.ops.layer_norm import layer_norm
from scratch.ops.norm import batch_norm, frozen_batch_norm
from scratch.ops.rms_norm import rms_norm


class _BatchNorm(Module):
    """Batch normalisation with torch's running statistics. At first weight is 1, bias 0, the mean 0 and the variance 1.

    `momentum` is the weight of the new batch in the running statistics; with None they are the average over all batches.
    """

    dimensions: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ):
        if num_features < 1:
            raise ValueError(f"{type(self).__name__}: expected a positive num_features, got {num_features}")
        self.eps, self.momentum = eps, momentum
        self.weight = Parameter(np.ones(num_features, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_features, np.float32)) if affine else None
        self.running_mean = Buffer(np.zeros(num_features, np.float32)) if track_running_stats else None
        self.running_var = Buffer(np.ones(num_features, np.float32)) if track_running_stats else None
        self.num_batches_tracked = Buffer(np.array(0)) if track_running_stats else None

    def forward(self, x: Array) -> tuple[Array, Backward]:
        if x.ndim not in self.dimensions:
            expected = " or ".join(f"{d}" for d in self.dimensions)
            raise ValueError(f"{type(self).__name__}: expected an input of {expected} dimensions, got shape {x.shape}")
        mean, var, count = self.running_mean, self.running_var, self.num_batches_tracked
        if mean is None or var is None or count is None:
            (y, _, _), backward = apply(batch_norm, x, self.weight, self.bias, None, None, training=True, eps=self.eps)
            return y, backward
        if self.training:
            count.data = count.data + 1
        momentum = 1 / max(int(count.data), 1) if self.momentum is None else self.momentum
        (y, mean.data, var.data), backward = apply(
            batch_norm, x, self.weight, self.bias, mean.data, var.data, training=self.training, momentum=momentum, eps=self.eps
        )
        return y, lambda dy: backward(dy)[0]  # the running statistics have no gradient


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of features (N, C) or sequences (N, C, L)."""

    dimensions = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (N, C, H, W)."""

    dimensions = (4,)


class FrozenBatchNorm2d(Module):
    """Batch normalisation of images (N, C, H, W) that is not trained, as torchvision.ops.FrozenBatchNorm2d.

    weight, bias, mean and variance are buffers. They are 1, 0, 0 and 1 until those of a trained network are loaded.
    """

    def __init__(self, num_features: int, eps: float = 1e-5):
        if num_features < 1:
            raise ValueError(f"FrozenBatchNorm2d: expected a positive num_features, got {num_features}")
        self.eps = eps
        self.weight = Buffer(np.ones(num_features, np.float32))
        self.bias = Buffer(np.zeros(num_features, np.float32))
        self.running_mean = Buffer(np.zeros(num_features, np.float32))
        self.running_var = Buffer(np.ones(num_features, np.float32))

    def forward(self, x: Array) -> tuple[Array, Backward]:
        if x.ndim != 4:
            raise ValueError(f"FrozenBatchNorm2d: expected an input of 4 dimensions, got shape {x.shape}")
        mean, var = self.running_mean.data, self.running_var.data
        y, backward = frozen_batch_norm(x, self.weight.data, self.bias.data, mean, var, self.eps)
        return y, lambda dy: backward(dy)[0]


def freeze_batch_norm(module: Module) -> None:
    """Replace every BatchNorm2d inside the module by a FrozenBatchNorm2d with the same state."""
    for _, parent in list(module.named_modules()):
        for name, norm in list(vars(parent).items()):
            if isinstance(norm, BatchNorm2d):
                state = norm.state_dict()
                del state["num_batches_tracked"]
                frozen = FrozenBatchNorm2d(len(state["weight"]), norm.eps)
                frozen.load_state_dict(state)
                setattr(parent, name, frozen)


class GroupNorm(Module):
    """Normalisation of x (N, num_channels, ...) over groups of channels, as torch.nn.GroupNorm."""

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True):
        if min(num_groups, num_channels) < 1 or num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: expected positive num_channels that num_groups divides, got {num_channels} and {num_groups}"
            )
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.weight = Parameter(np.ones(num_channels, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_channels, np.float32)) if affine else None

    def forward(self, x: Array) -> tuple[Array, Backward]:
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm: expected x (N, {self.num_channels}, ...), got {x.shape}")
        return apply(group_norm, x, self.weight, self.bias, num_groups=self.num_groups, eps=self.eps)


class LayerNorm(Module):
    """Normalisation of x (..., *normalized_shape) over its last axes, as torch.nn.LayerNorm; an int stands for one axis."""

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True
    ):
        self.normalized_shape, self.eps = _positive("LayerNorm", normalized_shape), eps
        self.weight = Parameter(np.ones(self.normalized_shape, np.float32)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(self.normalized_shape, np.float32)) if elementwise_affine and bias else None

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return apply(layer_norm, x, self.weight, self.bias, normalized_shape=self.normalized_shape, eps=self.eps)


class RMSNorm(Module):
    """Normalisation of x (..., *normalized_shape) by its root mean square over the last axes, as torch.nn.RMSNorm."""

    def __init__(self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True):
        self.normalized_shape, self.eps = _positive("RMSNorm", normalized_shape), eps
        self.weight = Parameter(np.ones(self.normalized_shape, np.float32)) if elementwise_affine else None

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return apply(rms_norm, x, self.weight, normalized_shape=self.normalized_shape, eps=self.eps)


def _positive(layer: str, normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    """Return a shape of one or more positive sizes, or raise ValueError; an int stands for one axis."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or min(shape) < 1:
        raise ValueError(f"{layer}: expected a normalized_shape of positive sizes, got {normalized_shape}")
    return shape
