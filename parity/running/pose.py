"""From a case and a seed to the problem that both sides are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from parity.case import ParityCase
from parity.inputs import Draw
from parity.running.problem import Build, Problem
from parity.running.run_reference import run_reference
from parity.running.trace import Trace, to_numpy
from scratch.module import Array


def pose_case(case: ParityCase, build_reference: Build, seed: int) -> Problem:
    """Draw a case's inputs, and its weights unless it brings its own."""
    draw = Draw(seed, 0)
    inputs = case.inputs(draw)
    subject = build_reference()
    state = case.state
    if state is None and isinstance(subject, torch.nn.Module):
        state = _draw_state(subject, case.scales, draw)
    return pose(build_reference, inputs, state or {}, case.constants, seed)


def _draw_state(subject: torch.nn.Module, scales: Mapping[str, float], draw: Draw) -> dict[str, Array]:
    """Draw a module's weights and buffers; tied weights are drawn once."""
    buffers = {name: to_numpy(buffer) for name, buffer in subject.named_buffers()}
    tensors, first = subject.state_dict(keep_vars=True), dict[int, str]()
    names = {name: first.setdefault(id(tensor), name) for name, tensor in tensors.items()}
    drawn = draw.state({name: tuple(tensors[name].shape) for name in first.values()}, buffers)
    for part, scale in scales.items():
        drawn |= {name: scale * array for name, array in drawn.items() if part in name}
    return {name: drawn[original] for name, original in names.items()}


def pose(
    build_reference: Build, inputs: Mapping[str, Any], state: Mapping[str, Array], constants: tuple[str, ...], seed: int
) -> Problem:
    """Return the problem with these inputs and weights; an upstream gradient is drawn for each output that has a gradient."""
    problem = Problem(inputs, state, (), constants, new_trace=partial(Trace, seed))
    draw = Draw(seed, 1)
    outputs = run_reference(build_reference, problem, "float64", backward=False, record_calls=False).tensors
    return replace(problem, cotangents=tuple(draw.normal(*y.shape) for y in outputs.values()))
