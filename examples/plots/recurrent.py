"""The inside of a recurrent language model: gates and hidden states over a text, and gradients over many steps back."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from examples.plots.curves import draw_losses
from examples.tasks.characters import Characters
from examples.training.models import new_model
from examples.training.run import Run
from parity.weights import get_state, set_state
from scratch.models import CharLanguageModel
from scratch.module import Array
from scratch.ops.activation import sigmoid, tanh

GATES = {"rnn": ("state",), "lstm": ("input", "forget", "candidate", "output"), "gru": ("reset", "update", "candidate")}
TANH = {"state", "candidate"}
UNITS = 48  # of the first layer; each is a row
TEXT = 200  # held-out characters
SHOWN = 60  # characters whose gates and states are drawn
DISTANCE = 60  # steps that gradients go back


def draw_characters(run: Run) -> list[str]:
    """Draw the losses, gates, hidden states and gradients of a character model; return the names of the files."""
    assert isinstance(run.task, Characters)
    numbers = run.task.held_out[:TEXT]
    model: Any = new_model(run.model, run.config, run.options.seed, "float64")
    set_state(model, {name: array.astype(np.float64) for name, array in get_state(run.backends[0].model).items()})
    model.eval()
    letters = [letter if letter.strip() else "·" for letter in run.task.symbols.decode(numbers[:SHOWN])]
    gates, states = activations(model, run.config["cell"], numbers[:SHOWN])
    directory = run.options.plots
    _maps(f"{directory}/gates.png", gates, letters)
    _maps(f"{directory}/states.png", {"hidden state of the first layer": states}, letters)
    curves = {}
    for cell in GATES:
        untrained: Any = new_model(run.model, run.config | {"cell": cell}, run.options.seed, "float64")
        curves[f"{cell}, untrained"] = gradient_norms(untrained.eval(), numbers)
    curves[f"{run.config['cell']}, trained"] = gradient_norms(model, numbers)
    _curves(f"{directory}/gradients.png", curves)
    return [*draw_losses(run), "gates.png", "states.png", "gradients.png"]


def activations(model: CharLanguageModel, cell: str, numbers: Array) -> tuple[dict[str, Array], Array]:
    """Compute the gates of the first layer, by name, and its hidden states, each (T, H), from the states that the layer returns."""
    weight_ih, weight_hh, bias_ih, bias_hh = (
        getattr(model.rnn, f"{name}_l0").data for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    x, _ = model.embedding(numbers[None])
    steps, state = [], None
    for t in range(len(numbers)):
        (_, state), _ = model.rnn(x[:, t : t + 1], state)
        steps.append((state[0] if isinstance(state, tuple) else state)[0, 0])
    states = np.array(steps)
    before = np.concatenate([np.zeros_like(states[:1]), states[:-1]])
    from_x, from_h = x[0] @ weight_ih.T + bias_ih, before @ weight_hh.T + bias_hh
    names = GATES[cell]
    parts = zip(names, np.split(from_x, len(names), axis=1), np.split(from_h, len(names), axis=1), strict=True)
    found: dict[str, Array] = {}
    for name, a, b in parts:
        z = a + found["reset"] * b if cell == "gru" and name == "candidate" else a + b
        found[name], _ = (tanh if name in TANH else sigmoid)(z)
    return found, states


def gradient_norms(model: CharLanguageModel, numbers: Array) -> Array:
    """Return the norm of the gradient of the last hidden state, by the number of steps back; the first norm is scaled to 1."""
    T = min(DISTANCE, len(numbers) - 1)
    x, _ = model.embedding(numbers[None, : T + 1])
    backwards, state = [], None
    for t in range(T + 1):
        given = state if state is not None else _zeros(model, x[:, :1])
        (y, state), backward = model.rnn(x[:, t : t + 1], given)
        backwards.append(backward)
    rng = np.random.default_rng(0)
    dstate = [np.zeros_like(part) for part in (state if isinstance(state, tuple) else (state,))]
    dstate[0] = rng.normal(size=dstate[0].shape)
    norms = []
    for backward in reversed(backwards):
        norms.append(np.linalg.norm(dstate[0]))
        _, carried, *_ = backward(np.zeros_like(y), *dstate)
        dstate = list(carried) if isinstance(carried, tuple) else [carried]
    return np.array(norms) / norms[0]


def _zeros(model: CharLanguageModel, x: Array) -> Any:
    (_, state), _ = model.rnn(x)
    return tuple(map(np.zeros_like, state)) if isinstance(state, tuple) else np.zeros_like(state)


def _maps(path: str, maps: dict[str, Array], letters: list[str]) -> None:
    """Draw activations (T, H), by name: a column is a step, a row a unit; red is 1, white 0 and blue -1."""
    figure = Figure(figsize=(11, 0.8 + 2.6 * len(maps)), layout="constrained")
    panels = figure.subplots(len(maps), 1, squeeze=False)[:, 0]
    for axes, (name, values) in zip(panels, maps.items(), strict=True):
        image = axes.imshow(values[:, :UNITS].T, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
        axes.set_title(name if name in TANH or "state" in name else f"{name} gate", loc="left", fontsize=10)
        axes.set_ylabel("unit")
        axes.set_xticks(range(len(letters)), letters, family="monospace", fontsize=8)
    figure.colorbar(image, ax=list(panels), fraction=0.02)
    figure.savefig(path, dpi=150)


def _curves(path: str, curves: dict[str, Array]) -> None:
    """Draw norms of gradients, by name."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, norms in curves.items():
        axes.plot(norms, label=name, linewidth=2, linestyle="-" if "untrained" in name else "--")
    axes.set(xlabel="steps back in time", ylabel="norm of the gradient, relative to step 0", yscale="log")
    axes.set_title("How far the gradient of the last state reaches", loc="left", fontsize=10)
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)
