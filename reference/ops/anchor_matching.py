"""Assignment of objects to the predictions of a grid detector (Redmon & Farhadi 2018, section 2.1).

The labels (B, N) are -1 for padding, where an image has fewer than N objects. The boxes (B, N, 4) are (x centre, y centre,
width, height) as shares of the image.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import wrap_torch_function

from reference.ops.boxes import box_iou
from reference.ops.yolo_boxes import Grid


@wrap_torch_function(lambda labels, boxes, *others, **options: (labels, boxes))
@torch.no_grad()
def anchor_matching(labels: Tensor, boxes: Tensor, grids: Sequence[Grid]) -> Tensor:
    """Return the index (B, N), below P, of the prediction that is responsible for each object.

    Within an image, no two objects share a prediction. The index is -1 for padding, and for an object whose cell has no
    anchor left.
    """
    matched = torch.full(labels.shape, -1)
    shapes = torch.cat([torch.tensor(anchors, dtype=torch.float64) / torch.tensor((W, H)) for (H, W), anchors in grids])
    there = labels >= 0
    for (image, n), (x, y, *sides) in zip(there.nonzero().tolist(), boxes[there].tolist(), strict=True):
        choice, start = [], 0
        for (H, W), anchors in grids:
            cell = min(int(y * H), H - 1) * W + min(int(x * W), W - 1)
            choice += [start + cell * len(anchors) + i for i in range(len(anchors))]
            start += H * W * len(anchors)
        likeness = box_iou(shapes.new_tensor([[0, 0, *sides]]), F.pad(shapes, (2, 0)))[0]
        taken = torch.isin(torch.tensor(choice), matched[image])
        if not taken.all():
            matched[image, n] = choice[likeness.masked_fill(taken, -1).argmax()]
    return matched.to(labels.device)
