"""What every example trains with: one small interface to the two backends, batches, and the learning rate's course."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from objectives import IGNORED, Objective, cross_entropy

import reference.generation
import reference.models
import scratch.generation
import scratch.models
from parity.checkpoints.arrays import load_arrays
from parity.running import nested
from parity.running.dropout_masks import shared_noise
from parity.weights import WEIGHTS, get_state, load_config, load_model, set_state
from scratch.module import Array, Module, constant
from scratch.optim import AdamW, clip_grad_norm_
from scratch.optim.lr_scheduler import noam, warm_up_cosine
from scratch.random import use_generator

CROSS_ENTROPY = cross_entropy()

# A batch is the model's inputs followed by the target. Where the target is a tuple, as that of a model with several heads, the
# objective is given all its members. A recurrent model's value is (logits, state); it is given the state of the batch before, as
# its last input, where that is to be carried on.


class NumPyBackend:
    """Trains and applies a model of scratch.models."""

    name, device = "numpy", "cpu"

    def __init__(self, model: Module, rates: Mapping[str, float] | None = None):
        self.model, self.frozen = model, frozen(model, rates or {})
        self.optimizer = AdamW(parameter_groups(model, rates or {}))
        self.state: Any = None

    def step(
        self, *batch: Any, lr: float, clip: float = math.inf, carry: bool = False, objective: Objective = CROSS_ENTROPY
    ) -> tuple[float, float]:
        """Train on one batch, its gradient clipped to a norm; its loss and accuracy before the update."""
        self.model.train()
        for part in self.frozen:
            part.eval()
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
        """The loss and accuracy on one batch."""
        self.model.eval()
        *inputs, target = self._arrays(batch)
        predictions, targets, _ = self._apply(inputs, target, carry)
        loss, _ = objective.numpy_loss(predictions, targets)
        return loss, objective.share_right(predictions, targets)

    def logits(self, *inputs: Any) -> Any:
        """The model's value, such as its logits."""
        self.model.eval()
        return self.model(*self._arrays(inputs))[0]

    def start(self, *inputs: Any) -> Any:
        """The state in which a model of pairs of sequences begins to write."""
        self.model.eval()
        return self.model.start(*self._arrays(inputs))

    def attention(self, *inputs: Any) -> Array:
        """The weights (B, T, S) with which each step of the target attends the source."""
        self.model.eval()
        return self.model.attend(*self._arrays(inputs))

    def generate(self, prompt: Array, uniforms: Array, state: Any = None, **options: Any) -> Array:
        """The tokens (B, steps) with which the model goes on, however short its context; see scratch.generation."""
        self.model.eval()
        if isinstance(self.model, scratch.models.GPT):
            return scratch.generation.generate_beyond(self.model.step, prompt, uniforms, self.model.context, **options)
        tokens, _ = scratch.generation.generate(writer(self.model), prompt, uniforms, state, **options)
        return tokens

    def optimizer_state(self) -> dict[int, dict[str, Array]]:
        """What the optimiser keeps for each parameter, by number."""
        return self.optimizer.state_dict()["state"]

    def load_optimizer_state(self, kept: Mapping[int, Mapping[str, Array]]) -> None:
        """Go on from what either backend's optimiser kept."""
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": kept})

    def carried(self) -> list[Array]:
        """The arrays of the state that is carried on."""
        return [leaf for _, leaf in nested.leaves("state", self.state)]

    def carry(self, arrays: Sequence[Array]) -> None:
        """Carry this state on; none begins anew."""
        self.state = _state(list(arrays))

    def _apply(self, inputs: list[Any], target: Any, carry: bool) -> tuple[tuple[Any, ...], tuple[Any, ...], Any]:
        """The predictions, what they are to be, and the backward of the predictions."""
        y, backward = self.model(*inputs, *((self.state,) if carry else ()))
        predictions, targets, state = _told_apart(y, target)
        self.state = state if carry else self.state
        return predictions, targets, backward

    def _arrays(self, batch: Sequence[Any]) -> list[Any]:
        dtype = next(self.model.parameters()).data.dtype

        def array(x: Any) -> Any:
            return x.astype(dtype, copy=False) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x

        return [nested.map_leaves(array, x) for x in batch]


class TorchBackend:
    """Trains and applies a model of reference.models, on any device of PyTorch's."""

    name = "torch"

    def __init__(self, model: torch.nn.Module, device: str = "cpu", rates: Mapping[str, float] | None = None):
        if device == "cuda":  # float32 as everywhere else, and the same sums in every run
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cudnn.deterministic = True
        self.model, self.device = model.to(device), device
        self.frozen = frozen(model, rates or {})
        self.optimizer = torch.optim.AdamW(parameter_groups(model, rates or {}))
        self.state: Any = None

    def step(
        self, *batch: Any, lr: float, clip: float = math.inf, carry: bool = False, objective: Objective = CROSS_ENTROPY
    ) -> tuple[float, float]:
        """Train on one batch, its gradient clipped to a norm; its loss and accuracy before the update."""
        self.model.train()
        for part in self.frozen:
            part.eval()
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
        """The loss and accuracy on one batch."""
        self.model.eval()
        *inputs, target = self._tensors(batch)
        predictions, targets = self._apply(inputs, target, carry)
        return objective.torch_loss(predictions, targets).item(), objective.share_right(predictions, targets)

    @torch.no_grad()
    def logits(self, *inputs: Any) -> Any:
        """The model's value, such as its logits."""
        self.model.eval()
        return nested.map_leaves(lambda leaf: leaf.cpu().numpy(), self.model(*self._tensors(inputs)))

    @torch.no_grad()
    def start(self, *inputs: Any) -> Any:
        """The state in which a model of pairs of sequences begins to write."""
        self.model.eval()
        return self.model.start(*self._tensors(inputs))

    @torch.no_grad()
    def attention(self, *inputs: Any) -> Array:
        """The weights (B, T, S) with which each step of the target attends the source."""
        self.model.eval()
        return self.model.attend(*self._tensors(inputs)).cpu().numpy()

    def generate(self, prompt: Array, uniforms: Array, state: Any = None, **options: Any) -> Array:
        """The tokens (B, steps) with which the model goes on, however short its context; see reference.generation."""
        self.model.eval()
        numbers = [torch.from_numpy(array).to(self.device) for array in (prompt, uniforms)]
        if isinstance(self.model, reference.models.GPT):
            text = reference.generation.generate_beyond(self.model.step, *numbers, self.model.context, **options)
            return text.cpu().numpy()
        tokens, _ = reference.generation.generate(writer(self.model), *numbers, state, **options)
        return tokens.cpu().numpy()

    def optimizer_state(self) -> dict[int, dict[str, Array]]:
        """What the optimiser keeps for each parameter, by number."""
        state = self.optimizer.state_dict()["state"]
        return {number: {name: tensor.cpu().numpy() for name, tensor in kept.items()} for number, kept in state.items()}

    def load_optimizer_state(self, kept: Mapping[int, Mapping[str, Array]]) -> None:
        """Go on from what either backend's optimiser kept."""
        state = {number: {name: torch.from_numpy(np.array(a)) for name, a in arrays.items()} for number, arrays in kept.items()}
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state})

    def carried(self) -> list[Array]:
        """The arrays of the state that is carried on."""
        return [leaf.cpu().numpy() for _, leaf in nested.leaves("state", self.state)]

    def carry(self, arrays: Sequence[Array]) -> None:
        """Carry this state on; none begins anew."""
        self.state = _state([torch.from_numpy(array).to(self.device) for array in arrays])

    def _apply(self, inputs: list[Any], target: Any, carry: bool) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The predictions and what they are to be."""
        predictions, targets, state = _told_apart(self.model(*inputs, *((self.state,) if carry else ())), target)
        self.state = nested.map_leaves(lambda leaf: leaf.detach(), state) if carry else self.state
        return predictions, targets

    def _tensors(self, batch: Sequence[Any]) -> list[Any]:
        dtype = next(self.model.parameters()).dtype

        def tensor(x: Any) -> Any:
            if not isinstance(x, np.ndarray):
                return x
            found = torch.from_numpy(x)
            return found.to(self.device, dtype if found.is_floating_point() else None)

        return [nested.map_leaves(tensor, x) for x in batch]


Backend = NumPyBackend | TorchBackend


def frozen(model: Any, rates: Mapping[str, float]) -> list[Any]:
    """Freeze the parts of a model whose rate is 0: they get no gradients, and are to stay in eval mode."""
    parts = [part for name, part in model.named_children() if rates.get(name) == 0]
    for part in parts:
        part.requires_grad_(False)
    return parts


def parameter_groups(model: Any, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """The parameters that are trained, by their share of the learning rate: that of the model's child they are in, else 1."""
    groups: dict[float, list[Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(rates.get(name.split(".")[0], 1.0), []).append(parameter)
    return [{"params": parameters, "share": share} for share, parameters in groups.items()]


def writer(model: Any) -> Any:
    """What writes token by token: a model's step, where it has one, or the model itself."""
    return getattr(model, "step", model)


def _told_apart(y: Any, target: Any) -> tuple[tuple[Any, ...], tuple[Any, ...], Any]:
    """The predictions, the targets, and a recurrent model's state."""
    if isinstance(target, tuple):
        return y if isinstance(y, tuple) else (y,), target, None
    prediction, state = y if isinstance(y, tuple) else (y, None)
    return (prediction,), (target,), state


def _state(leaves: list[Any]) -> Any:
    return tuple(leaves) if len(leaves) > 1 else leaves[0] if leaves else None


@contextmanager
def noise(*seed: int) -> Iterator[None]:
    """Inside the block both backends draw their dropout masks from a generator that begins at this seed."""
    rng = np.random.default_rng(seed)
    with use_generator(rng), shared_noise(rng.random):
        yield


def new_model(name: str, config: Mapping[str, Any], seed: int, dtype: str) -> Module:
    """A model of scratch.models with initial weights that depend on nothing but the seed."""
    with use_generator(np.random.default_rng(seed)):
        return getattr(scratch.models, name)(**config).astype(dtype)


def saved_model(directory: str | Path, name: str, dtype: str) -> tuple[Module, dict[str, Any]]:
    """The scratch model of class `name` that either backend saved in a directory, and its config; ValueError where none is."""
    found, config = load_config(directory)
    if found != name:
        raise ValueError(f"{directory}: expected a {name}, found a model of class {found!r}")
    model = load_model(directory, scratch.models).astype(dtype)
    set_state(model, load_arrays(Path(directory) / WEIGHTS))  # again, in the dtype in which they were saved
    return model, config


def backend_for(
    name: str, model: Module, config: Mapping[str, Any], device: str = "cpu", rates: Mapping[str, float] | None = None
) -> Backend:
    """A backend that begins at the weights of `model`, itself or its PyTorch twin, and trains its parts at these rates."""
    if name == "numpy":
        return NumPyBackend(model, rates)
    state = get_state(model)
    twin = getattr(reference.models, type(model).__name__)(**config).to(torch.from_numpy(next(iter(state.values()))).dtype)
    set_state(twin, state)
    return TorchBackend(twin, device, rates)


def score(backend: Backend, *arrays: Array | None, batch: int = 500, objective: Objective = CROSS_ENTROPY) -> tuple[float, float]:
    """The mean loss and accuracy over a data set, in batches; None is an input that is not given."""
    starts = range(0, len(arrays[-1]), batch)
    pieces = [tuple(None if a is None else a[i : i + batch] for a in arrays) for i in starts]
    counted = [int((piece[-1] != IGNORED).sum()) for piece in pieces]
    loss, accuracy = np.average([backend.score(*piece, objective=objective) for piece in pieces], axis=0, weights=counted)
    return float(loss), float(accuracy)


def shuffled(rng: np.random.Generator, batch: int, *arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The batches of one epoch, in an order drawn from `rng`; the last may be smaller."""
    order = rng.permutation(len(arrays[0]))
    for start in range(0, len(order), batch):
        yield tuple(array[order[start : start + batch]] for array in arrays)


def drawn(step: int, batch: int, count: int, *seed: int) -> Array:
    """Which of `count` examples are in the batch of a step: every pass draws an order of its own; what is over is left out."""
    epoch, place = divmod(step, max(1, count // batch))
    return np.random.default_rng([*seed, epoch]).permutation(count)[place * batch :][:batch]


def padded(rows: Sequence[Array], value: int = 0) -> tuple[Array, Array]:
    """Rows of unequal length as one array (B, T), filled up with a value, and their lengths (B,)."""
    lengths = np.array([len(row) for row in rows])
    whole = np.full((len(rows), lengths.max()), value, np.int64)
    for line, row in zip(whole, rows, strict=True):
        line[: len(row)] = row
    return whole, lengths


SCHEDULES = ("cosine", "inverse-sqrt")


def learning_rate(schedule: str, steps: int, peak: float) -> Callable[[int], float]:
    """The rate at each of so many steps, counted from 0: up to `peak` over a tenth of them, and down as the schedule says.

    "cosine" goes down half a cosine towards 0, "inverse-sqrt" as 1/√step (Vaswani et al. 2017, section 5.3, told by its peak).
    """
    rising = max(1, round(steps / 10))
    if schedule == "cosine":
        factor, highest = warm_up_cosine(rising, max(steps, rising + 1)), 1.0
    else:
        factor, highest = noam(1, rising), rising**-0.5
    return lambda step: peak * factor(step) / highest
