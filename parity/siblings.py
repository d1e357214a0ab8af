"""Load the packages `scratch` and `reference` beside this one, and refuse to run a test beside other packages of these names.

A project may have a folder called `scratch` or `reference`, and `python -m pytest` puts the project's root on sys.path. Python
would then find that folder first. Therefore every module of parity that imports one of the two packages, and no other module of
parity before it, imports this module first.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

NAMES = ("scratch", "reference")
HOME = Path(__file__).resolve().parents[1]


def load(name: str) -> None:
    """Import a package by its path, so that no other folder of its name can take its place."""
    file = HOME / name / "__init__.py"
    found = sys.modules.get(name)
    if found is None:
        spec = spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    elif Path(found.__file__ or "").resolve() != file:
        raise ImportError(_conflict(name, found.__file__ or next(iter(found.__path__))), name=name)


def refuse_namesakes() -> None:
    """Raise ImportError where another folder on sys.path has the name of one of the two packages.

    A test that imports such a folder after parity would get our package instead, and judge the wrong code.
    """
    for name in NAMES:
        for place in dict.fromkeys(sys.path):
            folder = Path(place, name).absolute()
            if folder.resolve() != HOME / name and any(any(folder.glob(pattern)) for pattern in ("*.py", "*/*.py")):
                raise ImportError(_conflict(name, folder), name=name)


def _conflict(name: str, folder: Path | str) -> str:
    return (
        f"parity has a package called {name!r} ({HOME / name}), and so has your project ({folder}); "
        "rename yours, or keep its parent off sys.path: start `pytest`, not `python -m pytest`, on tests in a folder of their own"
    )


for _name in NAMES:
    load(_name)
