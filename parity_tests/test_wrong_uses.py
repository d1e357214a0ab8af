"""Mistakes in how a module uses its submodules and residual connections: each does what its message says, and shows."""

from contextlib import nullcontext
from itertools import permutations

import pytest
import torch
from torch import nn

from parity.explaining.counterfactual_runs import Instead
from parity.mistakes.uses.residuals import wrong_residuals
from parity.mistakes.uses.submodules import watch_submodules, wrong_uses
from reference.layers import DETRDecoderLayer, TransformerDecoderLayer


class Pair(nn.Module):
    """A submodule with three inputs, one of them optional, and two outputs, one of them a pair."""

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
    """Return the value and the gradients of the module that `build` makes."""
    torch.manual_seed(0)
    inputs = [torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    y = build()(*inputs)
    (y * torch.randn(3, 4, dtype=torch.float64)).sum().backward()
    return [y.detach(), *(torch.zeros_like(x) if x.grad is None else x.grad for x in inputs)]


@pytest.fixture(scope="module")
def mistakes():
    watched = Whole()
    uses = watch_submodules(watched)
    results(lambda: watched)
    return dict(wrong_uses(uses, Whole))


def test_every_use_has_its_mistakes(mistakes):
    used = ["layers.0", "call 1 of layers.1", "call 2 of layers.1", "every call of layers.1"]
    expected = [f"loses the gradient of the argument input of {part}" for part in used]
    expected += [f"passes zeros to {part} as input" for part in used]
    expected += [f"loses the gradient of the output of {part}" for part in (*used, "pair")]
    expected += [text for part in used for text in (f"leaves {part} out", f"leaves {part} out of the backward pass")]
    expected += [f"loses the gradient of the argument {name} of pair" for name in ("x", "other", "scale")]
    expected += [f"passes zeros to pair as {name}" for name in ("x", "other", "scale")]
    expected += [f"loses the gradient of the output {name} of pair" for name in ("y.0", "y.1", "y.1.0", "y.1.1")]
    expected += [f"passes {one} to pair in place of {other}" for one, other in permutations(("x", "other", "scale"), 2)]
    pairs = ("x and other", "x and scale", "other and scale")
    expected += ["does not pass scale to pair", *(f"swaps the arguments {names} of pair" for names in pairs)]
    assert sorted(mistakes) == sorted(expected)


def test_every_wrong_use_shows_in_its_pass(mistakes):
    y, *gradients = results(Whole)
    for text, build in mistakes.items():
        wrong_y, *wrong_gradients = results(build)
        in_the_backward = text.startswith("loses the gradient") or text.endswith("of the backward pass")
        assert torch.equal(wrong_y, y) == in_the_backward, text
        assert not all(map(torch.equal, wrong_gradients, gradients)), text


def test_a_wrong_use_is_what_it_says(mistakes):
    _, dx, dother, dscale = results(Whole)
    _, wrong_dx, wrong_dother, wrong_dscale = results(mistakes["loses the gradient of the argument x of pair"])
    assert not wrong_dx.any()
    assert torch.equal(wrong_dother, dother)
    assert torch.equal(wrong_dscale, dscale)
    assert not results(mistakes["loses the gradient of the argument scale of pair"])[3].any()
    assert not results(mistakes["loses the gradient of the output y.0 of pair"])[3].any()
    assert torch.equal(results(mistakes["loses the gradient of the output y.1.1 of pair"])[1], dx)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.act, self.second = nn.Linear(4, 4).double(), nn.Tanh(), nn.Linear(4, 4).double()

    def forward(self, x):
        return self.second(self.act(self.first(x)))


def test_two_submodules_of_a_kind_are_swapped():
    watched, x = Two(), torch.randn(3, 4, dtype=torch.float64)
    uses = watch_submodules(watched)
    y = watched(x)
    (crossed,) = [build() for text, build in wrong_uses(uses, Two) if text.startswith("swaps ")]
    assert torch.equal(crossed(x), watched.first(watched.act(watched.second(x))))
    assert not torch.allclose(crossed(x), y)


class Thrice(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.Tanh()

    def forward(self, x):
        return self.act(x) + 2 * self.act(x + 1) + 3 * self.act(x - 1)


def test_all_calls_of_a_submodule_are_wrong_alike_or_all_but_the_last():
    watched, x = Thrice(), torch.randn(3, 4, dtype=torch.float64)
    uses = watch_submodules(watched)
    watched(x)
    mistakes = {text: build()(x) for text, build in wrong_uses(uses, Thrice) if text.startswith("leaves") and text.endswith("out")}
    assert len(mistakes) == 5
    assert torch.equal(mistakes["leaves every call of act out"], x + 2 * (x + 1) + 3 * (x - 1))
    assert torch.equal(mistakes["leaves every call of act but the last out"], x + 2 * (x + 1) + 3 * (x - 1).tanh())


def test_a_key_is_not_made_of_another_length_than_its_value():
    layer = DETRDecoderLayer(6, 2, 5)
    uses = watch_submodules(layer)
    queries, memory, mask = torch.randn(3, 4, 6), torch.randn(3, 5, 6), torch.ones(3, 1, 1, 5, dtype=torch.bool)
    layer(queries, memory, queries, memory, mask)
    mistakes = dict(wrong_uses(uses, lambda: layer))
    assert not any("query to multihead_attn in place of" in text and "value" not in text for text in mistakes)
    assert "passes key to multihead_attn in place of value" in mistakes
    assert "passes the inverse of attn_mask to multihead_attn" in mistakes


def test_masks_and_memories_have_mistakes_of_their_own():
    layer = TransformerDecoderLayer(6, 2, 5)
    uses = watch_submodules(layer)
    x, memory, mask = torch.randn(3, 4, 6), torch.randn(3, 5, 6), torch.ones(3, 1, 1, 5, dtype=torch.bool)
    layer(x, memory, None, mask, True)
    mistakes = dict(wrong_uses(uses, lambda: layer))
    assert "passes is_causal = False to self_attn" in mistakes
    assert "passes true everywhere as attn_mask to multihead_attn" in mistakes
    assert "passes query to multihead_attn in place of key and value" in mistakes
    assert not any("to self_attn in place of" in text for text in mistakes)  # query, key and value are one


class Layer(nn.Module):
    """A layer with a norm, a residual connection, and a mean over kept values that come before x."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4, dtype=torch.float64)
        self.scale = nn.Parameter(torch.full((4,), 1.5, dtype=torch.float64))

    def forward(self, x, past=None, reverse=False):
        kept = x if past is None else torch.cat([past[0][0, 0] * past[1][0, 0], x])
        kept = kept.flip(0) if reverse else kept
        return x + self.norm(x) * self.scale + kept.mean(0)


class Stack(nn.Module):
    """An embedding with positions, layers that read kept values, and a head that shares the weight of the embedding."""

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
    """Return the value of the stack that `build` makes, and the gradients of its parameters by name, where they have one."""
    past = tuple(torch.arange(12.0, dtype=torch.float64).sin().reshape(1, 1, 3, 4) + i for i in range(2))
    module = build()
    y = module(past)
    (y * torch.arange(27.0, dtype=torch.float64).cos().reshape(3, 9)).sum().backward()
    return y.detach(), {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


@pytest.fixture(scope="module")
def stack_mistakes():
    watched = Stack()
    uses = watch_submodules(watched)
    stack_results(lambda: watched)
    return dict(wrong_uses(uses, Stack))


def changed(**changes):
    """Return a stack with changed inputs of its layers or of its embeddings."""

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
        ("does not pass past to every module in layers", {"past": lambda past: None}),
        ("does not pass past to layers.1", {"past": lambda past: None, "layers": [1]}),
        ("passes past without its last step to every module in layers", {"past": lambda past: tuple(x[:, :, :-1] for x in past)}),
        ("passes past without its last step to layers.2", {"past": lambda past: tuple(x[:, :, :-1] for x in past), "layers": [2]}),
        ("passes the tensors of past in reverse order to every module in layers", {"past": lambda past: past[::-1]}),
        ("passes reverse = False to every module in layers", {"reverse": False}),
        ("passes input + 1 to positions", {"positions": lambda numbers: numbers + 1}),
        ("passes input - 1 to positions", {"positions": lambda numbers: numbers - 1}),
        ("passes numbers from 0 on as input to positions", {"positions": lambda numbers: numbers - 2}),
        ("multiplies the output of table by the root of its width", {"scale": 2}),
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
        wrong_y, wrong = stack_results(stack_mistakes[f"loses the gradient of {part} for its shared parameters"])
        assert torch.equal(wrong_y, y)
        of_parts.append(next(gradient for name, gradient in wrong.items() if name in ("table.weight", "head.weight")))
    torch.testing.assert_close(sum(of_parts), gradients["table.weight"])
    assert "loses the gradient of positions for its shared parameters" not in stack_mistakes


class Norms(nn.Module):
    """Two linear maps with a norm before each and a residual connection around each."""

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
        """Return the module with other sums: functions of x, the norm, the normalised x and the linear map."""
        self.forward = lambda x: second(
            x1 := first(x, self.norm1, self.norm1(x), self.part1), self.norm2, self.norm2(x1), self.part2
        )
        return self


def right(x, norm, normed, part):
    return x + part(normed)


def residual_after_norm(x, norm, normed, part):
    return normed + part(normed)


def post_norm(x, norm, normed, part):
    return norm(x + part(x))


RESIDUAL = "takes the residual connection from after the norm{}; it starts before the norm"
SUMS = {
    "leaves the first term of sum 1 out": (lambda x, norm, normed, part: part(normed), right),
    "leaves the second term of sum 1 out": (lambda x, norm, normed, part: x, right),
    "leaves the first term of sum 2 out": (right, lambda x, norm, normed, part: part(normed)),
    "leaves the second term of sum 2 out": (right, lambda x, norm, normed, part: x),
    "loses the gradient of the first term of sum 1": (lambda x, norm, normed, part: x.detach() + part(normed), right),
    "loses the gradient of the second term of sum 1": (lambda x, norm, normed, part: x + part(normed).detach(), right),
    "loses the gradient of the first term of sum 2": (right, lambda x, norm, normed, part: x.detach() + part(normed)),
    "loses the gradient of the second term of sum 2": (right, lambda x, norm, normed, part: x + part(normed).detach()),
    RESIDUAL.format(""): (residual_after_norm, residual_after_norm),
    RESIDUAL.format(" in sum 1"): (residual_after_norm, right),
    RESIDUAL.format(" in sum 2"): (right, residual_after_norm),
    "normalises after each sum (post-norm); the norm belongs before the submodule (pre-norm)": (post_norm, post_norm),
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
    found = {text: (build, add) for text, build, add in wrong_residuals(Norms(), 2, Norms)}
    assert found.keys() == SUMS.keys()
    for text, (build, add) in found.items():
        for _ in range(2):  # a mistake can be run again
            wrong = norms_results(build, Instead("add", add))
        expected = norms_results(lambda text=text: Norms().with_sums(*SUMS[text]))
        for one, other in zip(wrong, expected, strict=True):
            torch.testing.assert_close(one, other, msg=text)
        assert not all(torch.allclose(one, other) for one, other in zip(wrong, right_results, strict=True)), text


class Shortcut(nn.Module):
    """Two linear maps with a batch norm between them, a residual connection around them, and an activation of the sum."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.maps = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)).double()
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(x + self.maps(x))

    def ending(self, end):
        """Return the module whose value is this function of x and of the linear maps' output."""
        self.forward = lambda x: end(x, self.maps(x))
        return self


def straight_through(value, gradient):
    return value.detach() + gradient - gradient.detach()


AFTER_THE_SUM = {
    "adds the first term of the sum after the submodule that takes the sum": lambda x, y: y.relu() + x,
    "adds the second term of the sum after the submodule that takes the sum": lambda x, y: x.relu() + y,
    "applies the submodule that takes the sum to the first term of the sum too, before the sum": lambda x, y: (x.relu() + y).relu(),
    "applies the submodule that takes the sum to the second term of the sum too, before the sum": lambda x, y: (
        x + y.relu()
    ).relu(),
    "passes the gradient of the first term of the sum around the submodule that takes the sum": (
        lambda x, y: straight_through((x + y).relu(), (x.detach() + y).relu() + x)
    ),
    "passes the gradient of the second term of the sum around the submodule that takes the sum": (
        lambda x, y: straight_through((x + y).relu(), (x + y.detach()).relu() + y)
    ),
}


def test_every_mistake_after_a_residual_sum_does_what_it_says():
    right_results = norms_results(Shortcut)
    found = {text: (build, add) for text, build, add in wrong_residuals(Shortcut(), 1, Shortcut) if "submodule that takes" in text}
    assert found.keys() == AFTER_THE_SUM.keys()
    for text, (build, add) in found.items():
        for _ in range(2):  # a mistake can be run again
            wrong = norms_results(build, Instead("add", add))
        expected = norms_results(lambda text=text: Shortcut().ending(AFTER_THE_SUM[text]))
        for one, other in zip(wrong, expected, strict=True):
            torch.testing.assert_close(one, other, msg=text)
        assert not all(torch.allclose(one, other) for one, other in zip(wrong, right_results, strict=True)), text


def test_a_sum_without_an_activation_has_no_such_mistakes():
    messages = [message for message, _, _ in wrong_residuals(Norms(), 2, Norms)]
    assert not any("takes the sum" in message for message in messages)  # all submodules of Norms have parameters
    for message, build, add in wrong_residuals(Shortcut(), 1, lambda: Shortcut().ending(lambda x, y: x + y)):
        if "takes the sum" not in message:
            continue
        with pytest.raises(ValueError, match="no submodule takes the sum"):
            norms_results(build, Instead("add", add))


def test_a_skipped_batch_norm_counts_no_batch():
    watched = Shortcut()
    uses = watch_submodules(watched)
    norms_results(lambda: watched)
    mistakes = dict(wrong_uses(uses, Shortcut))
    assert not any(text.endswith("shared parameters") for text in mistakes)  # none are shared
    module = mistakes["leaves maps.1 out"]()
    x = torch.arange(12.0, dtype=torch.float64).sin().reshape(3, 4)
    torch.testing.assert_close(module(x), (x + module.maps[2](module.maps[0](x))).relu())
    assert module.maps[1].num_batches_tracked == 0
