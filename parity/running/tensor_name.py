"""Names of the tensors of a run, as values: the kind, the path and the call of a tensor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class Phase(StrEnum):
    """What may be wrong: the forward pass, the backward pass, or the step of an optimiser or a schedule."""

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


LONGEST_PREFIX_FIRST = sorted(Kind, key=len, reverse=True)


@dataclass(frozen=True)
class TensorName:
    """The name of one tensor: `y.0`, `grad layers.0.weight`, `buffer layers.1.running_mean`, `submodule layers.0#1 y`.

    kind     what the tensor is
    path     the path of an output, an input, a parameter, a buffer or a submodule
    call     for a submodule, 0 for its first call, 1 for its second, ...
    output   for a submodule, the name of the output; its gradient has the same name
    """

    kind: Kind
    path: str
    call: int = 0
    output: str = ""

    def __str__(self) -> str:
        call = f"#{self.call}" if self.call else ""
        return f"{self.kind}{self.path}{call}" + (f" {self.output}" if self.output else "")

    @property
    def phase(self) -> Phase:
        """Return the pass that computes the tensor."""
        return self.kind.phase

    @classmethod
    @lru_cache(maxsize=2**14)
    def parse(cls, text: str) -> TensorName:
        """Return the name that is printed as this text."""
        kind = next(kind for kind in LONGEST_PREFIX_FIRST if text.startswith(kind))
        path = text.removeprefix(kind)
        if kind not in (Kind.SUBMODULE_OUTPUT, Kind.SUBMODULE_GRADIENT):
            return cls(kind, path)
        submodule, _, output = path.rpartition(" ")
        path, _, call = submodule.partition("#")
        return cls(kind, path, int(call or 0), output)


def gradient(path: str) -> str:
    """Return the printed name of the gradient of an input or a parameter."""
    return str(TensorName(Kind.GRADIENT, path))


def buffer(path: str) -> str:
    """Return the printed name of a buffer."""
    return str(TensorName(Kind.BUFFER, path))


def phase_of(name: str) -> Phase:
    """Return the pass that computes the tensor with this printed name."""
    return TensorName.parse(name).phase
