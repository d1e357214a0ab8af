"""Names of the tensors of a run, as values: the kind, the path, the call and the step of a tensor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class Phase(StrEnum):
    """A pass of a computation, or the step of an optimiser or a schedule."""

    FORWARD = "forward"
    BACKWARD = "backward"
    STEP = "step"


class Kind(StrEnum):
    """The kinds of tensors that are compared; the value of each is the prefix of its names."""

    OUTPUT = ""
    GRADIENT = "grad "
    BUFFER = "buffer "
    SUBMODULE_OUTPUT = "submodule "
    SUBMODULE_GRADIENT = "grad submodule "

    @property
    def phase(self) -> Phase:
        """Return the pass that computes tensors of this kind."""
        return Phase.BACKWARD if self in (Kind.GRADIENT, Kind.SUBMODULE_GRADIENT) else Phase.FORWARD


MOST_CACHED = 2**14  # names; the largest models have a few hundred
AFTER_STEP = " after step "  # in the name of a result of training steps
LONGEST_PREFIX_FIRST = sorted(Kind, key=len, reverse=True)


@dataclass(frozen=True)
class TensorName:
    """The name of one tensor: `y.0`, `grad layers.0.weight`, `buffer layers.1.running_mean`, `parameter 2 after step 7`.

    kind     what the tensor is
    path     the path of an output, an input, a parameter, a buffer or a submodule
    call     for a submodule, 0 for its first call, 1 for its second, ...
    output   for a submodule, the name of the output; its gradient has the same name
    step     for a result of training steps, the number of the step; 0 for other tensors
    """

    kind: Kind
    path: str
    call: int = 0
    output: str = ""
    step: int = 0

    def __str__(self) -> str:
        call = f"#{self.call}" if self.call else ""
        output = f" {self.output}" if self.output else ""
        return f"{self.kind}{self.path}{call}{output}" + (f"{AFTER_STEP}{self.step}" if self.step else "")

    @property
    def phase(self) -> Phase:
        """Return the pass that computes the tensor."""
        return self.kind.phase

    @classmethod
    @lru_cache(maxsize=MOST_CACHED)
    def parse(cls, text: str) -> TensorName:
        """Return the name that is printed as this text."""
        kind = next(kind for kind in LONGEST_PREFIX_FIRST if text.startswith(kind))
        path, _, step = text.removeprefix(kind).partition(AFTER_STEP)
        if kind not in (Kind.SUBMODULE_OUTPUT, Kind.SUBMODULE_GRADIENT):
            return cls(kind, path, step=int(step or 0))
        submodule, _, output = path.rpartition(" ")
        path, _, call = submodule.partition("#")
        return cls(kind, path, int(call or 0), output)


@lru_cache(maxsize=MOST_CACHED)
def gradient(path: str) -> str:
    """Return the printed name of the gradient of an input or a parameter."""
    return str(TensorName(Kind.GRADIENT, path))


@lru_cache(maxsize=MOST_CACHED)
def buffer(path: str) -> str:
    """Return the printed name of a buffer."""
    return str(TensorName(Kind.BUFFER, path))


def after_step(path: str, step: int) -> str:
    """Return the printed name of a result of one training step; steps are counted from 1."""
    return str(TensorName(Kind.OUTPUT, path, step=step))


def phase_of(name: str) -> Phase:
    """Return the pass that computes the tensor with this printed name."""
    return TensorName.parse(name).phase
