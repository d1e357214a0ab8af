"""Subjects of mutation: every function of a package, and the constants of its modules and classes."""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import pkgutil
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from types import CodeType, FunctionType, ModuleType
from typing import Any
from unittest.mock import patch

from parity_tests.mutation.mutator import Edit, Source, edits
from parity_tests.planting import function_tree, functions_of, replaced_source

Place = tuple[str, str]  # a module's name and a function's qualified name


@dataclass(frozen=True, eq=False)
class Subject:
    """A function, or a constant of a module or class, to be mutated."""

    module: ModuleType
    name: str
    node: ast.stmt
    owner: Any = None  # the module or class that holds a constant

    @property
    def place(self) -> Place:
        return self.module.__name__, self.name

    @property
    def file(self) -> str:
        return self.module.__name__.replace(".", "/") + ".py"


@dataclass(frozen=True, eq=False)
class Mutant:
    """One fault in one subject; `occurrence` numbers the mutants whose lines read the same."""

    subject: Subject
    source: Source
    edit: Edit
    occurrence: int

    @cached_property
    def lines(self) -> tuple[int, str, str]:
        """Return the line's number, the line, and the changed line."""
        return self.source.lines(self.edit)

    @cached_property
    def key(self) -> tuple[str, str, str, str, int]:
        """Return a name that stays when the function moves: file, function, line, changed line, occurrence."""
        _, before, after = self.lines
        return self.subject.file, self.subject.name, before, after, self.occurrence

    @cached_property
    def digest(self) -> str:
        """Return a digest of the mutated file."""
        return hashlib.sha256(self.source.bytes).hexdigest()[:12]

    def planted(self) -> AbstractContextManager[None]:
        """Plant the fault inside the block."""
        changed = self.source.edited(self.edit)
        if isinstance(self.subject.node, ast.FunctionDef):
            return replaced_source(_functions(self.subject.module)[self.subject.name], changed)
        owner = self.subject.owner
        node = next(n for n in ast.walk(ast.parse(changed)) if isinstance(n, ast.Assign) and n.lineno == self.subject.node.lineno)
        value = eval(compile(ast.Expression(node.value), self.subject.file, "eval"), vars(self.subject.module), dict(vars(owner)))
        return patch.object(owner, self.subject.name.split(".")[-1], value)


def modules_of(package: ModuleType) -> list[ModuleType]:
    """Return the package and every module below it."""
    below = pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    return [package, *(importlib.import_module(info.name) for info in below)]


def subjects_of(module: ModuleType) -> Iterator[Subject]:
    """Yield the functions and constants of a module."""
    for name, function in _functions(module).items():
        yield Subject(module, name, function_tree(function))

    def constants(body: list[ast.stmt], owner: Any, prefix: str) -> Iterator[Subject]:
        for node in body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and not _is_type(node.targets[0].id, owner):
                yield Subject(module, prefix + node.targets[0].id, node, owner)
            elif isinstance(node, ast.ClassDef):
                yield from constants(node.body, vars(owner)[node.name], f"{prefix}{node.name}.")

    yield from constants(ast.parse(inspect.getsource(module)).body, module, "")


def _is_type(name: str, owner: Any) -> bool:
    """Return whether a name is a type alias: a constant of a module that is not all capitals."""
    return isinstance(owner, ModuleType) and not name.isupper()


def mutants_of(subject: Subject) -> Iterator[Mutant]:
    """Yield every mutant of a subject, in the order of its text."""
    source = Source(inspect.getsource(subject.module))
    seen: dict[tuple[str, str], int] = {}
    for edit in edits(source, subject.node):
        _, before, after = source.lines(edit)
        seen[before, after] = seen.get((before, after), 0) + 1
        yield Mutant(subject, source, edit, seen[before, after])


def sample(mutants: list[Mutant], count: int) -> list[Mutant]:
    """Choose `count` mutants: always the same ones, and mostly the same after mutants were added or removed."""
    chosen = set(sorted(range(len(mutants)), key=lambda i: (zlib.crc32(repr(mutants[i].key).encode()), i))[:count])
    return [mutant for i, mutant in enumerate(mutants) if i in chosen]


def users_of(constant: Subject, modules: list[ModuleType]) -> set[Place]:
    """Return the functions whose code uses a constant by its name."""
    name = constant.name.split(".")[-1]
    return {
        (module.__name__, function_name)
        for module in modules
        for function_name, function in _functions(module).items()
        if name in _names(function.__code__)
    }


def _names(code: CodeType) -> set[str]:
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


_by_module: dict[str, dict[str, FunctionType]] = {}


def _functions(module: ModuleType) -> dict[str, FunctionType]:
    if module.__name__ not in _by_module:
        _by_module[module.__name__] = functions_of(module)
    return _by_module[module.__name__]
