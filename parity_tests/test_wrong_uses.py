"""Mistakes in the use of submodules, masks, means, maxima and joins: each does what its message says and changes results."""

from contextlib import nullcontext
from itertools import permutations
from operator import attrgetter

import numpy as np
import pytest
import torch
from torch import nn

from parity.case import ParityCase
from parity.cases import attention, recurrent, recurrent_layers, recurrent_models, segmentation
from parity.cases.draws import normal
from parity.explaining.counterfactual_runs import Instead
from parity.mistakes import TABLE, padding, sequences
from parity.mistakes.parts import watch_parts, wrong_uses
from parity.mistakes.sums import wrong_sums
from parity.mistakes.takers import wrong_takers
from parity_tests.test_counterfactuals import calls_of, differences
from reference.layers import DETRDecoderLayer, TransformerDecoderLayer

ENCODER = {"vocab_size": 11, "embedding_size": 7, "hidden_size": 6, "num_layers": 2, "dropout": 0.0}
TOKENS = np.arange(15).reshape(3, 5) % 11
PARTS = [  # submodules that only one model uses
    ParityCase(path, f"models.{path}", inputs, config)
    for path, inputs, config in (
        ("seq2seq.Encoder", lambda draw: {"tokens": TOKENS, "lengths": np.array([2, 5, 1])}, ENCODER),
        ("transformer.InputEmbedding", lambda draw: {"tokens": TOKENS}, {"vocab_size": 11, "width": 7, "dropout": 0.0}),
        ("bert.Pooler", lambda draw: {"x": draw.normal(3, 5, 7)}, {"width": 7}),
    )
]
CASES = [*attention.CASES, *recurrent.CASES, *recurrent_layers.CASES, *recurrent_models.CASES, *PARTS]
CASES += [case for case in segmentation.CASES if "dice" in case.name]


class Pair(nn.Module):
    """A submodule with two inputs and an optional one, and two outputs, of which one is a pair."""

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
    """Return the value and the input gradients of the module that `build` makes."""
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


def test_every_use_of_a_submodule_has_its_mistakes(mistakes):
    used = ["layers.0", "call 1 of layers.1", "call 2 of layers.1", "every call of layers.1"]
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


def test_every_wrong_use_changes_its_own_pass(mistakes):
    y, *gradients = results(Whole)
    for text, build in mistakes.items():
        wrong_y, *wrong_gradients = results(build)
        in_the_backward = text.startswith("lets no gradient") or text.endswith("of the backward")
        assert torch.equal(wrong_y, y) == in_the_backward, text
        assert not all(map(torch.equal, wrong_gradients, gradients)), text


def test_a_wrong_use_does_what_its_message_says(mistakes):
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


def test_two_submodules_of_one_class_can_be_exchanged():
    watched, x = Two(), torch.randn(3, 4, dtype=torch.float64)
    uses = watch_parts(watched)
    y = watched(x)
    (crossed,) = [build() for text, build in wrong_uses(uses, Two) if text.startswith("uses ")]
    assert torch.equal(crossed(x), watched.first(watched.act(watched.second(x))))
    assert not torch.allclose(crossed(x), y)


class Thrice(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.Tanh()

    def forward(self, x):
        return self.act(x) + 2 * self.act(x + 1) + 3 * self.act(x - 1)


def test_a_mistake_may_affect_every_call_but_the_last():
    watched, x = Thrice(), torch.randn(3, 4, dtype=torch.float64)
    uses = watch_parts(watched)
    watched(x)
    mistakes = {text: build()(x) for text, build in wrong_uses(uses, Thrice) if text.startswith("leaves") and text.endswith("out")}
    assert len(mistakes) == 5
    assert torch.equal(mistakes["leaves every call of act out"], x + 2 * (x + 1) + 3 * (x - 1))
    assert torch.equal(mistakes["leaves every call of act but the last out"], x + 2 * (x + 1) + 3 * (x - 1).tanh())


def test_no_mistake_gives_key_and_value_different_lengths():
    layer = DETRDecoderLayer(6, 2, 5)
    uses = watch_parts(layer)
    queries, memory, mask = torch.randn(3, 4, 6), torch.randn(3, 5, 6), torch.ones(3, 1, 1, 5, dtype=torch.bool)
    layer(queries, memory, queries, memory, mask)
    mistakes = dict(wrong_uses(uses, lambda: layer))
    assert not any("multihead_attn its query for" in text for text in mistakes)
    assert "gives multihead_attn its key for value" in mistakes
    assert "gives multihead_attn the opposite of attn_mask" in mistakes


def test_masks_and_memories_have_their_own_mistakes():
    layer = TransformerDecoderLayer(6, 2, 5)
    uses = watch_parts(layer)
    x, memory, mask = torch.randn(3, 4, 6), torch.randn(3, 5, 6), torch.ones(3, 1, 1, 5, dtype=torch.bool)
    layer(x, memory, None, mask, True)
    mistakes = dict(wrong_uses(uses, lambda: layer))
    assert "gives self_attn False for is_causal" in mistakes
    assert "gives multihead_attn true everywhere for attn_mask" in mistakes
    assert "gives multihead_attn its query for key and value" in mistakes
    assert not any("gives self_attn its" in text for text in mistakes)  # query, key and value are the same


class Layer(nn.Module):
    """A residual layer: its norm is scaled and added, and so is the mean of a cache."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4, dtype=torch.float64)
        self.scale = nn.Parameter(torch.full((4,), 1.5, dtype=torch.float64))

    def forward(self, x, past=None, reverse=False):
        kept = x if past is None else torch.cat([past[0][0, 0] * past[1][0, 0], x])
        kept = kept.flip(0) if reverse else kept
        return x + self.norm(x) * self.scale + kept.mean(0)


class Stack(nn.Module):
    """Residual layers with a cache, behind an embedding with positions; the head shares the embedding's weight."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.table = nn.Embedding(9, 4, dtype=torch.float64)
        self.positions = nn.Embedding(9, 4, dtype=torch.float64)
        self.layers = nn.ModuleList(Layer() for _ in range(3))
        self.head = nn.Linear(4, 9, bias=False, dtype=torch.float64)
        self.head.weight = self.table.weight

    def forward(self, past):
        x = self.table(torch.tensor([3, 1, 3])) + self.positions(torch.arange(2, 5))
        for layer in self.layers:
            x = layer(x, past, True)
        return self.head(x)


def stack_results(build):
    """Return the value of the stack that `build` makes, and the gradients of its parameters by name."""
    past = tuple(torch.arange(12.0, dtype=torch.float64).sin().reshape(1, 1, 3, 4) + i for i in range(2))
    module = build()
    y = module(past)
    (y * torch.arange(27.0, dtype=torch.float64).cos().reshape(3, 9)).sum().backward()
    return y.detach(), {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


@pytest.fixture(scope="module")
def stack_mistakes():
    watched = Stack()
    uses = watch_parts(watched)
    stack_results(lambda: watched)
    return dict(wrong_uses(uses, Stack))


def changed(**changes):
    """Return a stack with another cache for some layers, another option, or other inputs of its embeddings."""

    class Changed(Stack):
        def forward(self, past):
            numbers = changes.get("positions", lambda numbers: numbers)(torch.arange(2, 5))
            x = self.table(torch.tensor([3, 1, 3])) * changes.get("scale", 1) + self.positions(numbers)
            for i, layer in enumerate(self.layers):
                given = changes.get("past", lambda past: past)(past) if i in changes.get("layers", range(3)) else past
                x = layer(x, given, changes.get("reverse", True))
            return self.head(x)

    return Changed


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("does not pass past on to each of layers", {"past": lambda past: None}),
        ("does not pass past on to layers.1", {"past": lambda past: None, "layers": [1]}),
        ("gives each of layers past without its last step", {"past": lambda past: tuple(x[:, :, :-1] for x in past)}),
        ("gives layers.2 past without its last step", {"past": lambda past: tuple(x[:, :, :-1] for x in past), "layers": [2]}),
        ("gives each of layers the parts of past in the reverse order", {"past": lambda past: past[::-1]}),
        ("gives each of layers False for reverse", {"reverse": False}),
        ("gives positions input that are one too many", {"positions": lambda numbers: numbers + 1}),
        ("gives positions input that are one too few", {"positions": lambda numbers: numbers - 1}),
        ("gives positions input that begin at 0", {"positions": lambda numbers: numbers - 2}),
        ("multiplies what table returns by the root of its width", {"scale": 2}),
    ],
)
def test_a_mistake_may_affect_one_or_all_listed_layers(stack_mistakes, text, changes):
    y, gradients = stack_results(stack_mistakes[text])
    expected, expected_gradients = stack_results(changed(**changes))
    assert torch.equal(y, expected)
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in expected_gradients.items():
        torch.testing.assert_close(gradients[name], gradient, msg=name)


def test_a_mistake_may_lose_one_gradient_of_a_shared_weight(stack_mistakes):
    y, gradients = stack_results(Stack)
    of_parts = []
    for part in ("table", "head"):
        wrong_y, wrong = stack_results(stack_mistakes[f"lets no gradient into the parameters of {part}"])
        assert torch.equal(wrong_y, y)
        of_parts.append(next(gradient for name, gradient in wrong.items() if name in ("table.weight", "head.weight")))
    torch.testing.assert_close(sum(of_parts), gradients["table.weight"])
    assert "lets no gradient into the parameters of positions" not in stack_mistakes


class Norms(nn.Module):
    """Two residual connections with a norm before each submodule."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.norm1, self.norm2 = (nn.LayerNorm(4, dtype=torch.float64) for _ in range(2))
        self.part1, self.part2 = (nn.Linear(4, 4, dtype=torch.float64) for _ in range(2))
        for parameter in self.parameters():
            nn.init.normal_(parameter)

    def forward(self, x):
        x = x + self.part1(self.norm1(x))
        return x + self.part2(self.norm2(x))

    def with_sums(self, first, second):
        """Replace both sums by functions of the residual, the norm, the normalised input and the submodule."""
        self.forward = lambda x: second(
            x1 := first(x, self.norm1, self.norm1(x), self.part1), self.norm2, self.norm2(x1), self.part2
        )
        return self


def right(x, norm, normed, part):
    return x + part(normed)


SUMS = {
    "leaves the first term of sum 1 out": (lambda x, norm, normed, part: part(normed), right),
    "leaves the second term of sum 1 out": (lambda x, norm, normed, part: x, right),
    "leaves the first term of sum 2 out": (right, lambda x, norm, normed, part: part(normed)),
    "leaves the second term of sum 2 out": (right, lambda x, norm, normed, part: x),
    "lets no gradient through the first term of sum 1": (lambda x, norm, normed, part: x.detach() + part(normed), right),
    "lets no gradient through the second term of sum 1": (lambda x, norm, normed, part: x + part(normed).detach(), right),
    "lets no gradient through the first term of sum 2": (right, lambda x, norm, normed, part: x.detach() + part(normed)),
    "lets no gradient through the second term of sum 2": (right, lambda x, norm, normed, part: x + part(normed).detach()),
    "takes what goes past the part behind the norm": (lambda x, norm, normed, part: normed + part(normed),) * 2,
    "takes what goes past the part behind the norm in sum 1": (lambda x, norm, normed, part: normed + part(normed), right),
    "takes what goes past the part behind the norm in sum 2": (right, lambda x, norm, normed, part: normed + part(normed)),
    "normalises each sum, not what goes into the part: post-norm for pre-norm": (lambda x, norm, normed, part: norm(x + part(x)),)
    * 2,
}


def norms_results(build, mode=None):
    module, x = build(), torch.arange(12.0, dtype=torch.float64).sin().reshape(3, 4).requires_grad_()
    with mode or nullcontext():
        y = module(x)
    (y * torch.arange(12.0, dtype=torch.float64).cos().reshape(3, 4)).sum().backward()
    gradients = [x.grad, *(torch.zeros_like(p) if p.grad is None else p.grad for p in module.parameters())]
    return [y.detach(), *gradients]


def test_every_mistake_in_residual_connections_does_what_it_says():
    right_results = norms_results(Norms)
    found = {text: (build, add) for text, build, add in wrong_sums(Norms(), 2, Norms)}
    assert found.keys() == SUMS.keys()
    for text, (build, add) in found.items():
        for _ in range(2):  # a mistake can be run again
            wrong = norms_results(build, Instead("add", add))
        expected = norms_results(lambda text=text: Norms().with_sums(*SUMS[text]))
        for one, other in zip(wrong, expected, strict=True):
            torch.testing.assert_close(one, other, msg=text)
        assert not all(torch.allclose(one, other) for one, other in zip(wrong, right_results, strict=True)), text


class Shortcut(nn.Module):
    """A residual connection around two linear layers and a norm with a counter, followed by an activation."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.maps = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)).double()
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(x + self.maps(x))

    def ending(self, end):
        """Replace the value by a function of the residual and of the value that is added to it."""
        self.forward = lambda x: end(x, self.maps(x))
        return self


def straight_through(value, gradient):
    return value.detach() + gradient - gradient.detach()


TAKERS = {
    "adds the first term of its sum behind the part that the sum goes into": lambda x, y: y.relu() + x,
    "adds the second term of its sum behind the part that the sum goes into": lambda x, y: x.relu() + y,
    "puts the first term of its sum through the part that the sum goes into, by itself": lambda x, y: (x.relu() + y).relu(),
    "puts the second term of its sum through the part that the sum goes into, by itself": lambda x, y: (x + y.relu()).relu(),
    "lets the gradient of the first term of its sum past the part that the sum goes into": (
        lambda x, y: straight_through((x + y).relu(), (x.detach() + y).relu() + x)
    ),
    "lets the gradient of the second term of its sum past the part that the sum goes into": (
        lambda x, y: straight_through((x + y).relu(), (x + y.detach()).relu() + y)
    ),
}


def test_every_mistake_after_a_residual_sum_does_what_it_says():
    right_results = norms_results(Shortcut)
    found = {text: (build, add) for text, build, add in wrong_takers(Shortcut(), 1, Shortcut)}
    assert found.keys() == TAKERS.keys()
    for text, (build, add) in found.items():
        for _ in range(2):  # a mistake can be run again
            wrong = norms_results(build, Instead("add", add))
        expected = norms_results(lambda text=text: Shortcut().ending(TAKERS[text]))
        for one, other in zip(wrong, expected, strict=True):
            torch.testing.assert_close(one, other, msg=text)
        assert not all(torch.allclose(one, other) for one, other in zip(wrong, right_results, strict=True)), text


def test_a_sum_without_an_activation_has_no_such_mistakes():
    assert not list(wrong_takers(Norms(), 2, Norms))  # their next submodules have parameters
    for _, build, add in wrong_takers(Shortcut(), 1, lambda: Shortcut().ending(lambda x, y: x + y)):
        with pytest.raises(ValueError, match="no part takes the sum"):
            norms_results(build, Instead("add", add))


def test_a_skipped_batch_norm_counts_no_batch():
    watched = Shortcut()
    uses = watch_parts(watched)
    norms_results(lambda: watched)
    mistakes = dict(wrong_uses(uses, Shortcut))
    assert not any(text.startswith("lets no gradient into the parameters") for text in mistakes)  # no parameters are shared
    module = mistakes["leaves maps.1 out"]()
    x = torch.arange(12.0, dtype=torch.float64).sin().reshape(3, 4)
    torch.testing.assert_close(module(x), (x + module.maps[2](module.maps[0](x))).relu())
    assert module.maps[1].num_batches_tracked == 0


@pytest.mark.parametrize("name", sequences.TABLE)
def test_every_mistake_changes_a_result(name):
    calling = [case for case in CASES if name in calls_of(case)]
    for text, wrong in sequences.TABLE[name]:
        assert any(differences(case, name, wrong)[1] for case in calling), text


@pytest.mark.parametrize("case", [case for case in CASES if "masked" in case.name.lower()], ids=attrgetter("name"))
def test_mistakes_in_the_maximums_backward_keep_its_value(case):
    for text, wrong in sequences.TABLE["max"]:
        missing, differing = differences(case, "max", wrong)
        assert not missing, text
        assert "y" not in differing, text


PADDED = ParityCase(
    "padded",
    "models.resnet.PaddedShortcut",
    normal(3, 4, 5, 6),
    {"in_channels": 4, "out_channels": 7, "stride": 2},
)


def test_padding_without_a_mistake_agrees_with_torch():
    assert "pad" in calls_of(PADDED)
    assert differences(PADDED, "pad", padding.pad) == (set(), [])


@pytest.mark.parametrize("text", dict(TABLE["pad"]))
def test_every_mistake_in_padding_changes_a_result(text):
    assert differences(PADDED, "pad", dict(TABLE["pad"])[text])[1]
