"""A bias of attention scores by the distance between query and key."""

from torch import Tensor, nn

from reference.ops import relative_position_bucket


class RelativePositionBias(nn.Embedding):
    """Bias with a learned number for each head and bucket of distances, as in T5 (Raffel et al. 2020, section 2.1).

    It maps the positions of queries (L,) and keys (S,) to (num_heads, L, S). The weight is (num_buckets, num_heads).
    """

    def __init__(self, num_buckets: int, max_distance: int, num_heads: int, bidirectional: bool = True):
        super().__init__(num_buckets, num_heads)
        self.num_buckets, self.max_distance, self.bidirectional = num_buckets, max_distance, bidirectional

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:  # type: ignore[override]
        relative = keys[None, :] - queries[:, None]
        buckets = relative_position_bucket(relative, self.bidirectional, self.num_buckets, self.max_distance)
        return super().forward(buckets).permute(2, 0, 1)
