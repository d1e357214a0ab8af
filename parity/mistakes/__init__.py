"""References that are wrong on purpose: the mistakes that people make, each a few lines of torch.

If a scratch twin equals one of them to rounding, then it makes that mistake. `functions` holds mistakes in functions of
torch and reference: while the reference runs again, the mistake replaces the function, in an op and in every layer that
calls it. `uses` holds mistakes in how modules use their inputs, submodules and options. To add a mistake in a function,
write it in a file of `functions`.
"""

import parity.siblings  # noqa: F401  before any module of this room imports scratch or reference
from parity.mistakes.register import registered

__all__ = ["registered"]
