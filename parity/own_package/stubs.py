"""The command `parity new DIR`: write a package with the API of `scratch`, whose bodies are not implemented yet.

The package is made from the files of `scratch`. It keeps the signatures, docstrings, constructors and exports, which tell what to
write, with everything that these need. It drops every body that computes something.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from copy import copy
from functools import cache
from pathlib import Path

import scratch
from parity.cases import tables
from parity.running.definitions import Definitions, bound_names
from parity.running.safe_text import printable

WELCOME = '''"""Your own implementation, judged against PyTorch by `parity check --scratch {directory}`.

Write the functions of ops/ one after the other, in the order that the check suggests. Each returns its value and its backward;
`return y, None` will do until the backward is written:

    y, backward = linear(x, weight, bias)
    dx, dweight, dbias = backward(dy)  # a gradient for each array input, None for integers

Then write the layers, which call ops on Parameters, and the models, which call layers. Anything may be missing. You may write
everything in your own way; only the names, the arguments and the results must stay.
"""
'''

MODULE = '''"""Parameters and modules: those of the project itself, so that the harness can observe every layer."""

import inspect
from typing import Any

import scratch.module
from scratch.module import Array, Backward, Buffer, Module, Parameter, constant

__all__ = ["Array", "Backward", "Buffer", "Module", "Parameter", "apply", "constant"]


def apply(op: Any, *operands: Any, **options: Any) -> tuple[Any, Backward]:
    """Call an op on arrays, Parameters and None; the backward adds the Parameters' gradients and returns those of the arrays.

    The op's own backward takes the upstream gradients. It may also take `needs`, a bool for each operand.
    """

    def call(*arrays: Any, **options: Any) -> tuple[Any, Backward]:
        y, backward = op(*arrays, **options)
        return y, backward if "needs" in inspect.signature(backward).parameters else lambda *dys: backward(*dys[:-1])

    return scratch.module.apply(call, *operands, **options)
'''

RANDOM = '''"""The random generator for initial weights and dropout masks: the project's own, so that both twins draw alike."""

from scratch.random import generator, manual_seed, use_generator

__all__ = ["generator", "manual_seed", "use_generator"]
'''

ROOT = Path(scratch.__file__).parent
GIVEN = ("check", "state_names")  # methods of optimisers that their stubs keep: the range of each option, the names of the state
NOT_COPIED = {ROOT / name for name in ("module.py", "random.py", "contract.py")}  # these are the project's own for every package


def write_package(directory: Path) -> int:
    """Write the package and return the number of its files; ValueError where the directory is not empty."""
    shown = printable(str(directory))
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise ValueError(f"{shown} exists and is not an empty directory; name one that does not exist")
        files = {
            Path("__init__.py"): WELCOME.format(directory=shown.replace("\\", "\\\\").replace('"', '\\"')),
            Path("module.py"): MODULE,
            Path("random.py"): RANDOM,
        } | stubs()
        for path, text in files.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{shown} cannot be written: {error.strerror}") from None
    return len(files)


def stubs() -> dict[Path, str]:
    """Return the text of the stub files, by their paths inside the package."""
    definitions = Definitions(ROOT)
    judged = {definitions.place_of(case.scratch) for case in tables().cases}
    folders = dict.fromkeys(ROOT.joinpath(*case.scratch.split(".")[:-1]) for case in tables().cases)
    exports = [folder / "__init__.py" for folder in folders if folder.is_dir()]
    kept: dict[tuple[Path, str], str] = {}
    pending = [place for file in exports for place in _needs(file, _names(_tree(file)))]
    pending += [(file, name) for file, name in filter(None, judged) if file.parent == ROOT]  # a file that no folder exports
    while pending:
        file, name = place = pending.pop()
        if place not in kept and file not in NOT_COPIED:
            kept[place] = "\n".join(_kept(file, s, place in judged) for s in _tree(file).body if name in bound_names(s))
            pending += _needs(file, _names(ast.parse(kept[place])))
    texts = {file: _assembled(file, kept) for file, _ in kept}
    texts |= {file: _relative(file, file.read_text(encoding="utf-8")) for file in exports}
    return {file.relative_to(ROOT): text for file, text in texts.items()}


def _kept(file: Path, statement: ast.stmt, judged: bool) -> str:
    """Return a definition as a stub: a judged function without its body, a layer or model without those of its methods."""
    if isinstance(statement, ast.FunctionDef) and judged:
        statement = copy(statement)
        statement.decorator_list = []  # the harness judges whether the op keeps its contract
        return _without_body(file, statement, f'"{statement.name} is not implemented yet"')
    methods = {member.name: member for member in getattr(statement, "body", []) if isinstance(member, ast.FunctionDef)}
    if not isinstance(statement, ast.ClassDef) or not (judged or "forward" in methods):
        return _lines(file, statement)
    built_with = {name for name in methods if name.startswith("__") or name in GIVEN}  # constructors, and what they call
    for name in sorted(built_with):
        built_with |= {node.attr for node in ast.walk(methods[name]) if isinstance(node, ast.Attribute)} & methods.keys()
    texts = [_lines(file, statement, end=statement.body[0].lineno - 1)]
    for member in statement.body:
        if not isinstance(member, ast.FunctionDef) or (member.name in built_with and member.name != "forward"):
            texts.append(_lines(file, member))
        elif not member.name.startswith("_"):
            what = statement.name + ("" if member.name == "forward" else f".{member.name}")
            texts.append(_without_body(file, member, f'"{what} is not implemented yet"'))
    return "\n".join(texts[:2]) + "".join(f"\n\n{text}" for text in texts[2:])


def _without_body(file: Path, function: ast.FunctionDef, message: str) -> str:
    """Return a function whose body is only its docstring and a NotImplementedError."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    header = _lines(file, function, end=first.end_lineno if documented else first.lineno - 1)
    return f"{header}\n{' ' * first.col_offset}raise NotImplementedError({message})"


def _needs(file: Path, names: set[str]) -> Iterator[tuple[Path, str]]:
    """Yield the places in `scratch` that define the names in a file."""
    for statement in _tree(file).body:
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith("scratch."):
            source = ROOT.joinpath(*str(statement.module).split(".")[1:])
            source = source / "__init__.py" if source.is_dir() else source.with_suffix(".py")
            yield from ((source, alias.name) for alias in statement.names if (alias.asname or alias.name) in names)
        elif not isinstance(statement, ast.Import | ast.ImportFrom):
            yield from ((file, name) for name in bound_names(statement) if name in names)


def _assembled(file: Path, kept: dict[tuple[Path, str], str]) -> str:
    """Return the text of a file of stubs: its docstring, the imports of its definitions, and the definitions in their order."""
    body, after_plain = "", False
    for statement in _tree(file).body:
        text = next((kept[file, name] for name in bound_names(statement) if (file, name) in kept), "")
        if text:
            plain = not isinstance(statement, ast.FunctionDef | ast.ClassDef)
            body += f"{text}\n" if plain and after_plain else f"\n{text}\n" if plain and not body else f"\n\n{text}\n"
            after_plain = plain
    names = _names(ast.parse(body))
    imports, end, gap = "", 0, False
    for statement in _tree(file).body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
            used = [a for a in statement.names if future or (a.asname or a.name.split(".")[0]) in names]
            gap = gap or statement.lineno > end + 1
            end = statement.end_lineno or 0
            if used:
                imports += "\n" if gap else ""
                imports += ast.unparse(_with_names(statement, used)) + "\n"
                gap = False
    return _relative(file, f"{_lines(file, _tree(file).body[0])}\n{imports}") + body


def _with_names(statement: ast.Import | ast.ImportFrom, names: list[ast.alias]) -> ast.stmt:
    if isinstance(statement, ast.Import):
        return ast.Import(names)
    return ast.ImportFrom(statement.module, names, statement.level)


def _relative(file: Path, text: str) -> str:
    """Return the text with imports from `scratch` made relative to the file; those from higher folders come first."""
    package = file.relative_to(ROOT).parts[:-1]

    def relative(match: re.Match[str]) -> str:
        module = tuple(match[1].split("."))
        inside = module[: len(package)] == package
        return f"from {'.' * (1 if inside else len(package) + 1)}{'.'.join(module[len(package) :] if inside else module)} import"

    lines = [re.sub(r"^from scratch\.(\S+) import", relative, line) for line in text.split("\n")]
    ours = [i for i, line in enumerate(lines) if line.startswith("from .")]
    for i, line in zip(ours, sorted((lines[i] for i in ours), key=lambda line: not line.startswith("from ..")), strict=True):
        lines[i] = line
    return "\n".join(lines)


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _names(tree: ast.AST) -> set[str]:
    """Return all names in a tree, also those that it only imports."""
    nodes = list(ast.walk(tree))
    return {n.id for n in nodes if isinstance(n, ast.Name)} | {n.asname or n.name for n in nodes if isinstance(n, ast.alias)}


def _lines(file: Path, node: ast.stmt, end: int | None = None) -> str:
    """Return the source lines of a definition, with its decorators."""
    start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    return "\n".join(file.read_text(encoding="utf-8").split("\n")[start - 1 : end or node.end_lineno])
