"""The next character of a text: in strands for recurrent models, in windows for a GPT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from examples.data.vocabulary import Vocabulary
from examples.training.backend import Backend, mean_score
from examples.training.console import refusing
from examples.training.options import TrainingOptions
from examples.training.task import BATCHES, SAMPLES, Task
from scratch.module import Array

SHOWN = 100  # characters that each report writes
CONTEXT = 250  # characters that a recurrent model reads at once when it is scored


@dataclass(frozen=True)
class Sampling:
    """Options for writing: the prompt (None is a new line), temperature, top-k and top-p."""

    prompt: str | None = None
    temperature: float = 0.8
    top_k: int | None = None
    top_p: float = 1.0


class Characters(Task):
    """The next character of a text; the last tenth of the text is held out."""

    unit = "character"

    def __init__(self, text: str, options: TrainingOptions, window: int, sampling: Sampling):
        self.symbols = Vocabulary("".join(sorted(set(text))))
        self.options, self.window, self.sampling = options, window, sampling
        numbers = self.symbols.encode(text)
        cut = len(numbers) - len(numbers) // 10
        self.train, self.held_out = numbers[:cut], numbers[cut:]
        if len(self.held_out) < 2:
            raise ValueError(f"--data {options.data}: the text has {len(numbers)} characters; expected at least 20")
        start = "\n" if "\n" in self.symbols else self.symbols.symbols[0]
        self.prompt = start if sampling.prompt is None else sampling.prompt
        self.symbols.encode(self.prompt)
        if not self.prompt:
            raise ValueError("--prompt is empty; expected at least one character")

    def describe(self) -> str:
        return (
            f"{self.options.data}: {len(self.train):,} characters to train on, {len(self.held_out):,} held out, "
            f"{len(self.symbols)} distinct"
        )

    def vocabulary(self) -> dict[str, Any]:
        return {"characters": self.symbols.symbols}

    def show(self, backend: Backend, step: int) -> list[str]:
        return [f"| {line}" for line in self.written(backend, step, SHOWN).splitlines()]

    def written(self, backend: Backend, step: int, length: int) -> str:
        """Return the prompt and the characters that the model writes after it; the default prompt is not shown."""
        sampling = self.sampling
        uniforms = np.random.default_rng([self.options.seed, SAMPLES, step]).random((length, 1))
        choice = dict(temperature=sampling.temperature, top_k=sampling.top_k, top_p=sampling.top_p)
        with refusing():
            tokens = backend.generate(self.symbols.encode(self.prompt)[None], uniforms, **choice)
        return (self.prompt + self.symbols.decode(tokens[0])).removeprefix("\n" if sampling.prompt is None else "")

    def samples(self) -> dict[str, Array]:
        T = min(50, self.window, len(self.held_out))
        return {"tokens": self.held_out[: len(self.held_out) // T * T][: 3 * T].reshape(-1, T)}


class Strands(Characters):
    """Strands of the text for recurrent models: read side by side from beginning to end, with the state carried on."""

    carries = True

    def __init__(self, text: str, options: TrainingOptions, window: int, sampling: Sampling):
        super().__init__(text, options, window, sampling)
        B, T = options.batch, window
        self.windows = (len(self.train) // B - T) // T  # in a pass, which may start at any of T characters
        if self.windows < 1:
            raise ValueError(
                f"--data {options.data}: {len(self.train):,} characters to train on are too few for {B} strands "
                f"with a window of {T}; expected at least {2 * B * T:,}: take a longer text, or a smaller --batch or --window"
            )

    def describe(self) -> str:
        return f"{super().describe()}; a pass takes {self.windows} steps"

    def resets_state(self, step: int) -> bool:
        return step % self.windows == 0

    def batch(self, step: int) -> tuple[Array, Array]:
        B, T = self.options.batch, self.window
        epoch, window = divmod(step, self.windows)
        first = int(np.random.default_rng([self.options.seed, BATCHES, epoch]).integers(T))  # the windows of a pass start here
        length = len(self.train) // B
        strands = self.train[: B * length].reshape(B, length)[:, first + window * T :]
        return strands[:, :T], strands[:, 1 : T + 1]

    def validate(self, backend: Backend) -> dict[str, float]:
        """Score every held-out character but the first, in strands of at least 1,000."""
        kept = backend.carried()
        backend.carry([])
        B = max(1, min(64, len(self.held_out) // 1000))
        length = (len(self.held_out) - 1) // B
        tokens, labels = (self.held_out[i : i + B * length].reshape(B, length) for i in (0, 1))
        starts = range(0, length, CONTEXT)
        scores = [backend.score(tokens[:, t : t + CONTEXT], labels[:, t : t + CONTEXT], carry=True) for t in starts]
        loss, accuracy = np.average(scores, axis=0, weights=[min(CONTEXT, length - t) for t in starts])
        backend.carry(kept)
        return {"loss": float(loss), "accuracy": float(accuracy)}


class Windows(Characters):
    """Random windows of the text for a GPT, which reads nothing before its window."""

    def __init__(self, text: str, options: TrainingOptions, window: int, sampling: Sampling):
        super().__init__(text, options, window, sampling)
        shortest = min(len(self.train), len(self.held_out))
        if shortest <= window:
            raise ValueError(
                f"--data {options.data}: expected more than {window} characters, a window, to train on and to hold out, "
                f"found {shortest}; take a longer text or a smaller --window"
            )

    def batch(self, step: int) -> tuple[Array, Array]:
        B, T = self.options.batch, self.window
        starts = np.random.default_rng([self.options.seed, BATCHES, step]).integers(len(self.train) - T, size=(B, 1))
        places = starts + np.arange(T)
        return self.train[places], self.train[places + 1]

    def validate(self, backend: Backend) -> dict[str, float]:
        """Score every held-out character in whole windows but the first; a character is predicted from its window alone."""
        T = self.window
        length = (len(self.held_out) - 1) // T * T
        loss, accuracy = mean_score(backend, *(self.held_out[i : i + length].reshape(-1, T) for i in (0, 1)), batch=100)
        return {"loss": loss, "accuracy": accuracy}
