"""Text generation as a subject: the tokens that are chosen, the texts that a language model continues, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from parity.running.trace import to_numpy
from parity.running.training_steps import Results, TrainingSteps, copied_value, numbers_like

MULTIPLIER = 3  # of the hash of a text, before a token is added


class TokenSteps(TrainingSteps):
    """The choice of the next token."""

    def __call__(self, logits: Any, uniform: Any) -> Results:
        """Return the token for each row of logits and its uniform random number."""
        return {"tokens": self.target(logits, uniform, **self.options)}


class TextSteps(TrainingSteps):
    """The continuation of several prompts, one after another: each text, with its score or the state of the model."""

    def __call__(self, table: Any, prompts: Sequence[Any], uniforms: Sequence[Sequence[Any]] | None = None) -> Results:
        """Return the results for a model that looks its logits up in a table, so that they are the same in both backends.

        uniforms    the random numbers of each prompt in pieces: a piece continues from the text and the state before it
        """
        model = _TableModel(table)
        results: Results = {}
        for i, prompt in enumerate(prompts):
            if uniforms is None:
                text, score = self.target(model, prompt, **self.options)
                results |= {f"text of prompt {i}": copied_value(text), f"score of prompt {i}": numbers_like(table, float(score))}
                continue
            read, past = prompt, dict[str, Any]()
            for j, uniform in enumerate(uniforms[i]):
                written = self.target(model, read, uniform, **self.options, **past)
                text, *state = written if isinstance(written, tuple) else (written,)
                results[f"text {j} of prompt {i}"] = copied_value(text)
                if state:
                    results[f"state {j} of prompt {i}"] = copied_value(state[0][0])
                    read, past = text[:, -1:], {"state": state[0]}
        return results


class _TableModel:
    """A language model whose logits (B, T, V) are rows of a table (V, V, V): one for each last token and hash of the text.

    The state holds the hash, so that every token depends on all before it. The logits are in the table as they are: no
    rounding can make one backend choose another token.
    """

    def __init__(self, table: Any):
        self.table = table

    def __call__(self, tokens: Any, state: Any) -> Any:
        """Return the logits and the state, in the form that the backend's generation expects."""
        V, of_torch = len(self.table), isinstance(self.table, torch.Tensor)
        read = tokens.numpy() if of_torch else tokens
        seen = np.zeros(len(read), np.int64) if state is None else to_numpy(state[0])[0]
        hashes = []
        for column in read.T:
            seen = (MULTIPLIER * seen + column) % V
            hashes.append(seen)
        rows = np.stack(hashes, axis=1)
        if of_torch:
            return self.table[tokens, torch.from_numpy(rows)], (torch.from_numpy(seen[None]),)
        return (self.table[read, rows], (seen[None],)), None
