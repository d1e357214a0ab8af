"""Mistakes in functions of torch and reference: one file for each op or concept, named as in scratch/ops where that has the op.

All files in this folder are imported, so that their mistakes register themselves.
"""

from importlib import import_module
from pkgutil import iter_modules

for found in iter_modules(__path__):
    import_module(f"{__name__}.{found.name}")
