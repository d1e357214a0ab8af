"""What torch.nn lacks."""

from reference.layers.activation import activation_named

__all__ = ["activation_named"]
