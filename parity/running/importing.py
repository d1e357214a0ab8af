"""Import the package under test from its directory, so that one broken file does not break the others."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import scratch
from parity.case import did_you_mean
from parity.running.definitions import Definitions
from parity.running.safe_text import in_one_line, message_of

IMPORT_MACHINERY = {__file__, importlib.__file__}  # files between an import and what it raises
OnImport = Callable[[str], AbstractContextManager[None]]  # of the path of a file, around its import


class BrokenImportError(ImportError):
    """An error of a file that raised while it was imported; the message says what was raised, and where."""


class SubjectError(ValueError):
    """An error of a name that exists but cannot be judged; the message says why."""


def mount(directory: Path, on_import: OnImport = lambda path: nullcontext()) -> str:
    """Make a directory importable as a package and return its name: its own, unless another package has that name.

    Files beside the directory can be imported too. Every file is imported inside the context that `on_import` returns.
    """
    directory = directory.resolve()
    name = directory.name
    if directory == Path(scratch.__file__).parent:
        return "scratch"
    spec = None if name in sys.modules or not name.isidentifier() else importlib.util.find_spec(name)
    taken = name in sys.modules or (spec is not None and str(directory) not in (spec.submodule_search_locations or ()))
    if taken or not name.isidentifier():
        name = re.sub(r"\W", "_", f"{name}_under_test")
    sys.meta_path.insert(0, _Finder(name, directory, on_import))
    sys.path.append(str(directory.parent))
    return name


def find(path: str, package: str) -> Any:
    """Return the function or class at a dotted path inside a package.

    Raise NotImplementedError where the package has no such name, and SubjectError where it cannot be imported, is nothing
    to call, or comes from `scratch`, which would be verified in its place.
    """
    module, name = path.rsplit(".", 1)
    whole = f"{package}.{module}"
    try:
        found = getattr(importlib.import_module(whole), name, None)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == whole:
            raise NotImplementedError(f"{package} has no {module}") from None
        raise SubjectError(f"it does not import: {_story(error)}") from error
    if found is None or isinstance(found, ModuleType):  # a file of that name that does not define it
        like = did_you_mean(name, vars(sys.modules[whole])) if package == "scratch" else ""
        raise NotImplementedError(f"{whole} has no {name}{like}")
    if package != "scratch":
        _refuse_unusable(found, path, package)
    return found


def _refuse_unusable(found: Any, path: str, package: str) -> None:
    """Raise SubjectError for what cannot be judged: it cannot be called, or it is the project's own."""
    if not callable(found):
        raise SubjectError(f"{package}.{path} is one {type(found).__name__}, expected a function or a class")
    if str(getattr(found, "__module__", "")).split(".")[0] == "scratch":
        root = Path(next(iter(sys.modules[package].__path__)))
        file = Definitions(root).borrows(path, "scratch")
        where = f"{file.relative_to(root)} imports from scratch" if file else f"{package}.{path} comes from scratch"
        raise SubjectError(f"{where}, so scratch itself would be verified; write it anew, or make the import relative")


class _Finder(MetaPathFinder):
    """A finder of one directory as a package; _Loader loads everything in it."""

    def __init__(self, name: str, directory: Path, on_import: OnImport):
        self.name, self.directory, self.on_import = name, directory, on_import

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname == self.name:
            init = self.directory / "__init__.py"
            spec = importlib.util.spec_from_file_location(fullname, init) if init.is_file() else ModuleSpec(fullname, None)
            if spec is not None:
                spec.submodule_search_locations = [str(self.directory)]
        else:
            spec = PathFinder.find_spec(fullname, path, target) if fullname.startswith(f"{self.name}.") else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path, self.on_import)
        return spec


class _Loader(SourceFileLoader):
    """A loader that always reads the source: a cache may be older than a second save within the same second.

    Where an import in a package's __init__.py fails, the rest of the file still runs, and asking for the name that was to be
    imported raises what it failed with; it is just not there where the file that it should be in does not have it.
    """

    def __init__(self, name: str, path: str, on_import: OnImport):
        super().__init__(name, path)
        self.on_import = on_import

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        source = self.get_data(path)
        try:
            if self.is_package(fullname):
                with suppress(RecursionError, MemoryError):  # a tree takes more of both than Python's own compilation
                    tree = ast.parse(source, path)
                    tree.body = [part for statement in tree.body for part in _guarded(statement, fullname)]
                    return compile(tree, path, "exec", dont_inherit=True)
            return compile(source, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            message = str(error.msg) if isinstance(error, SyntaxError) else str(error)
            line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            raise BrokenImportError(f"{type(error).__name__}: {in_one_line(message)} ({Path(path).name}{line})") from None

    def exec_module(self, module: ModuleType) -> None:
        broken: dict[str, BaseException] = {}

        def note(name: str, source: str, error: BaseException) -> None:
            by_the_import_itself = error.__traceback__ is not None and error.__traceback__.tb_next is None
            if not (isinstance(error, ImportError) and error.name == source and by_the_import_itself):
                broken[name] = error
                if isinstance(module.__dict__.get(name), ModuleType):  # the file itself, which would pass for what is in it
                    del module.__dict__[name]

        def missing(name: str) -> Any:
            if name in broken:
                raise BrokenImportError(_story(broken[name]))
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        if self.is_package(module.__name__):
            module.__dict__.update(__getattr__=missing, _note=note)
        with self.on_import(self.path):
            super().exec_module(module)


def _guarded(statement: ast.stmt, package: str) -> list[ast.stmt]:
    """Split an import of a package's __init__.py into one import for each name, whose failure is noted."""
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
        guard = ast.parse(f"try:\n    pass\nexcept BaseException as _error:\n    _note({name!r}, {source!r}, _error)").body[0]
        assert isinstance(guard, ast.Try)
        guard.body = [ast.fix_missing_locations(ast.copy_location(single, statement))]
        guarded.append(guard)
    return guarded


def _story(error: BaseException) -> str:
    """Return an error in one line, with the place that raised it."""
    if isinstance(error, BrokenImportError):
        return str(error)
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    places = [
        f"{Path(file).name}:{line}" for file, line in frames if not file.startswith("<frozen ") and file not in IMPORT_MACHINERY
    ]
    return f"{type(error).__name__}: {message_of(error)}" + (f" ({places[-1]})" if places else "")
