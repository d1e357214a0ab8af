"""The steps from a mismatch to its culprit and its cause."""

import parity.siblings  # noqa: F401  before any module of this room imports scratch or reference
