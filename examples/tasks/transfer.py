"""Transfer learning: a run on some digits, and runs on other digits with what the first has learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from examples.data.images import Dataset
from examples.tasks.images import Images
from examples.training.checkpoint import FILE
from examples.training.console import refusing
from examples.training.options import TrainingOptions
from examples.training.run import Run
from parity.weights import get_state, set_state
from scratch.module import Array

WAYS = {"frozen": 0.0, "tuned": 0.1, "scratch": 1.0}  # the learning rate of the backbone, as a share of the head's
BACKBONE, HEAD = "features", "classifier"
HEAD_RATE = 3  # a new head on learnt features takes so many times the learning rate of a whole network
EVERY = 5  # steps between the scores of 5 to 9


def first_stage(data: Dataset, options: TrainingOptions, augment: Sequence[str]) -> Run:
    """Return the run that learns 0 to 4."""
    with refusing():
        task = Images(with_labels(data, range(5)), options, augment)
    return Run(task, "CNN", _config(task))


def next_stage(data: Dataset, options: TrainingOptions, steps: int, way: str, first: Run) -> Run:
    """Return the run that learns 5 to 9 in some way with what the first run has learnt; it is saved in a folder of its name."""
    own = None if options.save is None else f"{options.save}/{way}"
    share = WAYS[way]
    rate = options.lr * (HEAD_RATE if share < 1 else 1)
    resume = own if has_started(options, way) else None
    with refusing():
        chosen = replace(options, steps=steps, epochs=None, every=EVERY, lr=rate, save=own, resume=resume)
        task = Images(with_labels(data, range(5, 10)), chosen)
    if share == 1:
        return Run(task, "CNN", _config(task), resume_with=options.save)
    learnt = {name: array for name, array in get_state(first.backends[0].model).items() if not name.startswith(HEAD)}

    def load_backbone(model: Any) -> None:
        set_state(model, get_state(model) | learnt)

    return Run(task, "CNN", _config(task), {BACKBONE: share}, load_backbone, resume_with=options.save)


def has_started(options: TrainingOptions, way: str) -> bool:
    """Return whether the run that is resumed has started to learn 5 to 9 in this way."""
    return options.resume is not None and (Path(options.resume) / way / FILE).exists()


def with_labels(data: Dataset, labels: range) -> Dataset:
    """Return the images of some labels; the new labels count from 0."""

    def select(images: Array, all_labels: Array) -> tuple[Array, Array]:
        some = np.isin(all_labels, labels)
        return images[some], all_labels[some] - labels[0]

    train, test = select(data.train_x, data.train_y), select(data.test_x, data.test_y)
    return Dataset(f"{data.name} {labels[0]} to {labels[-1]}", *train, *test, len(labels))


def steps_to(run: Run, goal: float) -> float:
    """Return the first step with this held-out accuracy; inf if there is none."""
    return next((int(step) for step, _, accuracy in run.scores if accuracy >= goal), float("inf"))


def _config(task: Images) -> dict[str, Any]:
    return dict(in_channels=1, image_size=task.sides, classes=task.data.classes, batch_norm=True, dropout=task.options.dropout)
