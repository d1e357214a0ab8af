"""Arrays in files, which are written whole or not at all."""

import parity.siblings  # noqa: F401  before any module of this room imports scratch or reference
