"""The package under test: found by directory, and imported so that one broken file does not take the others with it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any


class BrokenImportError(ImportError):
    """A file of the package under test raised while it was imported; the message says what, and where."""


def mount(directory: Path) -> str:
    """Make a directory importable as a package and return its name, which is its own where no other package has that.

    What lies beside the directory can be imported too.
    """
    directory = directory.resolve()
    name = directory.name
    spec = None if name in sys.modules or not name.isidentifier() else importlib.util.find_spec(name)
    taken = name in sys.modules or (spec is not None and str(directory) not in (spec.submodule_search_locations or ()))
    if taken or not name.isidentifier():
        name = re.sub(r"\W", "_", f"{name}_under_test")
    sys.meta_path.insert(0, _Finder(name, directory))
    sys.path.append(str(directory.parent))
    return name


def find(path: str, package: str) -> Any:
    """The object at a dotted path inside a package.

    Raises NotImplementedError where the package has no such name, BrokenImportError where it cannot be imported.
    """
    module, *names = path.split(".")
    try:
        found: Any = importlib.import_module(f"{package}.{module}")
    except BrokenImportError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == f"{package}.{module}":
            raise NotImplementedError(f"{package} has no {module}") from None
        raise BrokenImportError(_story(error)) from error
    for name in names:
        found = getattr(found, name, None)
        if found is None:
            raise NotImplementedError(f"{package}.{module} has no {name}")
    return found


class _Finder(MetaPathFinder):
    """Finds a directory as a package, and gives everything in it to _Loader."""

    def __init__(self, name: str, directory: Path):
        self.name, self.directory = name, directory

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname == self.name:
            init = self.directory / "__init__.py"
            spec = importlib.util.spec_from_file_location(fullname, init) if init.is_file() else ModuleSpec(fullname, None)
            if spec is not None:
                spec.submodule_search_locations = [str(self.directory)]
        else:
            spec = PathFinder.find_spec(fullname, path, target) if fullname.startswith(f"{self.name}.") else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Loads from the source, never from a cache that a quick second save might not have outdated.

    Where an import in a package's __init__.py fails, the rest of the file still runs, and asking for one of the names that
    were to be imported raises what it failed with.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), path)
        if self.is_package(fullname):
            tree.body = [_guarded(s) if isinstance(s, ast.Import | ast.ImportFrom) else s for s in tree.body]
        return compile(tree, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        broken: dict[str, BaseException] = {}

        def missing(name: str) -> Any:
            if name in broken:
                raise BrokenImportError(_story(broken[name]))
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        if self.is_package(module.__name__):
            module.__dict__.update(__getattr__=missing, _broken=broken)
        super().exec_module(module)


def _guarded(statement: ast.Import | ast.ImportFrom) -> ast.stmt:
    """The import in a try statement, which notes under the names that it binds what it raised."""
    if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
        return statement
    names = [alias.asname or alias.name.split(".")[0] for alias in statement.names]
    note = f"_broken.update(dict.fromkeys({names}, _error))"
    guard = ast.parse(f"try:\n    pass\nexcept (Exception, SystemExit) as _error:\n    {note}").body[0]
    assert isinstance(guard, ast.Try)
    guard.body = [statement]
    return guard


def _story(error: BaseException) -> str:
    """What was raised in one line, with the place."""
    if isinstance(error, BrokenImportError):
        return str(error)
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({Path(error.filename or '').name}:{error.lineno})"
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen ") and f.filename != __file__
    ]
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{place}"
