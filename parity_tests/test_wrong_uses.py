"""Mistakes in how a module uses its parts, and in masks, means, maxima and joins: each is what it says, and shows."""

from itertools import permutations
from operator import attrgetter

import numpy as np
import pytest
import torch
from torch import nn

from parity.case import ParityCase
from parity.cases import attention, recurrent, recurrent_models
from parity.counterfactuals import sequences
from parity.counterfactuals.parts import watch_parts, wrong_uses
from parity_tests.test_counterfactuals import calls_of, differences
from reference.layers import TransformerDecoderLayer

ENCODER = {"vocab_size": 11, "embedding_size": 7, "hidden_size": 6, "num_layers": 2, "dropout": 0.0}
TOKENS = np.arange(15).reshape(3, 5) % 11
PARTS = [  # that models have to themselves
    ParityCase(path, f"models.{path}", f"models.{path}", inputs, config)
    for path, inputs, config in (
        ("seq2seq.Encoder", lambda draw: {"tokens": TOKENS, "lengths": np.array([2, 5, 1])}, ENCODER),
        ("transformer.InputEmbedding", lambda draw: {"tokens": TOKENS}, {"vocab_size": 11, "width": 7, "dropout": 0.0}),
        ("bert.Pooler", lambda draw: {"x": draw.normal(3, 5, 7)}, {"width": 7}),
    )
]
CASES = [*attention.CASES, *recurrent.CASES, *recurrent_models.CASES, *PARTS]


class Pair(nn.Module):
    """A part of two inputs, one of them optional, and two outputs, one of them a pair."""

    def forward(self, x, other, scale=None):
        y = x * 2 + other
        return (y if scale is None else y * scale), (x + other, other)


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Tanh(), nn.Sigmoid()])
        self.pair = Pair()

    def forward(self, x, other, scale):
        h = self.layers[0](x)
        y, (first, second) = self.pair(h, other, scale)
        return self.layers[1](y) + self.layers[1](first) + second


def results(build):
    """The value and the gradients of the module that `build` makes."""
    torch.manual_seed(0)
    inputs = [torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    y = build()(*inputs)
    (y * torch.randn(3, 4, dtype=torch.float64)).sum().backward()
    return [y.detach(), *(torch.zeros_like(x) if x.grad is None else x.grad for x in inputs)]


@pytest.fixture(scope="module")
def mistakes():
    watched = Whole()
    uses = watch_parts(watched)
    results(lambda: watched)
    return dict(wrong_uses(uses, Whole))


def test_every_use_has_its_mistakes(mistakes):
    used = ["layers.0", "call 1 of layers.1", "call 2 of layers.1", "each of layers"]
    expected = [f"lets no gradient back through input of {part}" for part in used]
    expected += [f"gives {part} zeros for input" for part in used]
    expected += [f"lets no gradient back into {part}" for part in (*used, "pair")]
    expected += [text for part in used for text in (f"leaves {part} out", f"leaves {part} out of the backward")]
    expected += [f"lets no gradient back through {name} of pair" for name in ("x", "other", "scale")]
    expected += [f"gives pair zeros for {name}" for name in ("x", "other", "scale")]
    expected += [f"lets no gradient back into pair from its {name}" for name in ("y.0", "y.1", "y.1.0", "y.1.1")]
    expected += [f"gives pair its {one} for {other}" for one, other in permutations(("x", "other", "scale"), 2)]
    pairs = ("x and other", "x and scale", "other and scale")
    expected += ["does not pass scale on to pair", *(f"gives pair its {names} in each other's place" for names in pairs)]
    assert sorted(mistakes) == sorted(expected)


def test_every_wrong_use_shows_in_its_pass(mistakes):
    y, *gradients = results(Whole)
    for text, build in mistakes.items():
        wrong_y, *wrong_gradients = results(build)
        in_the_backward = text.startswith("lets no gradient") or text.endswith("of the backward")
        assert torch.equal(wrong_y, y) == in_the_backward, text
        assert not all(map(torch.equal, wrong_gradients, gradients)), text


def test_a_wrong_use_is_what_it_says(mistakes):
    _, dx, dother, dscale = results(Whole)
    _, wrong_dx, wrong_dother, wrong_dscale = results(mistakes["lets no gradient back through x of pair"])
    assert not wrong_dx.any()
    assert torch.equal(wrong_dother, dother)
    assert torch.equal(wrong_dscale, dscale)
    assert not results(mistakes["lets no gradient back through scale of pair"])[3].any()
    assert not results(mistakes["lets no gradient back into pair from its y.0"])[3].any()
    assert torch.equal(results(mistakes["lets no gradient back into pair from its y.1.1"])[1], dx)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.act, self.second = nn.Linear(4, 4).double(), nn.Tanh(), nn.Linear(4, 4).double()

    def forward(self, x):
        return self.second(self.act(self.first(x)))


def test_two_parts_of_a_kind_are_used_in_each_others_place():
    watched, x = Two(), torch.randn(3, 4, dtype=torch.float64)
    uses = watch_parts(watched)
    y = watched(x)
    (crossed,) = [build() for text, build in wrong_uses(uses, Two) if text.startswith("uses ")]
    assert torch.equal(crossed(x), watched.first(watched.act(watched.second(x))))
    assert not torch.allclose(crossed(x), y)


def test_masks_and_memories_have_mistakes_of_their_own():
    layer = TransformerDecoderLayer(6, 2, 5)
    uses = watch_parts(layer)
    x, memory, mask = torch.randn(3, 4, 6), torch.randn(3, 5, 6), torch.ones(3, 1, 1, 5, dtype=torch.bool)
    layer(x, memory, None, mask, True)
    mistakes = dict(wrong_uses(uses, lambda: layer))
    assert "gives self_attn False for is_causal" in mistakes
    assert "gives multihead_attn true everywhere for attn_mask" in mistakes
    assert "gives multihead_attn its query for key and value" in mistakes
    assert not any("gives self_attn its" in text for text in mistakes)  # query, key and value are one


@pytest.mark.parametrize("name", sequences.TABLE)
def test_every_mistake_shows(name):
    calling = [case for case in CASES if name in calls_of(case)]
    for text, wrong in sequences.TABLE[name]:
        assert any(differences(case, name, wrong)[1] for case in calling), text


@pytest.mark.parametrize("case", [case for case in CASES if "masked" in case.name.lower()], ids=attrgetter("name"))
def test_what_stands_in_for_the_maximum_has_its_value(case):
    for text, wrong in sequences.TABLE["max"]:
        missing, differing = differences(case, "max", wrong)
        assert not missing, text
        assert "y" not in differing, text
