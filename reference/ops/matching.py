"""Assignment of objects to predictions, at the least total cost (Carion et al. 2020, section 3.1).

The labels (B, N) are -1 for padding, where an image has fewer than N objects. The boxes (B, N, 4) are (x centre, y centre,
width, height) as shares of the image.
"""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.overrides import wrap_torch_function

from reference.ops.boxes import box_convert, generalized_box_iou


@wrap_torch_function(lambda logits, boxes, labels, target_boxes, *others, **options: (logits, boxes, labels, target_boxes))
@torch.no_grad()
def matching_cost(
    logits: Tensor, boxes: Tensor, labels: Tensor, target_boxes: Tensor, box_weight: float = 5.0, giou_weight: float = 2.0
) -> Tensor:
    """Return the cost (B, Q, N) of assigning each object to each of Q queries; 0 for padding."""
    probabilities = logits.softmax(dim=2).gather(2, labels.long().clamp(min=0)[:, None].expand(-1, logits.shape[1], -1))
    distance = torch.cdist(boxes, target_boxes, p=1)
    corners, target_corners = (box_convert(each, "cxcywh", "xyxy") for each in (boxes, target_boxes))
    overlap = torch.stack([generalized_box_iou(*image) for image in zip(corners, target_corners, strict=True)])
    cost = box_weight * distance - probabilities - giou_weight * overlap
    return cost.masked_fill(labels[:, None] < 0, 0)


@wrap_torch_function(lambda cost, present: (cost, present))
def bipartite_matching(cost: Tensor, present: Tensor) -> Tensor:
    """Return the query (B, N) of each object that is `present` (B, N), at the least total cost (B, Q, N); -1 for padding.

    Within an image, no two objects share a query.
    """
    matched = torch.full_like(present, -1, dtype=torch.int64)
    for image, (costs, there) in enumerate(zip(cost.detach().cpu(), present, strict=True)):
        _, queries = linear_sum_assignment(costs[:, there.cpu()].T)
        matched[image, there] = torch.from_numpy(queries).to(matched.device)
    return matched
