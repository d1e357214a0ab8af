"""A learned bias of attention scores by the distance between query and key."""

from typing import Any

from scratch.layers.embedding import Embedding
from scratch.module import Array, Backward
from scratch.ops.embedding import embedding
from scratch.ops.relative_position import relative_position_bucket


class RelativePositionBias(Embedding):
    """A learned number for each head and each bucket of distances, as in T5 (Raffel et al. 2020, section 2.1).

    Positions of queries (L,) and keys (S,) to biases (num_heads, L, S); weight is (num_buckets, num_heads). The positions have
    no gradient.
    """

    def __init__(self, num_buckets: int, max_distance: int, num_heads: int, bidirectional: bool = True):
        super().__init__(num_buckets, num_heads)
        self.num_buckets, self.max_distance, self.bidirectional = num_buckets, max_distance, bidirectional

    def forward(self, queries: Array, keys: Array) -> tuple[Array, Backward]:  # type: ignore[override]
        if queries.ndim != 1 or keys.ndim != 1:
            raise ValueError(f"RelativePositionBias: expected positions (L,) and (S,), got {queries.shape} and {keys.shape}")
        if {queries.dtype.kind, keys.dtype.kind} != {"i"}:
            raise ValueError(
                f"RelativePositionBias: expected signed whole numbers, got queries {queries.dtype} and keys {keys.dtype}"
            )
        relative = keys - queries[:, None]
        buckets, _ = relative_position_bucket(relative, self.bidirectional, self.num_buckets, self.max_distance)
        biases, backward = embedding(buckets, self.weight.data)  # (L, S, H)

        def accumulate(dy: Array) -> Any:
            _, dweight = backward(dy.transpose(1, 2, 0))
            self.weight.accumulate(dweight)
            return None, None

        return biases.transpose(2, 0, 1), accumulate
