"""The faults: small edits of source text, found through its syntax tree.

An edit changes as little text as possible, so that a survivor looks like a typing mistake. Code that computes nothing stays
unchanged: strings, annotations, decorators, raised errors and the branches that raise them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

SYMBOLS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.And: "and",
    ast.Or: "or",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
SWAPPED = {"+": "-", "-": "+", "*": "/", "/": "*", "//": "*", "%": "*", "**": "*", "&": "|", "|": "&", "and": "or", "or": "and"}
COMPARED = {
    "<": ("<=", ">"),
    "<=": ("<", ">"),
    ">": (">=", "<"),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
    "is": ("is not",),
    "is not": ("is",),
    "in": ("not in",),
    "not in": ("in",),
}
RENAMED_PAIRS = (
    "sum mean",
    "max min",
    "maximum minimum",
    "argmax argmin",
    "zeros ones",
    "zeros_like ones_like",
    "any all",
    "floor ceil",
)
RENAMED = {a: b for names in RENAMED_PAIRS for pair in [names.split()] for a, b in (pair, pair[::-1])}
REPLACED_BY_ARGUMENT = {"exp", "log", "log1p", "expm1", "sqrt", "abs", "sign", "tanh", "erf", "reversed", "sorted", "sin", "cos"}
REMOVED_METHODS = {"copy", "astype", "transpose", "swapaxes"}  # methods
REMOVED_REORDERINGS = {"transpose", "swapaxes", "moveaxis", "flip", "roll"}  # functions of NumPy
OPTIONS_WITHOUT_EFFECT = {"strict", "out"}  # options that change no value


@dataclass(frozen=True)
class Edit:
    """One fault: `text` replaces the bytes of the source from `start` to `end`."""

    operator: str
    start: int
    end: int
    text: str


class Source:
    """Source text that finds syntax nodes; positions are counted in bytes, as in the syntax tree."""

    def __init__(self, text: str):
        self.bytes = text.encode()
        lengths = [len(line) for line in self.bytes.splitlines(keepends=True)]
        self.line_starts = [sum(lengths[:i]) for i in range(len(lengths) + 1)]

    def start(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        return self.line_starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.line_starts[node.end_lineno - 1] + node.end_col_offset

    def between(self, start: int, end: int) -> str:
        return self.bytes[start:end].decode().strip()

    def symbol(self, symbol: str, left: ast.expr, right: ast.expr) -> tuple[int, int]:
        """Return the position of an operator between its operands."""
        gap = self.bytes[self.end(left) : self.start(right)]
        pattern = r"\s+".join(re.escape(word) for word in symbol.split())
        found = re.search(pattern.encode(), gap)
        assert found is not None
        return self.end(left) + found.start(), self.end(left) + found.end()

    def edited(self, edit: Edit) -> str:
        """Return the whole source after an edit."""
        return (self.bytes[: edit.start] + edit.text.encode() + self.bytes[edit.end :]).decode()

    def lines(self, edit: Edit) -> tuple[int, str, str]:
        """Return the number of the first edited line, and the edited lines before and after, each joined to one line."""
        last = max(edit.start, edit.end - 1)
        first_line = sum(start <= edit.start for start in self.line_starts)
        last_line = sum(start <= last for start in self.line_starts)
        start, end = self.line_starts[first_line - 1], self.line_starts[last_line] if last_line < len(self.line_starts) else None
        whole = self.bytes[start:end]
        changed = whole[: edit.start - start] + edit.text.encode() + whole[edit.end - start :]
        return first_line, " ".join(whole.decode().split()), " ".join(changed.decode().split())


def edits(source: Source, root: ast.AST) -> Iterator[Edit]:
    """Yield every fault in a function or another statement, in the order of the text, each once."""
    found: dict[tuple[int, int, str], Edit] = {}
    for node in mutable_nodes(root):
        for operator in OPERATORS:
            for start, end, text in operator(source, node):
                if text != source.between(start, end):
                    found.setdefault((start, end, text), Edit(operator.__name__, start, end, text))
    yield from sorted(found.values(), key=lambda edit: (edit.start, edit.end))


def mutable_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the node and every node below it that computes something."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        if isinstance(node, ast.If) and name == "body" and isinstance(node.body[-1], ast.Raise):
            continue
        if isinstance(node, ast.Call) and name == "args" and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.keyword) and child.arg in OPTIONS_WITHOUT_EFFECT:
                continue
            if (
                isinstance(child, ast.UnaryOp) and isinstance(node, ast.Call) and _name(node) == "reshape"
            ):  # every negative size in reshape means the remaining size
                continue
            if isinstance(child, ast.AST) and not isinstance(child, ast.Raise | ast.JoinedStr):
                yield from mutable_nodes(child)


Replacements = Iterator[tuple[int, int, str]]


def arithmetic(source: Source, node: ast.AST) -> Replacements:
    """Replace + by -, * by /, and so on; `and` by `or`."""
    if isinstance(node, ast.BinOp) and type(node.op) in SYMBOLS:
        symbol = SYMBOLS[type(node.op)]
        start, end = source.symbol(symbol, node.left, node.right)
        if symbol == "**":  # ** binds more tightly than *, so the product needs brackets
            whole = source.start(node), source.end(node)
            yield *whole, f"({source.between(whole[0], start)} * {source.between(end, whole[1])})"
        else:
            yield start, end, SWAPPED[symbol]
    elif isinstance(node, ast.AugAssign) and type(node.op) in SYMBOLS:
        symbol = SYMBOLS[type(node.op)]
        start, end = source.symbol(symbol + "=", node.target, node.value)
        yield start, end, SWAPPED[symbol] + "="
    elif isinstance(node, ast.BoolOp):
        for left, right in pairwise(node.values):
            start, end = source.symbol(SYMBOLS[type(node.op)], left, right)
            yield start, end, SWAPPED[SYMBOLS[type(node.op)]]


def comparison(source: Source, node: ast.AST) -> Replacements:
    """Replace < by <= and >, == by !=, and so on."""
    if isinstance(node, ast.Compare):
        for (left, right), op in zip(pairwise([node.left, *node.comparators]), node.ops, strict=True):
            symbol = SYMBOLS[type(op)]
            start, end = source.symbol(symbol, left, right)
            for other in COMPARED[symbol]:
                yield start, end, other


def condition(source: Source, node: ast.AST) -> Replacements:
    """Negate a condition that is not a comparison; replace a conditional expression by one branch."""
    tests: list[ast.expr] = []
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        tests = [node.test]
    elif isinstance(node, ast.comprehension):
        tests = node.ifs
    for test in tests:
        if isinstance(test, ast.Name | ast.Attribute | ast.Call | ast.Subscript):
            start, end = source.start(test), source.end(test)
            yield start, end, f"not {source.between(start, end)}"
    if isinstance(node, ast.IfExp):
        start, end = source.start(node), source.end(node)
        yield start, end, source.between(start, source.symbol("if", node.body, node.test)[0])
        yield start, end, source.between(source.symbol("else", node.test, node.orelse)[1], end)


def constant(source: Source, node: ast.AST) -> Replacements:
    """Add 1 to a whole number or subtract 1, make another number 1% larger, replace True by False."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        start, end = source.start(node), source.end(node)
        if isinstance(node.value, bool):
            yield start, end, str(not node.value)
        elif isinstance(node.value, int):
            yield start, end, str(node.value + 1)
            yield start, end, str(node.value - 1)
        else:
            yield start, end, repr(float(f"{node.value * 1.01 or 0.01:.6g}"))


def axis(source: Source, node: ast.AST) -> Replacements:
    """Subtract 1 from an axis that is held by a variable."""
    if isinstance(node, ast.keyword) and node.arg in ("axis", "dim") and isinstance(node.value, ast.Name | ast.Attribute):
        end = source.end(node)
        yield end, end, " - 1"


def transposition(source: Source, node: ast.AST) -> Replacements:
    """Remove a transpose, or exchange two other axes."""
    end = source.end(node) if isinstance(node, ast.expr) else 0
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield end - len(node.attr) - 1, end, ""
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in REMOVED_REORDERINGS:
        on_numpy = isinstance(node.func.value, ast.Name) and node.func.value.id == "np"
        if on_numpy:
            yield source.start(node), end, f"({source.between(source.start(node.args[0]), source.end(node.args[0]))})"
        if node.func.attr == "transpose" and not on_numpy:
            for left, right in {0: node.args[:2], 1: node.args[-2:]}.values() if len(node.args) > 1 else ():
                between = source.between(source.end(left), source.start(right))
                first, second = (source.between(source.start(a), source.end(a)) for a in (left, right))
                yield source.start(left), source.end(right), f"{second}{between} {first}"


def reduction(source: Source, node: ast.AST) -> Replacements:
    """Replace sum by mean, max by min, zeros by ones."""
    if isinstance(node, ast.Call):
        name = _name(node)
        if name in RENAMED and not (name == "sum" and isinstance(node.func, ast.Name)):  # no builtin is named mean
            end = source.end(node.func)
            yield end - len(name), end, RENAMED[name]


def dropped(source: Source, node: ast.AST) -> Replacements:
    """Leave out a term, a factor, a sign, a call, an option or a statement."""
    if isinstance(node, ast.BinOp) and SYMBOLS.get(type(node.op)) in ("+", "-", "*", "/", "//", "%", "**", "&", "|"):
        start, end = source.start(node), source.end(node)
        left_end, right_start = source.symbol(SYMBOLS[type(node.op)], node.left, node.right)
        yield start, end, source.between(start, left_end)
        if isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.BitAnd | ast.BitOr):
            yield start, end, source.between(right_start, end)
    elif isinstance(node, ast.BoolOp):
        symbol = SYMBOLS[type(node.op)]
        places = [source.symbol(symbol, left, right) for left, right in pairwise(node.values)]
        starts = [source.start(node), *(end for _, end in places)]
        ends = [*(start for start, _ in places), source.end(node)]
        operands = [source.between(start, end) for start, end in zip(starts, ends, strict=True)]
        for i in range(len(operands)):
            yield starts[0], ends[-1], f" {symbol} ".join(operands[:i] + operands[i + 1 :])
    elif isinstance(node, ast.UnaryOp):
        start, end = source.start(node), source.end(node)
        length = {ast.Not: 3, ast.USub: 1, ast.Invert: 1, ast.UAdd: 1}[type(node.op)]
        yield start, end, source.between(start + length, end)
    elif isinstance(node, ast.Call):
        yield from _dropped_call(source, node)
        yield from _dropped_options(source, node)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        if "super()" not in source.between(source.start(node), source.end(node)):
            yield source.start(node), source.end(node), "pass"
    elif isinstance(node, ast.AugAssign) or (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript)):
        yield source.start(node), source.end(node), "pass"


def _dropped_call(source: Source, node: ast.Call) -> Replacements:
    start, end = source.start(node), source.end(node)
    name = _name(node)
    if name in REPLACED_BY_ARGUMENT and len(node.args) == 1 and not node.keywords:
        yield start, end, f"({source.between(source.start(node.args[0]), source.end(node.args[0]))})"
    elif (
        name in REMOVED_METHODS
        and isinstance(node.func, ast.Attribute)
        and not (isinstance(node.func.value, ast.Name) and node.func.value.id == "np")
    ):
        dot = source.bytes.index(b".", source.end(node.func.value))
        yield dot, end, ""


def _dropped_options(source: Source, node: ast.Call) -> Replacements:
    for option in node.keywords:
        if option.arg and option.arg not in OPTIONS_WITHOUT_EFFECT and not isinstance(option.value, ast.Constant):
            start, end = source.start(option), source.end(option)
            if len(node.args) + len(node.keywords) > 1:
                comma = source.bytes.rfind(b",", source.end(node.func), start)
                if comma >= 0:
                    start = comma
                else:
                    end = source.bytes.index(b",", end) + 1
            yield start, end, ""


def slice_bound(source: Source, node: ast.AST) -> Replacements:
    """Leave out a bound of a slice, or add 1 to it if it is not a constant."""
    if isinstance(node, ast.Slice):
        for bound in (node.lower, node.upper, node.step):
            if bound is not None:
                start, end = source.start(bound), source.end(bound)
                yield start, end, ""
                if not isinstance(bound, ast.Constant):
                    yield end, end, " + 1"


def _name(call: ast.Call) -> str:
    """Return the last part of the called function's name."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


OPERATORS: tuple[Callable[[Source, ast.AST], Replacements], ...] = (
    arithmetic,
    comparison,
    condition,
    constant,
    axis,
    transposition,
    reduction,
    dropped,
    slice_bound,
)
