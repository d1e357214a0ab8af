"""The base of all optimisers: groups of parameters, the step, and a state in the layout of torch.optim."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from scratch.fast.threads import BLOCK, in_parallel
from scratch.module import Array, Parameter

Group = dict[str, Any]
State = dict[str, Array]


class Optimizer:
    """The base of optimisers, which change parameters in place; a subclass defines the update.

    `params` is an iterable of Parameters, or of dicts {"params": [...], "lr": ...} whose options override the defaults.
    `param_groups` is the list of these dicts with all options. Schedules write the "lr" of the next step there. `state` holds
    the arrays that an optimiser keeps for each parameter from step to step.
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
        """Raise ValueError where an option of a group is out of range."""
        raise NotImplementedError(f"{self._name} has no check")

    def state_names(self, group: Group) -> tuple[str, ...]:
        """Return the names of the arrays that are kept for each parameter of a group."""
        raise NotImplementedError(f"{self._name} has no state_names")

    def update(self, data: Array, grad: Array, state: State, group: Group) -> None:
        """Update one parameter's array by one step; `state` is empty before the first step."""
        raise NotImplementedError(f"{self._name} has no update")

    def step(self) -> None:
        """Update every parameter that has a gradient; the gradients do not change."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state.setdefault(parameter, {})
                    self._check_arrays(parameter.data, grad=parameter.grad, **state)
                    self.update(parameter.data, parameter.grad, state, group)

    def zero_grad(self) -> None:
        """Delete the accumulated gradients."""
        for parameter in self._parameters():
            parameter.grad = None

    def add_param_group(self, group: Group) -> None:
        """Add a group: a dict of "params", one Parameter or several, and the options that differ from the defaults."""
        if not isinstance(group, Mapping) or "params" not in group:
            raise ValueError(f'{self._name}: expected a group {{"params": [...], ...}}, got {group!r}')
        params = [group["params"]] if isinstance(group["params"], Parameter) else list(group["params"])
        for parameter in params:
            if not isinstance(parameter, Parameter):
                raise ValueError(f"{self._name}: expected Parameters, got {type(parameter).__name__}; pass model.parameters()")
        if len({*self._parameters(), *params}) < len(self._parameters()) + len(params):
            raise ValueError(f"{self._name}: a parameter came twice, expected once; put it into one group only")
        group = {**self.defaults, **group, "params": params}
        self.check(group)
        self.param_groups.append(group)

    def state_dict(self) -> dict[str, Any]:
        """Return options and state in torch.optim's layout, with parameters numbered over all groups; no array is copied."""
        number = {parameter: i for i, parameter in enumerate(self._parameters())}
        return {
            "state": {number[parameter]: dict(state) for parameter, state in self.state.items() if state},
            "param_groups": [{**group, "params": [number[p] for p in group["params"]]} for group in self.param_groups],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state_dict() of this class, or of its twin in torch.optim with arrays in place of tensors.

        The arrays are copied and cast to the dtypes of the parameters. Options come from the saved groups. Unknown ones (torch's
        foreach, a schedule's initial_lr) are kept, and options that were not saved do not change. Raise ValueError, before
        anything is changed, where groups, names or shapes differ.
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
        """Yield the problems of the state that was saved for parameter number i; no state has no problems."""
        names = self.state_names(group) if saved else ()
        yield from (f"missing {name} of parameter {i}" for name in names if name not in saved)
        yield from (f"unexpected {name} of parameter {i}" for name in saved if name not in names)
        for name, array in saved.items():
            shape = () if name == "step" else parameter.data.shape
            if np.shape(array) != shape:
                yield f"{name} of parameter {i} has shape {np.shape(array)}, expected {shape}"

    def _check_arrays(self, data: Array, **arrays: Array) -> None:
        """Raise ValueError unless gradient and state fit the parameter; NumPy would broadcast and cast them."""
        for name, array in arrays.items():
            if name != "step" and (array.shape != data.shape or array.dtype != data.dtype):
                raise ValueError(
                    f"{self._name}: {name} has shape {array.shape} and dtype {array.dtype}, its parameter {data.shape} and "
                    f"{data.dtype}; after Module.astype make a new optimiser"
                )


def at_least_zero(optimizer: str, group: Group, *names: str) -> None:
    """Raise ValueError where one of the named options is negative or NaN."""
    for name in names:
        if not group[name] >= 0:
            raise ValueError(f"{optimizer}: {name} is {group[name]!r}, expected at least 0")


def over_pieces(work: Callable[..., None], data: Array, grad: Array, *state: Array, temporaries: int) -> None:
    """Call `work` for each piece of arrays of one shape: flat pieces of at most BLOCK elements, and `temporaries` empty ones.

    An expression over whole arrays waits for memory at every operation; over pieces it waits only at the first. Pieces are
    views: writing to a piece changes its array, in any memory layout. The gradient is read only.
    """
    arrays = (data, grad, *state)
    if all(array.flags.c_contiguous for array in arrays):  # several threads can share these
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
