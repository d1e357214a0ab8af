"""The judgement of a package that someone else wrote."""

import parity.siblings  # noqa: F401  before any module of this room imports scratch or reference
