"""Faults of recurrent layers, cells and Embedding: directions, layers, states, lengths, dropout between layers."""

from functools import partial

from parity_tests.faults.fault import LATER, Fault

layer = partial(Fault, function="layers.recurrent._Recurrent.forward", culprit="RNN|LSTM|GRU")
both_ways = partial(layer, cases=("RNN-deep-both-ways", "LSTM-both-ways"))
deep = partial(layer, cases=("RNN-deep", "GRU-deep"))
ragged = partial(layer, cases=("RNN-ragged-both-ways", "GRU-ragged"))
dropout = partial(
    Fault, function="layers.recurrent._Recurrent._between_layers", culprit="RNN|LSTM|GRU", cases=("RNN-dropout", "GRU-dropout")
)

LONGEST_FIRST = "layers.recurrent._Recurrent._longest_first"
TURNED = "turn(values) if direction else values"
TURNED_BACK = "turn(y) if direction else y"
DY_TURNED = "turn(dpiece) if direction else dpiece"
DX_TURNED = "turn(dinput) if direction else dinput"
STARTS = "[s[row] for s in starts]"
LENGTHS = "_Turn(falling), (falling > np.arange(T)[:, None])"

RUN = "apply(lstm, x, *states, *self._weights(suffix), projection, counts=counts)"

DIRECTIONS = [
    both_ways(
        "layers: reverse direction not reversed",
        "_Turn(None), None,",
        "(lambda x: x), None,",
        "forward",
        "runs the reverse direction forward",
        function=LONGEST_FIRST,
    ),
    both_ways(
        "layers: reverse direction's x not turned", TURNED, "values", "forward", "does not reverse the x of the reverse direction"
    ),
    both_ways(
        "layers: reverse direction's y not turned back",
        TURNED_BACK,
        "y",
        "forward",
        "does not reverse the y of the reverse direction",
    ),
    both_ways(
        "layers: reverse direction's dy not turned",
        DY_TURNED,
        "dpiece",
        "backward",
        "does not reverse the dy of the reverse direction",
    ),
    both_ways(
        "layers: reverse direction's dx not turned back",
        DX_TURNED,
        "dinput",
        "backward",
        "does not reverse the dx of the reverse direction",
    ),
    both_ways(
        "layers: directions joined the other way",
        "np.concatenate(outputs,",
        "np.concatenate(outputs[::-1],",
        "forward",
        "joins the reverse direction before",
    ),
    both_ways(
        "layers: gradient of the forward direction alone",
        "sum(dinputs[1:], dinputs[0])",
        "dinputs[0]",
        "backward",
        "returns only the dx of the forward direction",
    ),
    both_ways(
        "layers: gradient of the reverse direction alone",
        "sum(dinputs[1:], dinputs[0])",
        "dinputs[-1]",
        "backward",
        "returns only the dx of the reverse direction",
    ),
    both_ways(
        "layers: reverse direction with the forward weights",
        '"l{layer}{suffix}"',
        '"l{layer}"',
        "forward",
        "runs the reverse direction with the weights of the forward direction",
    ),
    both_ways(
        "layers: reverse direction's final state is y of the last step",
        "finals.append(tuple(final))",
        "finals.append((outputs[-1][-1], *final[1:]))",
        "forward",
        "uses the last step's y as the reverse direction's final state",
    ),
    both_ways(
        "layers: final states of the directions swapped",
        "finals.append(tuple(final))",
        "finals.insert(len(finals) - direction, tuple(final))",
        "forward",
        "swaps the final states",
    ),
]
STACKED = [
    layer(
        "layers: initial states by direction",
        "row = len(finals)\n",
        "row = direction * self.num_layers + layer\n",
        "forward",
        "reads the initial states by direction, then layer",
        cases=("RNN-ragged-both-ways", "GRU-deep-both-ways-eval"),
    ),
    layer(
        "layers: final states by direction",
        "zip(*finals, strict=True)",
        "zip(*finals[::2], *finals[1::2], strict=True)",
        "forward",
        "returns the final states by direction, then layer",
        cases=("RNN-ragged-both-ways", "GRU-deep-both-ways-eval"),
    ),
    deep(
        "layers: first layer's initial state for all",
        STARTS,
        "[s[0] for s in starts]",
        "forward",
        "begins every layer with the initial state of the first layer",
    ),
    deep(
        "layers: final state handed to the next layer",
        STARTS,
        "(finals[-1] if layer else [s[0] for s in starts])",
        "forward",
        "begins each layer with the final state of the previous layer",
    ),
    deep(
        "layers: last layer's final state alone",
        "zip(*finals,",
        "zip(*finals[-1:],",
        "forward",
        "returns only the final state of the last layer",
    ),
    deep("layers: initial state ignored", STARTS, "[0 * s[row] for s in starts]", "forward", "ignores hx|begins with 0"),
    deep(
        "layers: first layer's initial state without a gradient",
        "dstate[row] = piece",
        "dstate[row] = piece * (layer > 0)",
        "backward",
        "differs only first along axis 0",
    ),
    deep(
        "layers: gradients of the final states ignored",
        "*(d[row] for d in dfinals)",
        "*(0 * d[row] for d in dfinals)",
        "backward",
        "ignores the gradients? of the final",
    ),
    deep(
        "layers: gradients of the final states in reverse",
        "*(d[row] for d in dfinals)",
        "*(d[-1 - row] for d in dfinals)",
        "backward",
        None,
    ),
    layer(
        "layers: y not turned to batch first",
        "(y.swapaxes(0, 1) if self.batch_first else y, ends",
        "(y, ends",
        "forward",
        "axes in another order",
        cases=("RNN-batch-first", "LSTM-batch-first"),
    ),
    layer(
        "layers: dx not turned to batch first",
        "dx = dx.swapaxes(0, 1) if self.batch_first else dx",
        "pass",
        "backward",
        "axes in another order",
        cases=("RNN-batch-first", "GRU-batch-first"),
    ),
]
RAGGED = [
    ragged(
        "layers: lengths ignored",
        "if lengths is None:",
        "if True:",
        "forward",
        "ignores lengths",
        function=LONGEST_FIRST,
    ),
    ragged("layers: y in the order of lengths", "y = _unordered(values, order)", "y = values", "forward", "in the wrong order"),
    ragged(
        "layers: final states in the order of lengths",
        "tuple(_unordered(np.stack(state), order)",
        "tuple(np.stack(state)",
        "forward",
        "in the wrong order",
    ),
    ragged(
        "layers: dx in the order of lengths", "dx = _unordered(dvalues, order)", "dx = dvalues", "backward", "in the wrong order"
    ),
    ragged(
        "layers: gradient of the initial state in the order of lengths",
        "tuple(_unordered(dstate, order)",
        "tuple(dstate",
        "backward",
        "in the wrong order",
    ),
    ragged(
        "layers: initial states not in the order of lengths", "[state[:, order] for state in given]", "list(given)", "forward", None
    ),
    ragged("layers: dy not in the order of lengths", "else dy)[:, order]", "else dy)", "backward", None),
    ragged(
        "layers: one step too many",
        LENGTHS,
        LENGTHS.replace(">", ">="),
        "forward",
        r"uses lengths \+ 1",
        cases=("RNN-ragged", "GRU-ragged"),
        function=LONGEST_FIRST,
    ),
    ragged(
        "layers: one step too few",
        LENGTHS,
        LENGTHS.replace("(falling >", "((falling - 1).clip(1) >"),
        "forward",
        "uses lengths - 1",
        cases=("RNN-ragged", "GRU-ragged"),
        function=LONGEST_FIRST,
    ),
    layer(
        "layers: reverse direction begins in the padding",
        LENGTHS,
        LENGTHS.replace("_Turn(falling)", "_Turn(None)"),
        "forward",
        None,
        cases=("RNN-ragged-both-ways", "GRU-ragged-no-states"),
        function=LONGEST_FIRST,
    ),
]
DROPOUT = [
    dropout(
        "layers: dropout in eval mode",
        "not self.training or ",
        "",
        "forward",
        "behaves as in training",
        cases=("RNN-dropout-eval", "GRU-dropout-eval"),
    ),
    dropout("layers: no dropout", "not self.training or", "self.training or", "forward", "behaves as in eval mode"),
    dropout("layers: dropout after the last layer too", " or layer == self.num_layers - 1", "", "forward", "after the last layer"),
    dropout(
        "layers: dropout left out of the backward",
        "return y, lambda dy: backward(dy)[0]",
        "return y, lambda dy: dy",
        "backward",
        "neither masks the gradient nor divides it by 1 - p",
    ),
    dropout(
        "layers: dropout not scaled",
        "drop(values, keep, self.dropout)",
        "drop(values, keep, 0.0)",
        "forward",
        "does not divide the kept values by 1 - p",
    ),
    dropout(
        "layers: dropout's mask turned round",
        "drop(values, keep,",
        "drop(values, ~keep,",
        "forward",
        "keeps a value with probability p",
    ),
    dropout(
        "layers: another mask in the backward",
        "return y, lambda dy: backward(dy)[0]",
        "other = drop(values, generator().random(keep.shape) >= self.dropout, self.dropout)[1]; return y, lambda dy: other(dy)[0]",
        "backward",
        "another mask for the backward",
        cases=("RNN-relu",),
    ),
    dropout(
        "layers: padding takes part in the draw of the mask",
        "if counts is None:",
        "if True:",
        "forward",
        None,
        cases=("RNN-ragged-dropout", "GRU-ragged-dropout"),
    ),
]
PASSED_ON = [
    Fault(
        "RNN: nonlinearity not passed on",
        ", nonlinearity=self.nonlinearity",
        "",
        "forward",
        "uses tanh instead of relu",
        "layers.recurrent.RNN._run",
        ("RNN-relu",),
        "RNN",
    ),
    Fault(
        "RNNCell: nonlinearity not passed on",
        ", nonlinearity=self.nonlinearity",
        "",
        "forward",
        "uses tanh instead of relu",
        "layers.recurrent.RNNCell.forward",
        ("RNNCell-relu",),
        "RNNCell",
    ),
    Fault(
        "GRU: biases swapped",
        '("weight_ih", "weight_hh", "bias_ih", "bias_hh")',
        '("weight_ih", "weight_hh", "bias_hh", "bias_ih")',
        "forward",
        "swaps bias_ih and bias_hh",
        "layers.recurrent._Recurrent._weights",
        ("GRU", "GRU-both-ways"),
        "GRU",
    ),
    Fault(
        "LSTM: backward kept on the layer",
        f"return {RUN}",
        f"y, self.kept = {RUN}; return y, lambda *dy: self.kept(*dy)",
        "backward",
        LATER,
        "layers.recurrent.LSTM._run",
        ("LSTM", "LSTM-batch-first"),
        "LSTM",
    ),
    Fault(
        "LSTMCell: h and c swapped",
        "return (h, c)",
        "return (c, h)",
        "forward",
        r"y.\d is what y.\d should be",
        "layers.recurrent.LSTMCell.forward",
        ("LSTMCell",),
        "LSTMCell",
    ),
    Fault(
        "LSTMCell: gradients of h and c swapped",
        "return dx, (dh0, dc0)",
        "return dx, (dc0, dh0)",
        "backward",
        r"is what grad hx.\d should be",
        "layers.recurrent.LSTMCell.forward",
        ("LSTMCell",),
        "LSTMCell",
    ),
    Fault(
        "LSTMCell: gradient of c ignored",
        "dc0 = backward(dh, dc)",
        "dc0 = backward(dh, 0 * dc)",
        "backward",
        "gradient of the final c",
        "layers.recurrent.LSTMCell.forward",
        ("LSTMCell",),
        "LSTMCell",
    ),
    Fault(
        "cells: state ignored",
        "states or (np.zeros",
        "(np.zeros",
        "forward",
        "ignores hx",
        "layers.recurrent._one_step",
        ("RNNCell", "LSTMCell", "GRUCell"),
        "RNNCell|LSTMCell|GRUCell",
    ),
    Fault(
        "Embedding: numbers kept on the layer",
        "y, backward = embedding(input, self.weight.data, self.padding_idx)",
        "y, self.kept = embedding(input, self.weight.data, self.padding_idx); backward = lambda dy: self.kept(dy)",
        "backward",
        LATER,
        "layers.embedding.Embedding.forward",
        ("Embedding", "Embedding-padding"),
        "Embedding",
    ),
    Fault(
        "Embedding: padding_idx not passed on",
        ", self.padding_idx)",
        ")",
        "backward",
        "ignores padding_idx = 2",
        "layers.embedding.Embedding.forward",
        ("Embedding-padding",),
        "Embedding",
    ),
    Fault(
        "Embedding: gradient overwritten",
        "self.weight.accumulate(dweight)",
        "self.weight.grad = dweight",
        "backward",
        "overwrites",
        "layers.embedding.Embedding.forward",
        ("Embedding", "Embedding-padding"),
        "Embedding",
    ),
]

FAULTS = [*DIRECTIONS, *STACKED, *RAGGED, *DROPOUT, *PASSED_ON]
