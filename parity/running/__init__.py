"""Running both sides of a case."""

import parity.siblings  # noqa: F401  before any module of this room imports scratch or reference
