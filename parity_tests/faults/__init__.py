"""The catalogue of faults: realistic mistakes, each planted in scratch to see whether the harness finds and names it.

`python -m parity_tests.faults` plants them all; with `--page` it writes docs/fault-catalogue.md.
"""

from parity_tests.faults import (
    activations,
    attention,
    basics,
    boxes,
    classifiers,
    convolutional,
    detr,
    feed_forward,
    gpt,
    losses,
    modules,
    optimisers,
    positions,
    recurrent,
    recurrent_layers,
    recurrent_models,
    row_norms,
    schedules,
    segmentation,
    set_prediction,
    transformer_models,
    vit,
    yolo,
)
from parity_tests.faults.fault import Fault, Judgement, judge

FAMILIES = {
    "basics": basics.FAULTS,
    "activations": activations.FAULTS,
    "convolutional": convolutional.FAULTS,
    "classifiers": classifiers.FAULTS,
    "losses": losses.FAULTS,
    "boxes": boxes.FAULTS,
    "segmentation": segmentation.FAULTS,
    "set prediction": set_prediction.FAULTS,
    "recurrent ops": recurrent.FAULTS,
    "recurrent layers": recurrent_layers.FAULTS,
    "recurrent models": recurrent_models.FAULTS,
    "attention": attention.FAULTS,
    "normalisation of rows": row_norms.FAULTS,
    "positions": positions.FAULTS,
    "feed-forward blocks": feed_forward.FAULTS,
    "transformer models": transformer_models.FAULTS,
    "gpt": gpt.FAULTS,
    "vit": vit.FAULTS,
    "detr": detr.FAULTS,
    "yolo": yolo.FAULTS,
    "modules": modules.FAULTS,
    "optimisers": optimisers.FAULTS,
    "schedules": schedules.FAULTS,
}
FAULTS = [fault for faults in FAMILIES.values() for fault in faults]

__all__ = ["FAMILIES", "FAULTS", "Fault", "Judgement", "judge"]
