"""Recurrent layers in one or both directions, for sequences of unequal length, and cells for single steps."""

from typing import Any

import numpy as np

from scratch.checks import is_probability, lengths_within
from scratch.layers.init import fan_in_uniform
from scratch.module import Array, Backward, Module, apply
from scratch.ops.dropout import dropout as drop
from scratch.ops.gru import gru
from scratch.ops.lstm import lstm
from scratch.ops.rnn import rnn
from scratch.random import generator


class _Recurrent(Module):
    """A stack of num_layers layers in one direction, or in both if bidirectional.

    Inputs are x (T, B, input_size), or (B, T, input_size) with batch_first; the initial states, zeros by default; and lengths
    (B,), where sequences are shorter than T. In the padding, the value of a sequence is 0. Its final state is that of its
    last step, and there the reverse direction begins. The value is (y (T, B, directions * width), states), with states
    (num_layers * directions, B, ...). The backward takes dy alone where the final states are not used.
    """

    gates: int
    states = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
    ):
        name = type(self).__name__
        if min(input_size, hidden_size, num_layers) < 1 or not 0 <= proj_size < hidden_size:
            raise ValueError(
                f"{name}: expected positive sizes and a proj_size below hidden_size, got input_size {input_size}, "
                f"hidden_size {hidden_size}, num_layers {num_layers}, proj_size {proj_size}"
            )
        is_probability(name, "dropout", dropout)
        self.input_size, self.hidden_size, self.num_layers, self.proj_size = input_size, hidden_size, num_layers, proj_size
        self.batch_first, self.dropout, self.bidirectional = batch_first, dropout, bidirectional
        self.directions = ("", "_reverse") if bidirectional else ("",)  # the ends of their parameters' names
        width, rows = proj_size or hidden_size, self.gates * hidden_size
        for layer in range(num_layers):
            size = input_size if layer == 0 else width * len(self.directions)
            for direction in self.directions:
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, size), "weight_hh": (rows, width)}
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
                shapes |= {"weight_hr": (proj_size, hidden_size)} if proj_size else {}
                for parameter, shape in shapes.items():
                    setattr(self, f"{parameter}_l{layer}{direction}", fan_in_uniform(shape, hidden_size))

    def _run(self, x: Array, states: list[Array], suffix: str, counts: Array | None) -> tuple[Any, Backward]:
        """Run one layer in one direction; `suffix` ends the names of its parameters."""
        raise NotImplementedError

    def _weights(self, suffix: str) -> list[Any]:
        """Return weight_ih, weight_hh, bias_ih and bias_hh of one layer in one direction; None where there is no bias."""
        return [getattr(self, f"{name}_{suffix}", None) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]

    def forward(self, x: Array, hx: Any = None, lengths: Array | None = None) -> tuple[Any, Backward]:
        T, B = self._checked_sizes(x)
        given = self._checked_states(hx, x, B)
        turn, counts, order = self._longest_first(lengths, T, B)
        values = (x.swapaxes(0, 1) if self.batch_first else x)[:, order]
        starts = [state[:, order] for state in given]
        finals: list[tuple[Array, ...]] = []
        backwards: list[tuple[list[Backward], Backward]] = []
        for layer in range(self.num_layers):
            outputs, layer_backwards = [], []
            for direction, suffix in enumerate(self.directions):
                row = len(finals)
                (y, *final), run_backward = self._run(
                    turn(values) if direction else values, [s[row] for s in starts], f"l{layer}{suffix}", counts
                )
                outputs.append(turn(y) if direction else y)
                finals.append(tuple(final))
                layer_backwards.append(run_backward)
            values = np.concatenate(outputs, axis=2) if self.bidirectional else outputs[0]
            values, drop_backward = self._between_layers(values, layer, counts)
            backwards.append((layer_backwards, drop_backward))

        def backward(dy: Array, *dfinals: Array) -> Any:
            dvalues = (dy.swapaxes(0, 1) if self.batch_first else dy)[:, order]
            dstarts = [np.zeros_like(start) for start in starts]
            dfinals = tuple(dfinal[:, order] for dfinal in dfinals) or tuple(dstarts)
            for layer in reversed(range(self.num_layers)):
                layer_backwards, drop_backward = backwards[layer]
                pieces = np.split(drop_backward(dvalues), len(layer_backwards), axis=2)
                dinputs = []
                for direction, (dpiece, run_backward) in enumerate(zip(pieces, layer_backwards, strict=True)):
                    row = layer * len(layer_backwards) + direction
                    dinput, *dstart = run_backward(turn(dpiece) if direction else dpiece, *(d[row] for d in dfinals))
                    dinputs.append(turn(dinput) if direction else dinput)
                    for dstate, piece in zip(dstarts, dstart, strict=True):
                        dstate[row] = piece
                dvalues = sum(dinputs[1:], dinputs[0])  # both directions read the same values
            dx = _unordered(dvalues, order)
            dhx = tuple(_unordered(dstate, order) for dstate in dstarts)
            dx = dx.swapaxes(0, 1) if self.batch_first else dx
            if hx is None and lengths is None:
                return dx
            return dx, None if hx is None else dhx if self.states > 1 else dhx[0], None

        y = _unordered(values, order)
        ends = tuple(_unordered(np.stack(state), order) for state in zip(*finals, strict=True))
        return (y.swapaxes(0, 1) if self.batch_first else y, ends if self.states > 1 else ends[0]), backward

    def _checked_sizes(self, x: Array) -> tuple[int, int]:
        """Return the numbers of steps and of sequences, or raise ValueError where the shape of x is wrong."""
        if x.ndim != 3 or x.shape[2] != self.input_size:
            axes = "(B, T, " if self.batch_first else "(T, B, "
            raise ValueError(f"{type(self).__name__}: expected x {axes}{self.input_size}), got {x.shape}")
        B, T = x.shape[:2] if self.batch_first else x.shape[1::-1]
        if T == 0:
            raise ValueError(f"{type(self).__name__}: expected sequences of at least one step, got x of shape {x.shape}")
        return T, B

    def _longest_first(self, lengths: Array | None, T: int, B: int) -> "tuple[_Turn, Array | None, Any]":
        """Return a reversal in time, the number of rows at each step, and the order of the batch, the longest sequence first."""
        if lengths is None:
            return _Turn(None), None, slice(None)
        lengths_within(type(self).__name__, lengths, T, B)
        order = np.argsort(-lengths, kind="stable")
        falling = lengths[order]
        return _Turn(falling), (falling > np.arange(T)[:, None]).sum(axis=1), order

    def _checked_states(self, hx: Any, x: Array, B: int) -> tuple[Array, ...]:
        """Return the initial states as a tuple, zeros where none are given; raise ValueError where a shape is wrong."""
        rows = self.num_layers * len(self.directions)
        shapes = [(rows, B, self.proj_size or self.hidden_size), (rows, B, self.hidden_size)][: self.states]
        if hx is None:
            return tuple(np.zeros(shape, x.dtype) for shape in shapes)
        states = tuple(hx) if isinstance(hx, tuple | list) else (hx,)
        if [getattr(state, "shape", None) for state in states] != shapes:
            came = [getattr(state, "shape", type(state).__name__) for state in states]
            raise ValueError(f"{type(self).__name__}: expected states of shape {shapes}, got {came}")
        return states

    def _between_layers(self, values: Array, layer: int, counts: Array | None) -> tuple[Array, Backward]:
        """Apply dropout to the values of every layer but the last, in training; the mask is drawn for steps without padding."""
        if not self.training or self.dropout == 0 or layer == self.num_layers - 1:
            return values, lambda dy: dy
        T, B, width = values.shape
        if counts is None:
            keep = generator().random((B, T, width) if self.batch_first else values.shape) >= self.dropout
            keep = keep.swapaxes(0, 1) if self.batch_first else keep
        else:
            running = np.arange(B) < counts[:, None]
            keep = np.zeros(values.shape, bool)
            keep[running] = generator().random((int(running.sum()), width)) >= self.dropout
        y, backward = drop(values, keep, self.dropout)
        return y, lambda dy: backward(dy)[0]


class RNN(_Recurrent):
    """Elman's recurrent network with tanh or relu, as torch.nn.RNN."""

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ):
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)
        self.nonlinearity = nonlinearity

    def _run(self, x: Array, states: list[Array], suffix: str, counts: Array | None) -> tuple[Any, Backward]:
        return apply(rnn, x, *states, *self._weights(suffix), counts=counts, nonlinearity=self.nonlinearity)


class LSTM(_Recurrent):
    """Long short-term memory, as torch.nn.LSTM; its state is the pair (h, c)."""

    gates, states = 4, 2

    def _run(self, x: Array, states: list[Array], suffix: str, counts: Array | None) -> tuple[Any, Backward]:
        projection = getattr(self, f"weight_hr_{suffix}", None)
        return apply(lstm, x, *states, *self._weights(suffix), projection, counts=counts)


class GRU(_Recurrent):
    """The gated recurrent unit, as torch.nn.GRU."""

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ):
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)

    def _run(self, x: Array, states: list[Array], suffix: str, counts: Array | None) -> tuple[Any, Backward]:
        return apply(gru, x, *states, *self._weights(suffix), counts=counts)


class _Cell(Module):
    """A cell for one step: x (B, input_size) and the state, zeros by default, to the next state."""

    gates: int
    states = 1

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True):
        if min(input_size, hidden_size) < 1:
            raise ValueError(f"{type(self).__name__}: expected positive sizes, got {input_size} and {hidden_size}")
        rows = self.gates * hidden_size
        self.weight_ih = fan_in_uniform((rows, input_size), hidden_size)
        self.weight_hh = fan_in_uniform((rows, hidden_size), hidden_size)
        self.bias_ih = fan_in_uniform((rows,), hidden_size) if bias else None
        self.bias_hh = fan_in_uniform((rows,), hidden_size) if bias else None


class RNNCell(_Cell):
    """One step of an RNN, as torch.nn.RNNCell."""

    gates = 1

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh"):
        super().__init__(input_size, hidden_size, bias)
        self.nonlinearity = nonlinearity

    def forward(self, x: Array, hx: Array | None = None) -> tuple[Array, Backward]:
        (h,), backward = _one_step(self, rnn, x, None if hx is None else (hx,), nonlinearity=self.nonlinearity)
        return h, backward


class LSTMCell(_Cell):
    """One step of an LSTM, as torch.nn.LSTMCell; its state is the pair (h, c)."""

    gates, states = 4, 2

    def forward(self, x: Array, hx: tuple[Array, Array] | None = None) -> tuple[tuple[Array, Array], Backward]:
        (h, c), backward = _one_step(self, lstm, x, hx, None)  # no projection

        def backward_to_pair(dh: Array, dc: Array) -> Any:
            if hx is None:
                return backward(dh, dc)
            dx, dh0, dc0 = backward(dh, dc)
            return dx, (dh0, dc0)

        return (h, c), backward_to_pair


class GRUCell(_Cell):
    """One step of a GRU, as torch.nn.GRUCell."""

    gates = 3

    def forward(self, x: Array, hx: Array | None = None) -> tuple[Array, Backward]:
        (h,), backward = _one_step(self, gru, x, None if hx is None else (hx,))
        return h, backward


def _one_step(
    cell: _Cell, op: Any, x: Array, states: tuple[Array, ...] | None, *others: None, **options: Any
) -> tuple[Any, Backward]:
    """Run the op over a sequence of one step; return the new states without y, which is the new h."""
    name, width = type(cell).__name__, cell.weight_ih.data.shape[1]
    if x.ndim != 2 or x.shape[1] != width:
        raise ValueError(f"{name}: expected x (B, {width}), got {x.shape}")
    if states is not None and len(states) != cell.states:
        raise ValueError(f"{name}: expected {cell.states} arrays as the state, got {len(states)}")
    starts = states or (np.zeros((len(x), cell.weight_hh.data.shape[1]), x.dtype),) * cell.states
    weights = cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh
    (_, *ends), backward = apply(op, x[None], *starts, *weights, *others, **options)

    def step_backward(*dends: Array) -> Any:
        dx, *dstates = backward(np.zeros_like(dends[0])[None], *dends)
        return dx[0] if states is None else (dx[0], *dstates)

    return ends, step_backward


class _Turn:
    """A function that reverses sequences (T, B, ...) in time, each within its own length. It is its own inverse."""

    def __init__(self, lengths: Array | None):
        self.lengths = lengths

    def __call__(self, x: Array) -> Array:
        if self.lengths is None:
            return x[::-1]
        t = np.arange(len(x))[:, None]
        return x[np.where(t < self.lengths, self.lengths - 1 - t, t), np.arange(x.shape[1])]


def _unordered(x: Array, order: Any) -> Array:
    """Return x with the batch, its second axis, in the original order."""
    if isinstance(order, slice):
        return x
    y = np.empty_like(x)
    y[:, order] = x
    return y
