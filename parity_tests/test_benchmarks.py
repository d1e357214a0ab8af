"""The benchmarks: their arithmetic, the check before timing, and every row of the tables."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import scratch.ops
from benchmarks import numpy_side
from benchmarks.backends import NUMPY, NUMPY_CHANNELS_LAST, TORCH, Backend, backends_for, disagreement
from benchmarks.cases import MODELS, OPS, normal, tokens
from benchmarks.machine import OtherProcesses
from benchmarks.table import Row, rows
from benchmarks.timing import Block, Timing, time_block
from benchmarks.work import FORWARD, FORWARD_BACKWARD, STEP, UPDATE
from parity.case import ParityCase, resolve
from parity.inputs import Draw
from scratch.ops.linear import linear

CHANNELS_LAST = Backend("torch-channels_last", channels_last=True)


def timings(**milliseconds):
    backends = {"numpy": NUMPY, "numpy_last": NUMPY_CHANNELS_LAST, "torch": TORCH, "torch_last": CHANNELS_LAST}
    return [
        Timing("conv", STEP, backends[name], block, ms / 1e3)
        for name, blocks in milliseconds.items()
        for block, ms in enumerate(blocks)
    ]


def ratios(row: Row):
    return row.ratios(row.fastest(), row.fastest("cpu"))


def test_ratios_are_computed_block_by_block():
    (row,) = rows(timings(numpy=[2, 6, 3], torch=[1, 2, 3]))
    assert ratios(row) == pytest.approx([2, 3, 1])
    assert row.seconds(NUMPY) == pytest.approx(3e-3)


def test_each_side_uses_its_faster_layout():
    (row,) = rows(timings(numpy=[4, 4], numpy_last=[3, 9], torch=[2, 2], torch_last=[1, 2]))
    assert (row.fastest(), row.fastest("cpu")) == (NUMPY, CHANNELS_LAST)
    assert ratios(row) == pytest.approx([4, 2])
    assert row.ratios(NUMPY, TORCH) == pytest.approx([2, 2])


def test_an_untimed_side_has_no_ratio():
    (row,) = rows(timings(numpy=[2, 3]))
    assert (row.fastest("cpu"), ratios(row)) == (None, [])


def test_the_ratio_leaves_out_compiled_and_gpu_times():
    fast = [Timing("conv", STEP, b, 0, 1e-4) for b in (Backend("torch-compiled", variant="compiled"), Backend("cuda", "cuda"))]
    (row,) = rows(timings(numpy=[2], torch=[1]) + fast)
    assert ratios(row) == pytest.approx([2])
    assert row.fastest("cuda") == fast[1].backend


def test_a_busy_machine_gives_a_warning(monkeypatch):
    seconds = iter([10.0, 13.0])
    monkeypatch.setattr(OtherProcesses, "_seconds", staticmethod(lambda: next(seconds)))
    others = OtherProcesses()
    others.start -= 2
    assert "kept 1.5 cores busy" in others.warning()


def test_a_quiet_machine_gives_no_warning(monkeypatch):
    others = OtherProcesses()
    monkeypatch.setattr(OtherProcesses, "_seconds", staticmethod(lambda: others.used))
    assert others.warning() == ""


class Stopwatch:
    """A replacement for pytest-benchmark's fixture that notes whether it was started."""

    def __init__(self):
        self.started, self.group, self.extra_info = False, None, {}
        self.stats = SimpleNamespace(stats=SimpleNamespace(median=1.0))

    def pedantic(self, target, setup, rounds):
        self.started = True
        target(*setup()[0])


def small_linear():
    return ParityCase(
        "linear",
        "ops.linear",
        lambda draw: {"x": draw.normal(5, 7), "weight": draw.normal(3, 7), "bias": draw.normal(3)},
        reference="torch.nn.functional.linear",
    )


def small_mlp():
    config = {"in_features": 7, "hidden": [5], "out_features": 3}
    return ParityCase("mlp", "models.MLP", lambda draw: {"x": draw.normal(13, 7)}, config)


def small_gpt():
    """Return a GPT, whose key biases have gradients that are 0 except for rounding."""
    config = {"vocab_size": 11, "context": 6, "width": 8, "layers": 2, "heads": 2}
    return ParityCase("gpt", "models.GPT", tokens(3, 6, vocabulary=11), config)


def small_unet():
    """Return a U-Net, which needs a label for each pixel."""
    config = {"in_channels": 1, "classes": 3, "depth": 1, "width": 2}
    return ParityCase("unet", "models.UNet", normal(2, 1, 6, 8), config)


def wrong_value(*operands):
    y, backward = linear(*operands)
    return y * np.float32(1.001), backward


def wrong_gradient(*operands):
    y, backward = linear(*operands)
    return y, lambda dy: tuple(gradient * np.float32(1.001) for gradient in backward(dy))


@pytest.mark.parametrize("backend", [NUMPY, TORCH], ids=lambda backend: backend.name)
@pytest.mark.parametrize(
    ("phase", "wrong", "named"), [(FORWARD, wrong_value, "y is off"), (FORWARD_BACKWARD, wrong_gradient, "grad.weight is off")]
)
def test_backends_that_disagree_are_not_timed(phase, wrong, named, backend, monkeypatch):
    case, stopwatch = small_linear(), Stopwatch()
    monkeypatch.setattr(scratch.ops, "linear", wrong)
    with pytest.raises(pytest.fail.Exception, match=named):
        time_block(Block(case, phase, backend, 0), stopwatch)
    assert not stopwatch.started


def test_the_update_of_a_training_step_is_verified(monkeypatch):
    monkeypatch.setattr(numpy_side, "AdamW", lambda parameters: scratch.optim.AdamW(parameters, lr=2e-3))
    assert "round 2: loss is off" in disagreement(small_mlp(), STEP, NUMPY)
    assert "parameter.layers.0.bias is off" in disagreement(small_mlp(), UPDATE, NUMPY)


@pytest.mark.parametrize(
    ("make", "phase"),
    [
        (small_linear, FORWARD),
        (small_linear, FORWARD_BACKWARD),
        (small_mlp, STEP),
        (small_gpt, STEP),
        (small_unet, STEP),
        (small_mlp, UPDATE),
    ],
)
def test_backends_that_agree_are_timed(make, phase):
    case, stopwatch = make(), Stopwatch()
    timing = time_block(Block(case, phase, NUMPY, 3), stopwatch)
    assert timing == Timing(case.name, phase, NUMPY, 3, 1.0)
    assert stopwatch.started


@pytest.mark.parametrize("case", OPS + MODELS, ids=lambda case: case.name)
def test_every_case_fits_its_numpy_and_torch_side(case):
    inputs = case.inputs(Draw(0))
    target = resolve(case.scratch, "scratch")
    if isinstance(target, type):
        target(**case.config)
    else:
        inspect.signature(target).bind(*inputs.values(), **case.config)
    with torch.device("meta"):  # gives shapes without computing numbers
        reference = resolve(case.reference, "reference")
        subject, options = (reference(**case.config), {}) if isinstance(reference, type) else (reference, case.config)
        subject(
            *(torch.empty(x.shape, dtype=torch.float32 if x.dtype.kind == "f" else torch.int64) for x in inputs.values()), **options
        )
    assert NUMPY in backends_for(case, FORWARD)
    assert TORCH in backends_for(case, FORWARD)
