"""What scratch.optim has and torch.optim lacks."""

from reference.optim import lr_scheduler

__all__ = ["lr_scheduler"]
