"""Optimisers over Parameters, schedules of their options and gradient clipping, with the semantics and the state of torch.optim."""

from scratch.optim import lr_scheduler
from scratch.optim.adam import Adam, AdamW
from scratch.optim.clip import clip_grad_norm_, clip_grad_value_
from scratch.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "clip_grad_norm_", "clip_grad_value_", "lr_scheduler"]
