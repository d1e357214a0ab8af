"""The places in a function's source where a generated fault can be: the expressions that compute arrays.

The types are inferred from annotations and from the functions of NumPy. Code that checks arguments is left out.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from parity_tests.mutation.mutator import Source
from parity_tests.mutation.subject import Subject

ARRAY_METHODS = set(
    "sum mean max min reshape transpose swapaxes astype copy ravel cumsum take clip repeat squeeze dot argsort view".split()
)
ARRAY_VIEWS = {"T", "mT", "data", "grad"}
NOT_ARRAYS = set(
    "shape ndim size prod dtype result_type finfo iinfo may_share_memory shares_memory array_equal isscalar errstate "
    "issubdtype can_cast broadcast_shapes ix_ ndindex random isclose allclose lexsort nonzero ndarray promote_types".split()
)
UNFILLED = {"empty", "empty_like"}
OF_SIZES = set(
    "empty zeros ones full empty_like zeros_like ones_like full_like arange range len shape ndim isinstance is_constant".split()
)
FACTS = {"shape", "ndim", "size", "dtype", "nbytes", "flags", "itemsize", "strides"}  # what the numbers of an array do not change


@dataclass(frozen=True)
class Site:
    """One expression of an array, with its text and an array's name inside it ("" where it has none)."""

    node: ast.expr
    start: int
    end: int
    text: str
    name: str


class Function:
    """A function of scratch with the sites in it; `floats` are its arguments that some case gives as floating-point arrays."""

    def __init__(self, subject: Subject, source: Source, floats: Collection[str]):
        assert isinstance(subject.node, ast.FunctionDef)
        self.subject, self.node, self.source, self.floats = subject, subject.node, source, floats
        self.module_names = vars(subject.module)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Return the nodes of all code that computes something."""
        return list(self._computing(self.node))

    @cached_property
    def sites(self) -> list[Site]:
        """Return the expressions of arrays, in the order of the text."""
        found = []
        for node in self.nodes:
            if isinstance(node, ast.BinOp | ast.Call | ast.UnaryOp | ast.Name | ast.Subscript) and self.is_array(node):
                if isinstance(node, ast.Call) and (called(node) in UNFILLED or any(k.arg == "out" for k in node.keywords)):
                    continue
                start, end = self.source.start(node), self.source.end(node)
                found.append(Site(node, start, end, self.source.between(start, end), self._name_in(node)))
        return found

    def text(self, node: ast.expr) -> str:
        return self.source.between(self.source.start(node), self.source.end(node))

    def is_array(self, node: ast.AST) -> bool:
        """Return whether an expression is an array, as far as its text tells."""
        return _is_array(node, self.arrays)

    @cached_property
    def arrays(self) -> set[str]:
        """Return the names of arrays: arguments with that annotation, and what is computed from arrays."""
        found: set[str] = set()
        for node in ast.walk(self.node):
            if isinstance(node, ast.arg) and node.annotation is not None and "Array" in ast.unparse(node.annotation).split():
                found.add(node.arg)
        for _ in range(5):  # names of names
            for node in ast.walk(self.node):
                if isinstance(node, ast.Assign) and _is_array(node.value, found):
                    for target in node.targets:
                        found |= {target.id} if isinstance(target, ast.Name) else set()
        return found

    def is_float(self, name: str) -> bool:
        """Return whether a name may be that of a floating-point array."""
        return name in self.floats or name not in {argument.arg for argument in self._arguments}

    def is_read_after(self, name: str, position: int) -> bool:
        """Return whether code after a position reads a name."""
        reads = (node for node in ast.walk(self.node) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
        return any(node.id == name and self.source.start(node) > position for node in reads)

    @cached_property
    def _arguments(self) -> list[ast.arg]:
        arguments = self.node.args
        return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]

    def _name_in(self, node: ast.AST) -> str:
        return next((n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in self.arrays), "")

    def _computing(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield a node and those below it, but no annotation, no check of an argument, no size, and no target."""
        yield node
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "slice", "func", "targets", "target"):
                if name == "func" and isinstance(value, ast.Attribute):
                    yield from self._computing(value.value)
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not self._computes_nothing(child):
                    yield from self._computing(child)

    def _computes_nothing(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert) or (isinstance(node, ast.Attribute) and node.attr in FACTS):
            return True
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Is | ast.IsNot):
            return True
        if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise):
            return True
        if isinstance(node, ast.Call):
            name = called(node)
            made_by = getattr(self.module_names.get(name), "__module__", "")
            return made_by.endswith("checks") or name in OF_SIZES or name.startswith(("check", "_check"))
        return False


def _is_array(node: ast.AST, names: set[str]) -> bool:
    match node:
        case ast.Name(id=name):
            return name in names
        case ast.Attribute(value=value, attr=attr):
            return attr in ARRAY_VIEWS and (_is_array(value, names) or attr in ("data", "grad"))
        case ast.Subscript(value=value):
            return _is_array(value, names)
        case ast.UnaryOp(op=ast.USub() | ast.Invert(), operand=operand):
            return _is_array(operand, names)
        case ast.BinOp(left=left, right=right):
            return _is_array(left, names) or _is_array(right, names)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_array(body, names) or _is_array(orelse, names)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr=attr), args=arguments):
            return attr not in NOT_ARRAYS and any(_is_array(argument, names) for argument in arguments)
        case ast.Call(func=ast.Attribute(value=value, attr=attr)):
            return attr in ARRAY_METHODS and _is_array(value, names)
    return False


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
