"""Faults of the feed-forward block."""

from functools import partial

from parity_tests.faults.fault import Fault

plain = partial(
    Fault,
    function="layers.feed_forward.FeedForward.forward",
    cases=("FeedForward", "FeedForward-gelu-tanh"),
    culprit="FeedForward",
    phase="forward",
)
gated = partial(plain, cases=("FeedForward-gated", "FeedForward-gated-sigmoid"))
plain_backward, gated_backward = partial(plain, phase="backward"), partial(gated, phase="backward")

ACTIVE = "hidden, activation_backward = self.activation(hidden)"
DROPPED = "hidden, dropout_backward = self.dropout(hidden)"
GATE = "dx + gate_backward(activation_backward(dhidden * linear))"

FAULTS = [
    plain("FeedForward: no activation", ACTIVE, "activation_backward = lambda d: d", cause="leaves activation out"),
    plain(
        "FeedForward: no dropout",
        DROPPED,
        "dropout_backward = lambda d: d",
        cause="leaves dropout out|eval mode",
        cases=("FeedForward-dropout",),
    ),
    plain_backward(
        "FeedForward: activation left out of the backward",
        "linear1_backward(activation_backward(dhidden))",
        "linear1_backward(dhidden)",
        cause="leaves activation out of the backward pass",
    ),
    plain_backward(
        "FeedForward: dropout left out of the backward",
        "dropout_backward(linear2_backward(dy))",
        "linear2_backward(dy)",
        cause="leaves dropout out of the backward pass",
        cases=("FeedForward-dropout",),
    ),
    plain_backward(
        "FeedForward: another activation's backward",
        "linear1_backward(activation_backward(dhidden))",
        "linear1_backward(dhidden * (hidden > 0))",
        cause=None,
        cases=("FeedForward-gelu-tanh", "FeedForward-no-bias"),
    ),
    plain(
        "FeedForward: residual added",
        "return y, backward",
        "return x + y, lambda dy: dy + backward(dy)",
        cause="lacks the term - x",
    ),
    gated(
        "FeedForward: gate and linear branch swapped",
        "opening, activation_backward = self.activation(opening)",
        "linear, activation_backward = self.activation(linear)",
        cause="swaps gate and linear1|swaps linear1 and gate",
    ),
    gated("FeedForward: branches added", "opening * linear", "opening + linear", cause=None),
    gated(
        "FeedForward: gate not activated",
        "opening, activation_backward = self.activation(opening)",
        "activation_backward = lambda d: d",
        cause="leaves activation out",
    ),
    gated(
        "FeedForward: both branches from the gate",
        "linear, linear1_backward = self.linear1(x)",
        "linear, linear1_backward = self.gate(x)",
        cause=None,
    ),
    gated_backward(
        "FeedForward: gradient through the gate missing", GATE, "dx", cause="loses the gradient of the output of gate|is missing"
    ),
    gated_backward(
        "FeedForward: gate's gradient of x missing",
        f"return {GATE}",
        f"{GATE}; return dx",
        cause="loses the gradient of the argument .* of gate",
    ),
    gated_backward(
        "FeedForward: linear branch's gradient of x missing",
        GATE,
        GATE.removeprefix("dx + "),
        cause="loses the gradient of the argument .* of linear1",
    ),
    gated_backward(
        "FeedForward: product rule with the wrong factors",
        "linear1_backward(dhidden * opening)",
        "linear1_backward(dhidden * linear)",
        cause=None,
    ),
    gated_backward(
        "FeedForward: gate's gradient not activated",
        "activation_backward(dhidden * linear)",
        "dhidden * linear",
        cause="leaves activation out of the backward pass",
    ),
]
