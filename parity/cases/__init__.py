"""Every comparison, by family: a table a file, a row a case.

A new twin is a row in one of these tables, and a new table is a line here. The rows of FULL_SIZE are in none of the families:
they take minutes and gigabytes, and only a pattern that no other case has finds them.
"""

from dataclasses import replace
from difflib import get_close_matches

from parity.case import ParityCase
from parity.cases import (
    activations,
    attention,
    basics,
    boxes,
    classifiers,
    clipping,
    convolutional,
    detr,
    full_size,
    gpt,
    losses,
    optimisers,
    recurrent,
    recurrent_models,
    schedules,
    segmentation,
    set_prediction,
    transformer_models,
    transformers,
    vit,
    yolo,
)

FAMILIES = {
    "activations": activations,
    "attention": attention,
    "basics": basics,
    "boxes": boxes,
    "convolutional": convolutional,
    "classifiers": classifiers,
    "gpt": gpt,
    "losses": losses,
    "recurrent": recurrent,
    "recurrent models": recurrent_models,
    "segmentation": segmentation,
    "set prediction": set_prediction,
    "transformers": transformers,
    "transformer models": transformer_models,
    "vit": vit,
    "detr": detr,
    "yolo": yolo,
    "optimisers": optimisers,
    "clipping": clipping,
    "schedules": schedules,
}


def _all() -> tuple[ParityCase, ...]:
    rows = (replace(case, family=family) for family, table in FAMILIES.items() for case in table.CASES)
    return tuple(case for row in rows for case in ((row,) if row.scratch.startswith(("ops.", "optim.")) else (row, row.in_eval_mode())))


CASES = _all()
FULL_SIZE = tuple(replace(case, family="full size") for case in full_size.CASES)


def matching(pattern: str) -> list[ParityCase]:
    """The cases whose name or family contains the pattern, in any case of letters; ValueError where there is none.

    Those of full size are found where no other is.
    """
    for cases in (CASES, FULL_SIZE):
        if found := [case for case in cases if pattern.lower() in f"{case.family} {case.name}".lower()]:
            return found
    close = get_close_matches(pattern, [case.name for case in (*CASES, *FULL_SIZE)], n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(close)}?" if close else ";"
    raise ValueError(
        f"no case is called anything like {pattern!r}{hint} `parity list` names all {len(CASES)}, `parity list full-size` more"
    )
