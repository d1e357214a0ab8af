"""Positions, masks and padding."""

import math

import numpy as np

from parity_tests.variants.variant import variant


def _angles(positions, D, base):
    return positions[..., None].astype(np.float64) * np.exp(-np.arange(0, D, 2) / D * math.log(base))


@variant("ops.rotary")
def rotary_by_complex_numbers(x, positions, base=10000.0, interleaved=False):
    """Make each pair a complex number and multiply by exp(iθ), as Llama's code does."""
    turn = np.exp(1j * _angles(positions, x.shape[-1], base))
    kind = np.complex64 if x.dtype == np.float32 else np.complex128

    def turned(x, turn):
        a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else np.split(x, 2, axis=-1)
        z = ((a + 1j * b) * turn).astype(kind)
        parts = np.stack([z.real, z.imag], axis=-1 if interleaved else -2)
        return parts.reshape(x.shape)

    return turned(x, turn), lambda dy: (turned(dy, turn.conj()), None)


@variant("ops.rotary")
def rotary_by_rotate_half(x, positions, base=10000.0, interleaved=False):
    """Compute x cos + rotate_half(x) sin with tables of all D numbers, as Transformers does."""
    angles = _angles(positions, x.shape[-1], base)
    angles = np.repeat(angles, 2, axis=-1) if interleaved else np.concatenate([angles, angles], axis=-1)
    cos, sin = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)

    def rotate_half(x):
        if interleaved:
            return np.stack([-x[..., 1::2], x[..., 0::2]], axis=-1).reshape(x.shape)
        first, second = np.split(x, 2, axis=-1)
        return np.concatenate([-second, first], axis=-1)

    return x * cos + rotate_half(x) * sin, lambda dy: (dy * cos - rotate_half(dy * sin), None)


@variant("ops.rotary")
def rotary_by_matrices(x, positions, base=10000.0, interleaved=False):
    """Multiply each pair by a 2 x 2 matrix of rotation."""
    angles = _angles(positions, x.shape[-1], base)
    matrices = np.stack([np.cos(angles), -np.sin(angles), np.sin(angles), np.cos(angles)], axis=-1)
    matrices = matrices.reshape(*angles.shape, 2, 2).astype(x.dtype)

    def turned(x, rule):
        pairs = x.reshape(*x.shape[:-1], -1, 2) if interleaved else np.moveaxis(x.reshape(*x.shape[:-1], 2, -1), -2, -1)
        turned_pairs = np.einsum(rule, matrices, pairs)
        return (turned_pairs if interleaved else np.moveaxis(turned_pairs, -1, -2)).reshape(x.shape)

    return turned(x, "...ij,...j->...i"), lambda dy: (turned(dy, "...ji,...j->...i"), None)


@variant("ops.rotary")
def rotary_with_tables_in_its_dtype(x, positions, base=10000.0, interleaved=False):
    """Compute the angles in the dtype of x."""
    D, kind = x.shape[-1], x.dtype.type
    angles = positions[..., None].astype(kind) / kind(base) ** (np.arange(0, D, 2, dtype=kind) / kind(D))
    cos, sin = np.cos(angles), np.sin(angles)

    def turned(x, sin):
        a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., : D // 2], x[..., D // 2 :])
        pairs = a * cos - b * sin, b * cos + a * sin
        return np.stack(pairs, axis=-1).reshape(x.shape) if interleaved else np.concatenate(pairs, axis=-1)

    return turned(x, sin), lambda dy: (turned(dy, -sin), None)


@variant("ops.sinusoidal_positions", also="SinusoidalPositions-given transformer-two")
def sinusoidal_positions_in_its_dtype(x, positions, base=10000.0):
    """Compute the table in the dtype of x, with the factors of the annotated Transformer."""
    D, kind = x.shape[-1], x.dtype.type
    rates = np.exp(np.arange(0, D, 2, dtype=kind) * kind(-math.log(base) / D))
    table = np.zeros((*positions.shape, D), kind)
    table[..., 0::2] = np.sin(positions[..., None].astype(kind) * rates)
    table[..., 1::2] = np.cos(positions[..., None].astype(kind) * rates[: D // 2])
    return x + table, lambda dy: (dy + 0, None)


@variant("ops.sinusoidal_positions", also="SinusoidalPositions transformer")
def sinusoidal_positions_by_exponentials(x, positions, base=10000.0):
    """Take the imaginary and the real part of exp(iθ)."""
    wave = np.exp(1j * _angles(positions, x.shape[-1], base))
    table = np.stack([wave.imag, wave.real], axis=-1).reshape(*positions.shape, -1)[..., : x.shape[-1]]
    return x + table.astype(x.dtype), lambda dy: (dy.copy(), None)


@variant("ops.sinusoidal_positions", also="SinusoidalPositions-left-padded")
def sinusoidal_positions_number_by_number(x, positions, base=10000.0):
    """Loop over the features with Python's floats."""
    D, y = x.shape[-1], x.copy()
    for d in range(D):
        wave = np.sin if d % 2 == 0 else np.cos
        y[..., d] += wave(positions / math.pow(base, (d - d % 2) / D)).astype(x.dtype)
    return y, lambda dy: (np.array(dy), None)


@variant("ops.sinusoidal_positions_2d", also="SinusoidalPositions2d SinusoidalPositions2d-counted")
def sinusoidal_positions_2d_by_channels(x, present, normalize=True, base=10000.0):
    """Loop over the channels, and count the places with a running sum of Python's."""
    C, y = x.shape[1], np.zeros(x.shape)
    for half, axis in enumerate((1, 2)):
        places = np.add.accumulate(present.astype(np.float64), axis=axis)
        if normalize:
            last = np.moveaxis(places, axis, 0)[-1]
            places = places / (np.expand_dims(last, axis) + 1e-6) * (2 * math.pi)
        for c in range(C // 2):
            angle = places / base ** (c // 2 * 2 / (C // 2))
            y[:, half * (C // 2) + c] = np.cos(angle) if c % 2 else np.sin(angle)
    return y.astype(x.dtype), lambda dy: (None, None)


@variant("ops.relative_position_bucket", also="RelativePositionBias RelativePositionBias-causal")
def relative_position_bucket_one_by_one(relative_position, bidirectional=True, num_buckets=32, max_distance=128):
    """Loop over the distances with Python's numbers."""
    count = num_buckets // 2 if bidirectional else num_buckets
    exact = count // 2

    def bucket(relative):
        distance, more = (abs(relative), count * (relative > 0)) if bidirectional else (max(-relative, 0), 0)
        if distance < exact:
            return distance + more
        share = math.log(distance / exact) / math.log(max_distance / exact)
        return min(exact + int(share * (count - exact)), count - 1) + more

    found = np.array([bucket(int(r)) for r in relative_position.ravel()], np.int64)
    return found.reshape(relative_position.shape), lambda dy: None


@variant("ops.causal_mask")
def causal_mask_by_comparison(L, S=None, offset=0):
    """Compare the positions of keys and queries."""
    return np.arange(L if S is None else S)[None, :] <= np.arange(L)[:, None] + offset, lambda dmask: None


@variant("ops.padding_mask", also="bert")
def padding_mask_row_by_row(lengths, T):
    """Write the first numbers of each row."""
    mask = np.zeros((len(lengths), 1, 1, T), bool)
    for row, n in zip(mask, lengths, strict=True):
        row[..., : int(n)] = True
    return mask, lambda dmask: None


@variant("ops.pad_images")
def pad_images_by_np_pad(images):
    """Use np.pad and np.stack."""
    H, W = max(image.shape[1] for image in images), max(image.shape[2] for image in images)

    def padded(image):
        return np.pad(image, [(0, 0)] * (image.ndim - 2) + [(0, H - image.shape[-2]), (0, W - image.shape[-1])])

    present = np.stack([padded(np.ones(image.shape[1:], bool)) for image in images])
    return (np.stack([padded(image) for image in images]), present), lambda dpadded: [
        d[:, : image.shape[1], : image.shape[2]].copy() for d, image in zip(dpadded, images, strict=True)
    ]
