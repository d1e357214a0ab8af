"""The weights of a module of either backend, as NumPy arrays by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from scratch.module import Array, Module, state_mismatch

AnyModule = Module | torch.nn.Module


def get_state(module: AnyModule) -> dict[str, Array]:
    """Return a copy of the module's state dict."""
    arrays = {name: v.detach().cpu().numpy() if isinstance(v, torch.Tensor) else v for name, v in module.state_dict().items()}
    return {name: array.copy() for name, array in arrays.items()}


def set_state(module: AnyModule, state: Mapping[str, Array]) -> None:
    """Copy a state into a module by name.

    Raise ValueError, before anything is changed, unless every name and shape fits.
    """
    if isinstance(module, Module):
        module.load_state_dict(state)
        return
    unfit = state_mismatch({name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}, state)
    if unfit:
        raise ValueError(f"the state does not fit {type(module).__name__}: {unfit}")
    module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in state.items()})
