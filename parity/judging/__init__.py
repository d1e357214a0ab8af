"""The steps from the runs of the reference to a verdict."""

import parity.siblings  # noqa: F401  before any module of this room imports scratch or reference
