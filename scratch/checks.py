"""Checks of inputs: each raises ValueError with one line that says what came and what was expected."""

import math

import numpy as np

from scratch.module import Array

Size = int | tuple[int, int]  # of height and width


def one_float_dtype(op: str, **arrays: Array | None) -> None:
    """Raise ValueError unless the given arrays are floating-point and have one dtype."""
    dtypes = {name: a.dtype for name, a in arrays.items() if a is not None}
    if any(not np.issubdtype(dtype, np.floating) for dtype in dtypes.values()) or len(set(dtypes.values())) > 1:
        came = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise ValueError(f"{op}: expected one floating-point dtype, got {came}; cast with .astype or Module.astype")


def has_shape(op: str, name: str, array: Array | None, expected: tuple[int, ...]) -> None:
    """Raise ValueError unless a given array has the expected shape."""
    if array is not None and array.shape != expected:
        raise ValueError(f"{op}: expected {name} of shape {expected}, got {array.shape}")


def is_sequence(op: str, name: str, x: Array | None, width: int) -> None:
    """Raise ValueError unless a given batch of sequences is (B, T, width)."""
    if x is not None and (x.ndim != 3 or x.shape[2] != width):
        raise ValueError(f"{op}: expected {name} (B, T, {width}), got {x.shape}")


def are_images(op: str, x: Array, channels: int, smallest: int = 1) -> None:
    """Raise ValueError unless x is (N, channels, H, W), with H and W at least `smallest`."""
    if x.ndim != 4:
        raise ValueError(f"{op}: expected images (N, {channels}, H, W), got shape {x.shape}; one image is a batch of 1")
    if x.shape[1] != channels:
        raise ValueError(f"{op}: expected images of {channels} channels, got {x.shape[1]}; in_channels says how many there are")
    height, width = x.shape[2:]
    if min(height, width) < smallest:
        raise ValueError(
            f"{op}: images of {height}x{width} are too small for its depth, expected at least {smallest} a side; enlarge them"
        )


def broadcasts_to(op: str, name: str, array: Array | None, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless a given array broadcasts to a shape and leaves that shape as it is."""
    if array is not None and not _repeats_to(array.shape, shape):
        raise ValueError(f"{op}: expected {name} of a shape that broadcasts to {shape}, got {array.shape}")


def _repeats_to(one: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    return len(one) <= len(whole) and all(n in (1, m) for n, m in zip(one[::-1], whole[::-1], strict=False))


def is_bool(op: str, name: str, array: Array | None, meaning: str) -> None:
    """Raise ValueError unless a given array is boolean; `meaning` says what True means."""
    if array is not None and array.dtype != bool:
        raise ValueError(f"{op}: {name} is {array.dtype}, expected bool (true: {meaning})")


def are_labels(op: str, target: Array) -> None:
    """Raise ValueError unless the target holds whole numbers."""
    if target.dtype.kind not in "iu":
        raise ValueError(f"{op}: target is {target.dtype}, expected labels, whole numbers")


def axis_of(op: str, name: str, axis: int, ndim: int) -> int:
    """Return an axis counted from the front, or raise ValueError unless it is one of ndim; a scalar has one, as in torch."""
    axes = max(ndim, 1)
    if not -axes <= axis < axes:
        raise ValueError(f"{op}: {name} is {axis}, expected {-axes} to {axes - 1} for an array of {ndim} axes")
    return axis % axes


def is_eps(op: str, eps: float) -> None:
    """Raise ValueError unless eps is 0 or more."""
    if not eps >= 0:
        raise ValueError(f"{op}: eps is {eps}, expected 0 or more")


def is_probability(op: str, name: str, p: float) -> None:
    """Raise ValueError unless a number is a probability."""
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: {name} is {p}, expected a probability, 0 to 1")


def are_weights(op: str, **weights: float) -> None:
    """Raise ValueError unless the weights of a loss's terms are finite and not negative."""
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ValueError(f"{op}: {name} is {weight}, expected a finite number of 0 or more")


def is_mask(op: str, name: str, mask: Array | None, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raise ValueError unless a given attention mask fits scores of this shape and dtype."""
    if mask is None:
        return
    if mask.dtype not in (np.dtype(bool), dtype):
        raise ValueError(f"{op}: {name} is {mask.dtype}, expected bool (true: may attend) or {dtype} to be added")
    broadcasts_to(op, name, mask, shape)


def divides(op: str, name: str, heads: int, width_name: str, width: int) -> None:
    """Raise ValueError unless the number of heads divides the width."""
    if min(heads, width) < 1 or width % heads:
        raise ValueError(f"{op}: {name} {heads} does not divide {width_name} {width}; each head has an equal share of it")


def ends_in(op: str, x: Array, normalized_shape: tuple[int, ...]) -> int:
    """Return the number of elements in normalized_shape, or raise ValueError unless the last axes of x have that shape."""
    count = math.prod(normalized_shape)
    if not normalized_shape or count < 1 or x.shape[-len(normalized_shape) :] != tuple(normalized_shape):
        raise ValueError(f"{op}: expected an x whose last axes are normalized_shape, got {x.shape} and {normalized_shape}")
    return count


def has_positions(op: str, x: Array, positions: Array) -> None:
    """Raise ValueError unless positions (T,) or (..., T) broadcast to the rows of x (..., T, D)."""
    if positions.dtype.kind not in "iuf":
        raise ValueError(f"{op}: expected positions that are numbers, got {positions.dtype}")
    fit = x.ndim > positions.ndim and all(n in (1, m) for n, m in zip(positions.shape[::-1], x.shape[-2::-1], strict=False))
    if not fit:
        raise ValueError(f"{op}: expected positions (T,) or (..., T) for x (..., T, D), got {positions.shape} and {x.shape}")


def one_of(op: str, name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless an option is one of its choices."""
    if value not in choices:
        raise ValueError(f"{op}: {name} is {value!r}, expected one of {', '.join(choices)}")


def pair(op: str, name: str, value: Size, minimum: int) -> tuple[int, int]:
    """Return an option as a pair for height and width, or raise ValueError below the minimum; one int serves both."""
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2 or any(not isinstance(v, int | np.integer) or v < minimum for v in both):
        raise ValueError(f"{op}: {name} is {value!r}, expected an int or a pair of ints, each at least {minimum}")
    return int(both[0]), int(both[1])


def lengths_within(op: str, lengths: Array, T: int, B: int) -> None:
    """Raise ValueError unless lengths (B,) are whole numbers from 1 to T."""
    if lengths.shape != (B,) or lengths.dtype.kind not in "iu":
        raise ValueError(f"{op}: expected lengths, {B} whole numbers, got {lengths.dtype} of shape {lengths.shape}")
    if B and (lengths.min() < 1 or lengths.max() > T):
        raise ValueError(f"{op}: expected lengths from 1 to {T}, got {lengths.min()} to {lengths.max()}; leave empty ones out")


def tokens_within(op: str, name: str, tokens: Array, vocab_size: int, context: int, before: int = 0) -> None:
    """Raise ValueError unless tokens (B, T) are below vocab_size, and T with the tokens before is at most `context`."""
    batch_of_tokens(op, name, tokens, vocab_size)
    if before + tokens.shape[1] > context:
        length = f"{before} and {tokens.shape[1]} more" if before else f"{tokens.shape[1]}"
        raise ValueError(f"{op}: {name} is {length} tokens long, expected at most {context}, the context")


def batch_of_tokens(op: str, name: str, tokens: Array, vocab_size: int | None = None) -> None:
    """Raise ValueError unless tokens are a batch (B, T) of at least one step, below vocab_size where it is given."""
    if tokens.ndim != 2 or tokens.shape[1] == 0:
        raise ValueError(f"{op}: expected {name} (B, T) of at least one step, got shape {tokens.shape}; one text is a batch of 1")
    if vocab_size is not None and tokens.dtype.kind not in "iu":
        raise ValueError(f"{op}: expected {name} to be whole numbers, got {tokens.dtype}")
    if vocab_size is not None and tokens.size and (tokens.min() < 0 or tokens.max() >= vocab_size):
        wrong = tokens.min() if tokens.min() < 0 else tokens.max()
        raise ValueError(f"{op}: {name} hold {wrong}, expected numbers from 0 to {vocab_size - 1}")
