"""A network that knows the digits 0 to 4 learns 5 to 9: in NumPy, in PyTorch, or in both side by side.

    python examples/transfer_learning.py                                   scikit-learn's digits
    python examples/transfer_learning.py --data mnist --save runs/five     MNIST's, and all four runs are saved
    python examples/transfer_learning.py --resume runs/five --plots runs/five
    python examples/transfer_learning.py --compare --dtype float64

First the network learns 0 to 4. Then a new head learns 5 to 9 in three ways. For each, the result is the step that reaches --goal:

    frozen    the backbone stays as it is: no gradients, no backward, and batch normalisation with the statistics of 0 to 4
    tuned     the backbone is trained at a tenth of the head's learning rate
    scratch   the backbone has new initial weights, and all is trained at --lr; in the other ways the head has 3 times that rate
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from examples.data.images import IMAGES
from examples.tasks.images import augmentations
from examples.tasks.transfer import WAYS, first_stage, has_started, next_stage, steps_to
from examples.training.console import InputError, at_least, exit_status, number, refusing
from examples.training.options import TrainingOptions, data_option, option
from examples.training.run import Run


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    data: str = data_option("digits", tuple(IMAGES), "digits (default), which come with scikit-learn, or mnist")
    epochs: int | None = 15
    batch: int = 16
    lr: float = 3e-3
    augment: tuple[str, ...] = option(
        ("shift", "mixup"), augmentations, "changes of the training images of 0 to 4 (default: shift,mixup)", metavar="LIST"
    )
    transfer_steps: int = option(100, at_least(1), "batches of 5 to 9 (default: 100; mnist 300)", metavar="N")
    goal: float = option(
        0.97,
        number(0, below=1),
        "the share of held-out images whose steps are counted (default: 0.97)",
        may_differ=True,
        metavar="P",
    )

    def dependent_defaults(self) -> dict[str, Any]:
        return dict(epochs=2, transfer_steps=300) if self.data == "mnist" else {}

    def problem(self) -> str:
        if self.compare and self.plots:
            return "--plots draws scores and --compare has none: leave out either"
        return super().problem()


def main(argv: Sequence[str] | None = None) -> None:
    """Learn 0 to 4, or resume, then learn 5 to 9 in three ways, save and draw, as the arguments say."""
    options = Options.parse(argv, __doc__)
    with refusing():
        if options.plots:
            from examples.plots.curves import draw_accuracies
        data = IMAGES[options.data]()
    runs: dict[str, Run] = {}
    # Images of 8x8 pixels are too little work to share, and with --compare the threads of the backends would compete.
    with threadpool_limits(1 if options.compare or options.data == "digits" else None):
        first = first_stage(data, options, options.augment)
        started = [way for way in WAYS if has_started(options, way)]
        if started and first.saved_steps != first.options.steps:
            ways = ", ".join(started)
            raise InputError(f"{options.resume}: 0 to 4 cannot be trained longer, 5 to 9 have started ({ways}); start another run")
        result = first.train()
        for way in WAYS:
            print(f"\n5 to 9, {way}")
            runs[way] = next_stage(data, options, options.transfer_steps, way, first)
            last = runs[way].train()
            if options.compare:
                result[way] = last["largest_relative_difference"]
            else:
                result |= {f"{way}_accuracy": last["held_out_accuracy"], f"{way}_steps": steps_to(runs[way], options.goal)}
    print()
    for run in runs.values():
        run.save_trained()
    first.finish(result, *(draw_accuracies(str(options.plots), runs, options.goal) if options.plots else []))


if __name__ == "__main__":
    sys.exit(exit_status(main))
