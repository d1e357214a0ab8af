"""What all optimisers share: groups of parameters, the step over them, and a state that torch.optim reads and continues."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from scratch.fast.threads import BLOCK, in_parallel
from scratch.module import Array, Parameter

Group = dict[str, Any]
State = dict[str, Array]


class Optimizer:
    """Moves parameters against their gradients, in place; a subclass says how far.

    `params` is an iterable of Parameters, or of dicts {"params": [...], "lr": ...} whose options override the defaults.
    `param_groups` is the list of these dicts with every option filled in: what is written there, as schedules do with
    "lr", holds from the next step. `state` has the arrays that are kept for each parameter from step to step.
    """

    def __init__(self, params: Iterable[Parameter] | Iterable[Group], defaults: Group):
        self.defaults = defaults
        self.param_groups: list[Group] = []
        self.state: dict[Parameter, State] = {}
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError(f"{self._name}: got no parameters; an iterator such as model.parameters() serves only once")
        for group in groups if isinstance(groups[0], Mapping) else [{"params": groups}]:
            self.add_param_group(group)

    def check(self, group: Group) -> None:
        """Raise ValueError where an option of a group is out of its range."""
        raise NotImplementedError(f"{self._name} has no check")

    def state_names(self, group: Group) -> tuple[str, ...]:
        """The names of the arrays that are kept for each parameter of a group."""
        raise NotImplementedError(f"{self._name} has no state_names")

    def update(self, data: Array, grad: Array, state: State, group: Group) -> None:
        """Move one parameter's array by one step; `state` is empty before the first."""
        raise NotImplementedError(f"{self._name} has no update")

    def step(self) -> None:
        """Move every parameter that has a gradient; the gradients stay as they are."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state.setdefault(parameter, {})
                    self._check_arrays(parameter.data, grad=parameter.grad, **state)
                    self.update(parameter.data, parameter.grad, state, group)

    def zero_grad(self) -> None:
        """Forget the accumulated gradients."""
        for parameter in self._parameters():
            parameter.grad = None

    def add_param_group(self, group: Group) -> None:
        """Take on a dict of "params", a Parameter or several, and the options in which they differ from the defaults."""
        if not isinstance(group, Mapping) or "params" not in group:
            raise ValueError(f'{self._name}: expected a group {{"params": [...], ...}}, got {group!r}')
        params = [group["params"]] if isinstance(group["params"], Parameter) else list(group["params"])
        for parameter in params:
            if not isinstance(parameter, Parameter):
                raise ValueError(f"{self._name}: expected Parameters, got {type(parameter).__name__}; pass model.parameters()")
        if len({*self._parameters(), *params}) < len(self._parameters()) + len(params):
            raise ValueError(f"{self._name}: a parameter came twice; each belongs to one group, once")
        group = {**self.defaults, **group, "params": params}
        self.check(group)
        self.param_groups.append(group)

    def state_dict(self) -> dict[str, Any]:
        """Options and state in torch.optim's layout, parameters numbered through the groups; the arrays are not copied."""
        number = {parameter: i for i, parameter in enumerate(self._parameters())}
        return {
            "state": {number[parameter]: dict(state) for parameter, state in self.state.items() if state},
            "param_groups": [{**group, "params": [number[p] for p in group["params"]]} for group in self.param_groups],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a state_dict() of this class or of its twin in torch.optim, whose tensors have become arrays.

        The arrays are copied and take the dtypes of the parameters. Options come from the saved groups: one that is not
        known here (torch's foreach, a schedule's initial_lr) is kept along, and one that is not saved stays.
        Raises ValueError, before anything is changed, where groups, names or shapes differ.
        """
        if not {"state", "param_groups"} <= state_dict.keys():
            raise ValueError(f'{self._name}: expected a state of "state" and "param_groups", got {list(state_dict)}')
        sizes, saved_sizes = ([len(g["params"]) for g in groups] for groups in (self.param_groups, state_dict["param_groups"]))
        if sizes != saved_sizes:
            raise ValueError(f"{self._name}: the state has groups of {saved_sizes} parameters, expected {sizes}")

        groups: list[Group] = []
        owners: dict[int, tuple[Parameter, Group]] = {}
        for group, saved_group in zip(self.param_groups, state_dict["param_groups"], strict=True):
            groups.append({**group, **saved_group, "params": group["params"]})
            self.check(groups[-1])
            owners.update({i: (p, groups[-1]) for i, p in zip(saved_group["params"], group["params"], strict=True)})
        problems: list[str] = []
        for i, saved in state_dict["state"].items():
            problems += self._misfits(i, saved, *owners[i]) if i in owners else [f"parameter {i} is in no group"]
        if problems:
            raise ValueError(f"the state does not fit {self._name}: " + "; ".join(problems))

        self.param_groups, self.state = groups, {}
        for i, saved in state_dict["state"].items():
            parameter, _ = owners[i]
            dtype = parameter.data.dtype
            self.state[parameter] = {name: np.array(a, np.float32 if name == "step" else dtype) for name, a in saved.items()}

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _parameters(self) -> list[Parameter]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def _misfits(self, i: int, saved: State, parameter: Parameter, group: Group) -> Iterator[str]:
        """What is wrong with the state that was saved for parameter number i; nothing is where there is none."""
        names = self.state_names(group) if saved else ()
        yield from (f"missing {name} of parameter {i}" for name in names if name not in saved)
        yield from (f"unexpected {name} of parameter {i}" for name in saved if name not in names)
        for name, array in saved.items():
            shape = () if name == "step" else parameter.data.shape
            if np.shape(array) != shape:
                yield f"{name} of parameter {i} has shape {np.shape(array)}, expected {shape}"

    def _check_arrays(self, data: Array, **arrays: Array) -> None:
        """Raise ValueError unless the gradient and what is kept fit the parameter: NumPy would broadcast and cast them."""
        for name, array in arrays.items():
            if name != "step" and (array.shape != data.shape or array.dtype != data.dtype):
                raise ValueError(
                    f"{self._name}: {name} has shape {array.shape} and dtype {array.dtype}, its parameter {data.shape} and "
                    f"{data.dtype}; after Module.astype make a new optimiser"
                )


def at_least_zero(optimizer: str, group: Group, *names: str) -> None:
    """Raise ValueError where one of these options is negative or not a number."""
    for name in names:
        if not group[name] >= 0:
            raise ValueError(f"{optimizer}: {name} is {group[name]!r}, expected at least 0")


def over_pieces(work: Callable[..., None], data: Array, grad: Array, *state: Array, temporaries: int) -> None:
    """Call work on arrays of one shape together, in flat pieces of at most BLOCK numbers; `temporaries` to work in come last.

    An expression over whole arrays waits for memory at every operation; over pieces, only at the first. What is written
    to a piece reaches its array, whatever its layout; the gradient's may not be written to.
    """
    arrays = (data, grad, *state)
    if all(array.flags.c_contiguous for array in arrays):  # which several threads can share
        flat = [array.reshape(-1) for array in arrays]

        def piece(start: int) -> None:
            pieces = [array[start : start + BLOCK] for array in flat]
            work(*pieces, *np.empty((temporaries, pieces[0].size), data.dtype))

        in_parallel(piece, range(0, data.size, BLOCK))
        return
    access: Any = [["readwrite"], ["readonly"], *(["readwrite"] for _ in state)]
    with np.nditer(arrays, ["external_loop", "buffered", "zerosize_ok"], access, buffersize=BLOCK) as walk:
        for pieces in walk:
            work(*pieces, *np.empty((temporaries, pieces[0].size), data.dtype))
