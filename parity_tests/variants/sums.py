"""Sums in other orders, which several families share. Each adds the numbers along the first axis."""

import numpy as np


def pairwise(terms):
    """Add neighbours, then the sums of neighbours, until one is left."""
    while len(terms) > 1:
        odd = terms[len(terms) - len(terms) % 2 :]
        terms = np.concatenate([terms[0 : len(terms) - len(odd) : 2] + terms[1::2], odd])
    return terms[0]


def compensated(terms):
    """Carry the rounding error of each addition to the next one (Kahan 1965)."""
    total, lost = np.zeros_like(terms[0]), np.zeros_like(terms[0])
    for term in terms:
        corrected = term - lost
        larger = total + corrected
        lost = (larger - total) - corrected
        total = larger
    return total


def backwards(terms):
    """Add one number after the other, from the last to the first."""
    total = np.zeros_like(terms[0])
    for term in terms[::-1]:
        total = total + term
    return total


def in_blocks(terms, size=3):
    """Add blocks of three numbers, then their sums."""
    return np.sum([terms[i : i + size].sum(axis=0) for i in range(0, len(terms), size)], axis=0, dtype=terms.dtype)


def one_by_one(terms):
    """Add one number after the other, from the first to the last, without NumPy's pairs."""
    return np.cumsum(terms, axis=0)[-1]
