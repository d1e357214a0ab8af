"""The NumPy backend: it trains and applies a model of scratch.models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import scratch.generation
import scratch.models
from examples.training.backend import CROSS_ENTROPY, as_state, freeze, parameter_groups, split_value, step_function
from examples.training.objectives import Objective
from parity.running import nested
from scratch.module import Array, Module, constant
from scratch.optim import AdamW, clip_grad_norm_


class NumPyBackend:
    """A Backend for a model of scratch.models."""

    name, device = "numpy", "cpu"

    def __init__(self, model: Module, rates: Mapping[str, float] | None = None):
        self.model: Any = model
        self.frozen = freeze(model, rates or {})
        self.optimizer = AdamW(parameter_groups(model, rates or {}))
        self.state: Any = None

    def step(
        self, *batch: Any, lr: float, clip: float = math.inf, carry: bool = False, objective: Objective = CROSS_ENTROPY
    ) -> tuple[float, float]:
        self.model.train()
        for submodule in self.frozen:
            submodule.eval()
        self.model.zero_grad()
        *inputs, target = self._arrays(batch)
        with constant(*(x for x in inputs if isinstance(x, np.ndarray))):
            predictions, targets, backward = self._apply(inputs, target, carry)
        loss, gradients = objective.numpy_loss(predictions, targets)
        backward(*gradients)
        if clip < math.inf:
            clip_grad_norm_(self.model.parameters(), clip)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["share"]
        self.optimizer.step()
        return loss, objective.share_right(predictions, targets)

    def score(self, *batch: Any, carry: bool = False, objective: Objective = CROSS_ENTROPY) -> tuple[float, float]:
        self.model.eval()
        *inputs, target = self._arrays(batch)
        predictions, targets, _ = self._apply(inputs, target, carry)
        loss, _ = objective.numpy_loss(predictions, targets)
        return loss, objective.share_right(predictions, targets)

    def predict(self, *inputs: Any) -> Any:
        self.model.eval()
        return self.model(*self._arrays(inputs))[0]

    def start(self, *inputs: Any) -> Any:
        self.model.eval()
        return self.model.start(*self._arrays(inputs))

    def attention(self, *inputs: Any) -> Array:
        self.model.eval()
        return self.model.attend(*self._arrays(inputs))

    def generate(self, prompt: Array, uniforms: Array, state: Any = None, **options: Any) -> Array:
        self.model.eval()
        if isinstance(self.model, scratch.models.GPT):
            return scratch.generation.generate_beyond(self.model.step, prompt, uniforms, self.model.context, **options)
        tokens, _ = scratch.generation.generate(step_function(self.model), prompt, uniforms, state, **options)
        return tokens

    def optimizer_state(self) -> dict[int, dict[str, Array]]:
        return self.optimizer.state_dict()["state"]

    def load_optimizer_state(self, kept: Mapping[int, Mapping[str, Array]]) -> None:
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": kept})

    def carried(self) -> list[Array]:
        return [leaf for _, leaf in nested.leaves("state", self.state)]

    def carry(self, arrays: Sequence[Array]) -> None:
        self.state = as_state(list(arrays))

    def _apply(self, inputs: list[Any], target: Any, carry: bool) -> tuple[tuple[Any, ...], tuple[Any, ...], Any]:
        """Return the predictions, the targets and the backward of the model."""
        y, backward = self.model(*inputs, *((self.state,) if carry else ()))
        predictions, targets, state = split_value(y, target)
        self.state = state if carry else self.state
        return predictions, targets, backward

    def _arrays(self, batch: Sequence[Any]) -> list[Any]:
        """Return the batch with its floating-point arrays in the dtype of the model."""
        dtype = next(self.model.parameters()).data.dtype

        def array(x: Any) -> Any:
            return x.astype(dtype, copy=False) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x

        return [nested.map_leaves(array, x) for x in batch]
