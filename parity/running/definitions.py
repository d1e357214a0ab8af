"""Which definitions of a package use which, read from its files without running them."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

Place = tuple[Path, str]  # a file and a name in it; "" is all of the file
LARGEST_FILE = 2**20  # bytes; a file of Python that is larger is data, and a tree of it takes seconds and gigabytes
Source = tuple[tuple[str, ...], str]  # a module of the package, such as ("ops", "conv"), and a name in it; "" is all of it


@dataclass
class _File:
    """The names of one file: the statements that bind them, or where they are imported from."""

    bound: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imported: dict[str, Source] = field(default_factory=dict)
    loose: list[ast.stmt] = field(default_factory=list)  # they bind no name: whoever uses the file depends on them
    stars: list[Source] = field(default_factory=list)
    foreign: dict[str, str] = field(default_factory=dict)  # what comes from another package: its module, by name

    def all_names(self) -> set[str]:
        """Return every name that the file has."""
        return self.bound.keys() | self.imported.keys() | self.foreign.keys()


class Definitions:
    """The definitions in a package's directory; a file that cannot be parsed has none."""

    def __init__(self, root: Path):
        self.root = root
        self._files: dict[Path, _File] = {}

    def place_of(self, path: str) -> Place | None:
        """Return the place that defines the object of a dotted path, such as "ops.conv2d"; None where the package has none."""
        for file, name, names in self._trail(path):
            if not name or name in names.bound or not (names.bound or names.imported):
                return file, name  # of a file that cannot be parsed, its importer's word has to do
        return None

    def borrows(self, path: str, package: str) -> Path | None:
        """Return the file that imports the object of a dotted path from another package; None where that cannot be told."""
        for file, name, names in self._trail(path):
            if any(names.foreign.get(each, "").split(".")[0] == package for each in (name, "*")):
                return file
        return None

    def enclosing(self, file: Path, line: int) -> str:
        """Return the name of the definition at the top of a file that a line is part of; "" where there is none."""
        for name, statements in self._parsed(file).bound.items():
            if any(statement.lineno <= line <= (statement.end_lineno or 0) for statement in statements):
                return name
        return ""

    def used_by(self, path: str) -> set[Place]:
        """The object of a dotted path and everything that its definition leads to, step by step."""
        entry = self._entry(path)
        pending = [] if entry is None else [entry]
        reached: set[Place] = set()
        while pending:
            place = pending.pop()
            if place not in reached:
                reached.add(place)
                pending += self._uses(place)
        return reached

    def imports(self, file: Path) -> set[Path]:
        """The files of the package that a file imports from, whether it uses what it imports or not."""
        names = self._parsed(file)
        places = (self._place(source) for source in (*names.imported.values(), *names.stars))
        return {place[0] for place in places if place}

    def _trail(self, path: str) -> Iterator[tuple[Path, str, _File]]:
        """Yield each file that an import of the object of a dotted path leads through, its name there, and the file's names."""
        place = self._entry(path)
        seen: set[Place] = set()
        while place is not None and place not in seen:
            seen.add(place)
            file, name = place
            names = self._parsed(file)
            yield file, name, names
            place = self._place(names.imported[name]) if name in names.imported else self._starred(names, name)

    def _entry(self, path: str) -> Place | None:
        *module, name = path.split(".")
        return self._place((tuple(module), name))

    def _place(self, source: Source) -> Place | None:
        file = self._file_of(source[0])
        return None if file is None else (file, source[1])

    def _starred(self, names: _File, name: str) -> Place | None:
        places = (self._place((module, name)) for module, _ in names.stars)
        return next((place for place in places if place and name in self._parsed(place[0]).all_names()), None)

    def _uses(self, place: Place) -> Iterator[Place]:
        file, name = place
        names = self._parsed(file)
        if not name:
            yield from ((file, each) for each in (*names.bound, *names.imported))
        sources = [names.imported[name]] if name in names.imported else []
        mentioned = {name}
        for statement in names.bound.get(name, []) + names.loose:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name):
                    mentioned.add(node.id)
                elif isinstance(node, ast.Import | ast.ImportFrom):
                    sources += self._sources(file, node).values()
        for other in mentioned:
            if other in names.bound or other in names.imported:
                yield file, other
            elif starred := self._starred(names, other):
                yield starred
        yield from (found for source in sources if (found := self._place(source)))

    def _parsed(self, file: Path) -> _File:
        if file not in self._files:
            names = self._files[file] = _File()
            for statement in _statements(file):
                if isinstance(statement, ast.Import | ast.ImportFrom):
                    names.imported |= (ours := self._sources(file, statement))
                    module = getattr(statement, "module", None)
                    names.foreign |= {a.asname or a.name: module or a.name for a in statement.names if not ours}
                    if "*" in names.imported:
                        names.stars.append(names.imported.pop("*"))
                    continue
                bound = list(bound_names(statement))
                for name in bound:
                    names.bound.setdefault(name, []).append(statement)
                if not bound:
                    names.loose.append(statement)
        return self._files[file]

    def _sources(self, file: Path, statement: ast.Import | ast.ImportFrom) -> dict[str, Source]:
        """Where each name that an import binds comes from; names from other packages are left out."""
        if isinstance(statement, ast.Import):
            paths = {alias.asname or alias.name.split(".")[0]: alias.name.split(".") for alias in statement.names}
            return {name: (tuple(path[1:]), "") for name, path in paths.items() if path[0] == self.root.name}
        module = tuple(statement.module.split(".")) if statement.module else ()
        if statement.level:
            package = file.relative_to(self.root).parts[:-1]
            module = (*package[: len(package) - statement.level + 1], *module)
        elif module[:1] == (self.root.name,):
            module = module[1:]
        else:
            return {}
        sources: dict[str, Source] = {}
        for alias in statement.names:
            inner = (*module, alias.name)
            source = (module, "") if alias.name == "*" else (inner, "") if self._file_of(inner) else (module, alias.name)
            sources[alias.asname or alias.name] = source
        return sources

    def _file_of(self, module: tuple[str, ...]) -> Path | None:
        plain = self.root.joinpath(*module)
        candidates = (plain / "__init__.py", *((plain.with_suffix(".py"),) if module else ()))
        return next((file for file in candidates if os.path.isfile(file)), None)


def _statements(file: Path) -> list[ast.stmt]:
    """Return the statements of a file; none where it cannot be parsed."""
    try:
        if not file.is_file() or file.stat().st_size > LARGEST_FILE:  # to read from a pipe or a device has no end
            return []
        with warnings.catch_warnings(action="ignore"):
            return ast.parse(file.read_bytes()).body
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):
        return []


def bound_names(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a file binds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    else:
        yield from (node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))


def learning_order(definitions: Definitions, targets: Iterable[str]) -> list[str]:
    """Return targets in the order given, but each after those that its definition uses; it may have none yet."""
    targets = list(targets)
    places = {definitions.place_of(target): target for target in targets}
    used = {target: {places[place] for place in definitions.used_by(target) if place in places} for target in targets}
    order: dict[str, None] = {}

    def add(target: str) -> None:
        for other in used:
            if other in used[target] - order.keys() and target not in used[other]:
                add(other)
        order.setdefault(target)

    for target in used:
        add(target)
    return list(order)
