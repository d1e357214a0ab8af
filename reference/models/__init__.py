"""The PyTorch twins of scratch.models: same names, same constructor, same state_dict."""

from reference.models.cnn import CNN
from reference.models.mlp import MLP

__all__ = ["CNN", "MLP"]
