"""Parts of a training step that torch.optim lacks."""

from reference.optim import lr_scheduler

__all__ = ["lr_scheduler"]
