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

import parity.siblings  # noqa: F401  first
import scratch


class BrokenImportError(ImportError):
    """A file of the package under test raised while it was imported; the message says what, and where."""


def mount(directory: Path) -> str:
    """Make a directory importable as a package and return its name, which is its own where no other package has that.

    What lies beside the directory can be imported too.
    """
    directory = directory.resolve()
    name = directory.name
    if directory == Path(scratch.__file__).parent:
        return "scratch"
    spec = None if name in sys.modules or not name.isidentifier() else importlib.util.find_spec(name)
    taken = name in sys.modules or (spec is not None and str(directory) not in (spec.submodule_search_locations or ()))
    if taken or not name.isidentifier():
        name = re.sub(r"\W", "_", f"{name}_under_test")
    sys.meta_path.insert(0, _Finder(name, directory))
    sys.path.append(str(directory.parent))
    return name


def find(path: str, package: str) -> Any:
    """The object at a dotted path inside a package.

    Raises NotImplementedError where the package has no such name, or only by importing it from `scratch`, which would be
    verified in its place, and BrokenImportError where it cannot be imported.
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
    if package != "scratch" and getattr(found, "__module__", "").split(".")[0] == "scratch":
        raise NotImplementedError(f"{package}.{path} is {found.__module__}.{found.__name__}, no implementation of its own")
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

    Where an import in a package's __init__.py fails, the rest of the file still runs, and asking for the name that was to be
    imported raises what it failed with; it is just not there where the file that it should be in does not have it.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), path)
        if self.is_package(fullname):
            tree.body = [part for statement in tree.body for part in _guarded(statement, fullname)]
        return compile(tree, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        broken: dict[str, BaseException] = {}

        def note(name: str, source: str, error: BaseException) -> None:
            absent = isinstance(error, ImportError) and error.name == source and not isinstance(error, BrokenImportError)
            if not absent:
                broken[name] = error

        def missing(name: str) -> Any:
            if name in broken:
                raise BrokenImportError(_story(broken[name]))
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        if self.is_package(module.__name__):
            module.__dict__.update(__getattr__=missing, _note=note)
        super().exec_module(module)


def _guarded(statement: ast.stmt, package: str) -> list[ast.stmt]:
    """A statement of a package's __init__.py; an import as one for each of its names, whose failure is noted."""
    if not isinstance(statement, ast.Import | ast.ImportFrom) or getattr(statement, "module", "") == "__future__":
        return [statement]
    guarded: list[ast.stmt] = []
    for alias in statement.names:
        if isinstance(statement, ast.ImportFrom):
            single: ast.stmt = ast.ImportFrom(statement.module, [alias], statement.level)
            source = importlib.util.resolve_name(f"{'.' * statement.level}{statement.module or ''}", package)
        else:
            single, source = ast.Import([alias]), alias.name
        name = alias.asname or alias.name.split(".")[0]
        guard = ast.parse(
            f"try:\n    pass\nexcept (Exception, SystemExit) as _error:\n    _note({name!r}, {source!r}, _error)"
        ).body[0]
        assert isinstance(guard, ast.Try)
        guard.body = [ast.fix_missing_locations(ast.copy_location(single, statement))]
        guarded.append(guard)
    return guarded


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
