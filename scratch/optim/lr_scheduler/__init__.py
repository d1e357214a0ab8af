"""Learning-rate schedules with the names, options, rates and states of torch.optim.lr_scheduler, and factors for LambdaLR."""

from scratch.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from scratch.optim.lr_scheduler.cycle import CyclicLR
from scratch.optim.lr_scheduler.factor import ConstantLR, ExponentialLR, LambdaLR, LinearLR, MultiStepLR, PolynomialLR, StepLR
from scratch.optim.lr_scheduler.one_cycle import OneCycleLR
from scratch.optim.lr_scheduler.scheduler import LRScheduler
from scratch.optim.lr_scheduler.sequential import SequentialLR
from scratch.optim.lr_scheduler.warm_up import linear_warm_up, noam, warm_up_cosine

__all__ = [
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "PolynomialLR",
    "SequentialLR",
    "StepLR",
    "linear_warm_up",
    "noam",
    "warm_up_cosine",
]
