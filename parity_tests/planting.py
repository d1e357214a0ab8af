"""Plant a fault in a function that is already imported, and remove it again.

The function object stays and gets other code, so everyone who imported it, under any name, runs the fault. Methods can have faults
too. Inner functions, such as an op's backward, are part of the code of the outer function.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType, ModuleType
from typing import Any


def functions_of(module: ModuleType) -> dict[str, FunctionType]:
    """Return the functions and methods that the module's source defines, by qualified name; inner functions are left out."""
    found = {}

    def visit(body: list[ast.stmt], owner: Any, prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef) and node.name in vars(owner):
                found[prefix + node.name] = plain_function(vars(owner)[node.name])
            elif isinstance(node, ast.ClassDef) and node.name in vars(owner):
                visit(node.body, vars(owner)[node.name], f"{prefix}{node.name}.")

    visit(ast.parse(inspect.getsource(module)).body, module, "")
    return found


def plain_function(found: Any) -> FunctionType:
    """Return the function as it was written, without the method, property or decorator around it."""
    if isinstance(found, property):
        found = found.fget
    found = inspect.unwrap(getattr(found, "__func__", found))
    if not isinstance(found, FunctionType):
        raise ValueError(f"expected a function written in Python, got {found!r}")
    return found


def function_tree(function: Any) -> ast.FunctionDef:
    """Return the function's definition as a syntax tree, with the line numbers of its file."""
    function = plain_function(function)
    return _definition(ast.parse(_module_source(function)), function)


@contextmanager
def replaced_code(function: Any, definition: ast.FunctionDef) -> Iterator[None]:
    """Give the function the body and defaults of another definition, inside the block; name and arguments stay."""
    function = plain_function(function)
    tree = ast.parse(_module_source(function))
    old = _definition(tree, function)
    owner = next(node for node in ast.walk(tree) if old in getattr(node, "body", []))
    owner.body[owner.body.index(old)] = definition  # type: ignore[attr-defined]
    with _recompiled(function, ast.fix_missing_locations(tree)):
        yield


@contextmanager
def replaced_source(function: Any, source: str) -> Iterator[None]:
    """Replace the function by the version in another source of its module, at the same line, inside the block."""
    with _recompiled(plain_function(function), ast.parse(source)):
        yield


@contextmanager
def planted(function: Any, old: str, new: str) -> Iterator[None]:
    """Replace `old` by `new` in the function's source, inside the block.

    Raises ValueError unless `old` occurs exactly once in the source of the function.
    """
    function = plain_function(function)
    lines = _module_source(function).splitlines(keepends=True)
    node = _definition(ast.parse("".join(lines)), function)
    first, last = function.__code__.co_firstlineno - 1, node.end_lineno
    source = "".join(lines[first:last])
    count = source.count(old)
    if count != 1:
        raise ValueError(f"{function.__qualname__}: {old!r} occurs {count} times in its source, expected once")
    with replaced_source(function, "".join([*lines[:first], source.replace(old, new), *lines[last:]])):
        yield


@contextmanager
def _recompiled(function: FunctionType, tree: ast.Module) -> Iterator[None]:
    """Replace the function by another version from its module's tree, inside the block; the module does not run again."""
    if _code_of(function, ast.parse(_module_source(function))) != function.__code__:
        raise ValueError(
            f"{function.__qualname__} differs from its source: either a fault is planted in it already, "
            "or its file has changed since it was imported"
        )
    arguments = _definition(tree, function).args
    code = _code_of(function, tree)
    defaults = tuple(_value(node, function) for node in arguments.defaults) or None
    kwdefaults = {
        argument.arg: _value(node, function)
        for argument, node in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if node is not None
    } or None
    before = function.__code__, function.__defaults__, function.__kwdefaults__
    try:
        function.__code__, function.__defaults__, function.__kwdefaults__ = code, defaults, kwdefaults
        yield
    finally:
        function.__code__, function.__defaults__, function.__kwdefaults__ = before


def _module_source(function: FunctionType) -> str:
    return inspect.getsource(inspect.getmodule(function) or function)


def _definition(tree: ast.Module, function: FunctionType) -> ast.FunctionDef:
    """Return the node that defines the function: same name, same first line (which may be a decorator's)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first == function.__code__.co_firstlineno:
                return node
    raise ValueError(f"the source of {function.__qualname__} has no definition at line {function.__code__.co_firstlineno}")


def _code_of(function: FunctionType, tree: ast.Module) -> CodeType:
    """Return the function's code; the whole module is compiled, so that super() and mangled names have the right scope."""
    remaining = [compile(tree, function.__code__.co_filename, "exec", dont_inherit=True)]
    place = function.__code__.co_name, function.__code__.co_firstlineno
    while remaining:
        code = remaining.pop()
        if (code.co_name, code.co_firstlineno) == place:
            return code
        remaining += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    raise ValueError(f"{function.__qualname__} is no longer defined at line {place[1]}")


def _value(node: ast.expr, function: FunctionType) -> Any:
    """Evaluate a default value in the function's module."""
    expression = compile(ast.Expression(node), function.__code__.co_filename, "eval", dont_inherit=True)
    return eval(expression, function.__globals__)
