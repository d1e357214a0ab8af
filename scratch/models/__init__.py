"""Architectures, one file each, with the names and parameters of their PyTorch twins in reference.models."""

from scratch.models.cnn import CNN
from scratch.models.mlp import MLP

__all__ = ["CNN", "MLP"]
