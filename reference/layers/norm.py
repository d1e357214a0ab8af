"""Normalisation layers that torch.nn lacks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation of images with constant parameters and statistics: torchvision.ops.FrozenBatchNorm2d."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(num_features))
        self.register_buffer("bias", torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def freeze_batch_norm(module: nn.Module) -> None:
    """Replace every BatchNorm2d inside the module by a FrozenBatchNorm2d with the same parameters and statistics."""
    for parent in list(module.modules()):
        for name, norm in list(parent.named_children()):
            if isinstance(norm, nn.BatchNorm2d):
                state = norm.state_dict()
                del state["num_batches_tracked"]
                frozen = FrozenBatchNorm2d(norm.num_features, norm.eps)
                frozen.load_state_dict(state)
                setattr(parent, name, frozen)
