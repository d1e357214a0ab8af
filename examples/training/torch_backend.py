"""The PyTorch backend: it trains and applies a model of reference.models on any device."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

import reference.generation
import reference.models
from examples.training.backend import CROSS_ENTROPY, as_state, freeze, parameter_groups, split_value, step_function
from examples.training.objectives import Objective
from parity.running import nested
from scratch.module import Array


class TorchBackend:
    """A Backend for a model of reference.models."""

    name = "torch"

    def __init__(self, model: torch.nn.Module, device: str = "cpu", rates: Mapping[str, float] | None = None):
        if device == "cuda":  # full float32 precision, and the same sums in every run
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cudnn.deterministic = True
        self.model: Any = model.to(device)
        self.device = device
        self.frozen = freeze(model, rates or {})
        self.optimizer = torch.optim.AdamW(parameter_groups(model, rates or {}))
        self.state: Any = None

    def step(
        self, *batch: Any, lr: float, clip: float = math.inf, carry: bool = False, objective: Objective = CROSS_ENTROPY
    ) -> tuple[float, float]:
        self.model.train()
        for submodule in self.frozen:
            submodule.eval()
        self.model.zero_grad()
        *inputs, target = self._tensors(batch)
        predictions, targets = self._apply(inputs, target, carry)
        loss = objective.torch_loss(predictions, targets)
        loss.backward()
        if clip < math.inf:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["share"]
        self.optimizer.step()
        return loss.item(), objective.share_right(predictions, targets)

    @torch.no_grad()
    def score(self, *batch: Any, carry: bool = False, objective: Objective = CROSS_ENTROPY) -> tuple[float, float]:
        self.model.eval()
        *inputs, target = self._tensors(batch)
        predictions, targets = self._apply(inputs, target, carry)
        return objective.torch_loss(predictions, targets).item(), objective.share_right(predictions, targets)

    @torch.no_grad()
    def predict(self, *inputs: Any) -> Any:
        self.model.eval()
        return nested.map_leaves(lambda leaf: leaf.cpu().numpy(), self.model(*self._tensors(inputs)))

    @torch.no_grad()
    def start(self, *inputs: Any) -> Any:
        self.model.eval()
        return self.model.start(*self._tensors(inputs))

    @torch.no_grad()
    def attention(self, *inputs: Any) -> Array:
        self.model.eval()
        return self.model.attend(*self._tensors(inputs)).cpu().numpy()

    def generate(self, prompt: Array, uniforms: Array, state: Any = None, **options: Any) -> Array:
        self.model.eval()
        begin, numbers = (torch.from_numpy(array).to(self.device) for array in (prompt, uniforms))
        if isinstance(self.model, reference.models.GPT):
            text = reference.generation.generate_beyond(self.model.step, begin, numbers, self.model.context, **options)
            return text.cpu().numpy()
        tokens, _ = reference.generation.generate(step_function(self.model), begin, numbers, state, **options)
        return tokens.cpu().numpy()

    def optimizer_state(self) -> dict[int, dict[str, Array]]:
        state = self.optimizer.state_dict()["state"]
        return {number: {name: tensor.cpu().numpy() for name, tensor in kept.items()} for number, kept in state.items()}

    def load_optimizer_state(self, kept: Mapping[int, Mapping[str, Array]]) -> None:
        state = {number: {name: torch.from_numpy(np.array(a)) for name, a in arrays.items()} for number, arrays in kept.items()}
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state})

    def carried(self) -> list[Array]:
        return [leaf.cpu().numpy() for _, leaf in nested.leaves("state", self.state)]

    def carry(self, arrays: Sequence[Array]) -> None:
        self.state = as_state([torch.from_numpy(array).to(self.device) for array in arrays])

    def _apply(self, inputs: list[Any], target: Any, carry: bool) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the predictions and the targets."""
        predictions, targets, state = split_value(self.model(*inputs, *((self.state,) if carry else ())), target)
        self.state = nested.map_leaves(lambda leaf: leaf.detach(), state) if carry else self.state
        return predictions, targets

    def _tensors(self, batch: Sequence[Any]) -> list[Any]:
        """Return the arrays of the batch as tensors on the device, floating-point ones in the dtype of the model."""
        dtype = next(self.model.parameters()).dtype

        def tensor(x: Any) -> Any:
            if not isinstance(x, np.ndarray):
                return x
            found = torch.from_numpy(x)
            return found.to(self.device, dtype if found.is_floating_point() else None)

        return [nested.map_leaves(tensor, x) for x in batch]
