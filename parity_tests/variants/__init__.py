"""Right code in other words: variants of the functions of scratch, to see whether the harness ever rejects right code.

Each file is a family of variants, which the decorator `variant` registers; sums.py holds what several families share. A variant
has the signature of the function that it replaces, a hand-written backward, and results that differ by rounding alone.
`python -m parity_tests.variants --seeds 8` counts the verdicts, the false alarms and the largest error over many seeds.
"""

import importlib
import pkgutil

from parity_tests.variants.variant import CALLS, VARIANTS, Variant, replaced

for _module in pkgutil.iter_modules(__path__):
    if _module.name != "__main__":
        importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["CALLS", "VARIANTS", "Variant", "replaced"]
