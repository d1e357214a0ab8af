"""The two sides of a case: functions that each make a fresh module, the op with its options, or training steps."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from parity.case import ParityCase, resolve
from parity.running.generation_steps import TextSteps, TokenSteps
from parity.running.importing import find
from parity.running.problem import Build
from parity.running.schedule_steps import FactorSteps, ScheduleSteps
from parity.running.training_steps import ClippingSteps, OptimiserSteps, TrainingSteps


def builders(case: ParityCase, package: str = "scratch") -> tuple[Build, Build]:
    """Return the builders of the NumPy side and of the PyTorch side."""
    return scratch_builder(case, package), reference_builder(case)


def scratch_builder(case: ParityCase, package: str = "scratch") -> Build:
    """Return the builder of the side under judgement; for a layer, any callable that makes one will do."""
    target, twin = find(case.scratch, package), resolve(case.reference, "reference")
    if steps := steps_of(twin):
        return lambda: steps(target, case.config, lambda path: find(f"optim.{path}", package))
    if isinstance(twin, type):
        return lambda: target(**case.config).train(case.training)
    return lambda: partial(target, **case.config)


def reference_builder(case: ParityCase) -> Build:
    """Return the builder of the PyTorch side."""
    target = resolve(case.reference, "reference")
    if steps := steps_of(target):
        return lambda: steps(target, case.config, lambda path: resolve(f"torch.optim.{path}", "torch"))
    options = {name: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for name, v in case.config.items()}
    if isinstance(target, type):
        return lambda: target(**options).train(case.training)
    return lambda: partial(target, **options)


def steps_of(reference: Any) -> type[TrainingSteps] | None:
    """Return the kind of training steps that a reference has; None for ops, layers and models."""
    if isinstance(reference, type):
        kinds: dict[type, type[TrainingSteps]] = {
            torch.optim.Optimizer: OptimiserSteps,
            torch.optim.lr_scheduler.LRScheduler: ScheduleSteps,
        }
        return next((kind for base, kind in kinds.items() if issubclass(reference, base)), None)
    module = getattr(reference, "__module__", "") or ""
    if module == "reference.generation":
        return TokenSteps if reference.__name__ == "next_token" else TextSteps
    if module.startswith("torch.nn.utils.clip_grad"):
        return ClippingSteps
    return FactorSteps if module.startswith("reference.optim.lr_scheduler") else None
