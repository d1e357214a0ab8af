"""Warm-ups, which torch.optim.lr_scheduler lacks."""

from reference.optim.lr_scheduler.warm_up import linear_warm_up, noam, warm_up_cosine

__all__ = ["linear_warm_up", "noam", "warm_up_cosine"]
