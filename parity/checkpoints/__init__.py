"""Arrays in files, written so that no kill leaves half of one."""

import parity.siblings  # noqa: F401  before any module of this room imports scratch or reference
