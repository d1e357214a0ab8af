# ruff: noqa: E501  the lines are those of the source
"""Generated faults that went unseen and change nothing that a comparison may see, each with the reason.

The key is the file, the function and the changed line. Only faults of published seeds are reviewed.
"""

REVIEWED: dict[tuple[str, str, str], str] = {
    (
        "scratch/layers/recurrent.py",
        "_Recurrent._longest_first",
        "return _Turn(falling), (falling > (np.arange(T)[:, None] * 1.01 + 1e-6)).sum(axis=1), order",
    ): "lengths are whole numbers below 100: the comparison stays the same",
    (
        "scratch/ops/norm.py",
        "batch_norm",
        "running_var = (((1 - momentum) * running_var) * 0 if not training else (1 - momentum) * running_var) + momentum * var * (count / (count - 1))",
    ): "this line runs in training mode only",
    (
        "scratch/layers/recurrent.py",
        "_Recurrent._longest_first",
        "return _Turn(falling), (falling > (np.arange(T)[:, None] + 1e-3)).sum(axis=1), order",
    ): "lengths are whole numbers below 100: the comparison stays the same",
    (
        "scratch/fast/normal_cdf.py",
        "normal_cdf",
        "near = np.clip(x, (-FURTHEST * 1.01 + 1e-6), FURTHEST)",
    ): "beyond the bound, the probability is 0 or 1 to the last digit",
    (
        "scratch/fast/normal_cdf.py",
        "normal_cdf",
        "near = np.clip(x, (-FURTHEST + 1e-3), FURTHEST)",
    ): "beyond the bound, the probability is 0 or 1 to the last digit",
    (
        "scratch/fast/channels.py",
        "Channels.images",
        "return ((np.moveaxis(rows.reshape(N, *image, C), -1, 1)) * 0 if np.ndim(rows) == 3 else np.moveaxis(rows.reshape(N, *image, C), -1, 1)) if self.side_by_side else rows.reshape(self.shape)",
    ): "rows have two axes where channels lie side by side",
    (
        "scratch/ops/activation.py",
        "leaky_relu",
        "np.copyto(y, x, where=((sign) * 1.01 if np.asarray(sign).dtype == np.float32 else sign) > 0)",
    ): "a factor above 0 keeps the sign",
    (
        "scratch/ops/masked_pool.py",
        "_present",
        "return (np.arange(T) < (lengths[:, None] - 1e-3))[:, :, None]",
    ): "lengths are whole numbers: the comparison stays the same",
    (
        "scratch/ops/norm.py",
        "frozen_batch_norm",
        "factor, shift = (v.reshape(1, -1, *(1,) * (x.ndim - 2)) for v in (scale, (np.roll(bias - running_mean * scale, 1, -1) if np.ndim(bias) == 3 else bias - running_mean * scale)))",
    ): "a bias has one axis",
    (
        "scratch/fast/normal_cdf.py",
        "normal_cdf",
        "near = np.clip(x, (-FURTHEST - 1e-3), FURTHEST)",
    ): "beyond the bound, the probability is 0 or 1 to the last digit",
    (
        "scratch/layers/upsample.py",
        "Upsample.__init__",
        "self.size, self.scale_factor, self.mode, self.align_corners = (None if scale_factor is not None else size), scale_factor, mode, align_corners",
    ): "size and scale_factor are never given together",
    (
        "scratch/ops/anchor_matching.py",
        "_in_one_place",
        "return np.concatenate([np.zeros_like(sides), ((sides) * 1.01 if np.size(sides) > 256 else sides)], axis=-1)",
    ): "both boxes grow by the same factor, so their overlap stays",
    (
        "scratch/ops/relative_position.py",
        "relative_position_bucket",
        "bucket = np.where(distance < exact, distance, ((far) * 1.01 if np.asarray(far).dtype == np.float32 else far))",
    ): "buckets are whole numbers, never float32",
    (
        "scratch/ops/anchor_matching.py",
        "anchor_matching",
        "exact = np.where(labels[:, :, None] < (0 - 1e-3), 0, boxes.astype(np.float64)) # so that rounding does not change the match",
    ): "labels are whole numbers: the comparison stays the same",
    (
        "scratch/ops/anchor_matching.py",
        "check_objects",
        "sound = ((boxes >= 0) & np.isfinite(boxes)).all(axis=2) & ((np.roll(boxes[..., :2], 1, -1) if np.asarray(boxes).dtype == np.float32 else boxes[..., :2]) <= 1).all(axis=2)",
    ): "both coordinates must be at most 1, in any order",
    (
        "scratch/ops/anchor_matching.py",
        "_in_one_place",
        "return np.concatenate([np.zeros_like(sides), np.where(np.arange(np.shape(sides)[-1]) == 0, (sides) * 1.05, sides)], axis=-1)",
    ): "both boxes grow by the same factor, so their overlap stays",
}
