"""Transformations of an expression into a subtly wrong one, each of one kind. None depends on what an op computes.

A transformation takes a function and yields replacements of its source. A replacement may come with a blunt one at the same place,
which computes something grossly wrong: where no case notices even that, the number has no effect, and the fault is none.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from parity_tests.generated.sites import Function, Site, called

SHIFTS = ("+ 1e-3", "- 1e-3", "* 1.01 + 1e-6")  # of a threshold
NUMBERS = {"eps", "momentum", "slope", "scale", "p"}  # options that are numbers near 0 or 1


@dataclass(frozen=True)
class Replacement:
    """`text` in place of the source from `start` to `end`; `blunt` is the grossly wrong text, "" where there is none."""

    start: int
    end: int
    text: str
    blunt: str = ""


Replacements = Iterator[Replacement]
Transformation = Callable[[Function], Replacements]


def this_size_only(function: Function) -> Replacements:
    """Make an expression wrong for arrays of some sizes."""
    for site in function.sites:
        if site.name:
            x = site.name
            conditions = (
                f"np.shape({x})[:1] == (1,)",
                f"np.size({x}) % 2",
                f"np.size({x}) > 256",
                f"np.size({x}) > 4096",
                f"np.ndim({x}) == 3",
                f"np.shape({x})[-1:] > (16,)",
                f"np.shape({x})[-1:] == np.shape({x})[:1]",
            )
            yield from _wrong_where(conditions, function, site)


def this_dtype_only(function: Function) -> Replacements:
    """Make an expression wrong in one dtype."""
    for site in function.sites:
        if site.name and function.is_float(site.name):
            yield from _wrong_where([f"np.asarray({site.name}).dtype == np.{d}" for d in ("float32", "float64")], function, site)


def this_mode_only(function: Function) -> Replacements:
    """Make an expression wrong in training mode or in eval mode."""
    arguments = {argument.arg for argument in ast.walk(function.node) if isinstance(argument, ast.arg)}
    training = "training" if "training" in arguments else "self.training" if _is_method_of_module(function) else ""
    if training:
        for site in function.sites:
            yield from _wrong_where([training, f"not {training}"], function, site)


def second_call_only(function: Function) -> Replacements:
    """Make an expression wrong from its second evaluation on, or keep its first value."""
    state = "vars(self)" if _is_method_of_module(function) else "globals()"
    for site in function.sites:
        called = f"{state}.setdefault('_called', []).append(0) or len({state}['_called']) > 1"
        yield from _wrong_where([called], function, site)
        yield at(site, f"{state}.setdefault(f'_kept{{np.shape({site.text})}}', {site.text})")


def in_place(function: Function) -> Replacements:
    """Compute in the memory of an operand; leave out a copy."""
    names = {ast.Mult: "multiply", ast.Add: "add", ast.Sub: "subtract", ast.Div: "divide"}
    for site in function.sites:
        match site.node:
            case ast.BinOp(left=left, op=op, right=right) if type(op) in names:
                call = f"np.{names[type(op)]}({function.text(left)}, {function.text(right)}, out="
                for operand in (left, right):
                    name = operand.id if isinstance(operand, ast.Name) and function.is_array(operand) else ""
                    if name and (name in function.floats or function.is_read_after(name, site.end)):
                        yield Replacement(site.start, site.end, f"{call}{name})", f"({site.text}, {name}.fill(3))[0]")
            case ast.Call(func=ast.Attribute(value=value, attr="copy")):
                yield Replacement(site.start, site.end, function.text(value))
            case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="array"), args=[ast.expr() as value]):
                yield Replacement(site.start, site.end, function.text(value))


def cast(function: Function) -> Replacements:
    """Let numbers go through a dtype of fewer digits."""
    for site in function.sites:
        for dtype in ("float32", "float16"):
            yield at(site, f"(({site.text}) + (np.{dtype}({site.text}) - ({site.text})))")


def nearly_right_constant(function: Function) -> Replacements:
    """Replace a constant by one that is nearly right."""
    for node in function.nodes:
        if isinstance(node, ast.Constant) and type(node.value) is float:
            start, end, value = function.source.start(node), function.source.end(node), node.value
            near = f"{value:.2g}", f"{value:.4g}", *(repr(value * factor) for factor in (1.001, 1.00001, 2))
            for text in dict.fromkeys(near):
                if float(text) != value:
                    yield Replacement(start, end, text)
        elif isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant) and type(node.right.value) is int:
            if function.is_array(node.left) and isinstance(node.op, ast.Mult | ast.Div | ast.Pow | ast.Add | ast.Sub):
                start, end = function.source.start(node.right), function.source.end(node.right)
                yield Replacement(start, end, repr(node.right.value * 1.001))
        elif isinstance(node, ast.Attribute) and node.attr in ("pi", "inf"):
            start, end = function.source.start(node), function.source.end(node)
            yield Replacement(start, end, {"pi": "3.1416", "inf": "1e4"}[node.attr])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in NUMBERS:
            start, end = function.source.start(node), function.source.end(node)
            yield Replacement(start, end, f"({node.id} * 1.01)")


def shifted_threshold(function: Function) -> Replacements:
    """Shift the number with which an array is compared or at which it is clipped."""
    for node in function.nodes:
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            right = node.comparators[0]
            if function.is_array(node.left) or function.is_array(right):
                start, end, text = function.source.start(right), function.source.end(right), function.text(right)
                yield from (Replacement(start, end, f"({text} {change})") for change in SHIFTS)
        elif isinstance(node, ast.Call) and called(node) in ("maximum", "minimum", "clip") and len(node.args) > 1:
            right = node.args[1]
            start, end, text = function.source.start(right), function.source.end(right), function.text(right)
            yield from (Replacement(start, end, f"({text} {change})") for change in SHIFTS)


def options_together(function: Function) -> Replacements:
    """Ignore an option where another one is away from its default."""
    arguments = function.node.args
    defaults = dict(zip([a.arg for a in arguments.args[::-1]], arguments.defaults[::-1], strict=False))
    defaults |= {a.arg: d for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None}
    plain = {name: default.value for name, default in defaults.items() if isinstance(default, ast.Constant)}
    for node in function.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in plain:
            start, end = function.source.start(node), function.source.end(node)
            for other, value in plain.items():
                if other != node.id:
                    differs = f"{other} is not {value}" if value is None or isinstance(value, bool) else f"{other} != {value!r}"
                    yield Replacement(start, end, f"({plain[node.id]!r} if {differs} else {node.id})")


def these_places_only(function: Function) -> Replacements:
    """Make some numbers of an array wrong: the first or last along an axis, the large ones, the negative ones, the zeros."""
    for site in function.sites:
        e = site.text
        places = (
            f"np.arange(np.shape({e})[-1]) == 0",
            f"np.arange(np.shape({e})[-1]) == np.shape({e})[-1] - 1",
            f"np.arange(np.size({e})).reshape(np.shape({e})) == np.size({e}) - 1",
            f"np.abs({e}) > 2",
            f"np.abs({e}) < 0.01",
            f"({e}) < -1",
        )
        yield from (at(site, f"np.where({place}, ({e}) * 1.05, {e})") for place in places)


def across_the_batch(function: Function) -> Replacements:
    """Let the rows of an array see each other."""
    for site in function.sites:
        e = site.text
        yield at(site, f"(({e}) + ({e})[:1] * 1e-3)")
        yield at(site, f"np.roll({e}, 1, 0)")
        yield at(site, f"np.concatenate([({e})[:-1], ({e})[:1]])")


def slightly_wrong(function: Function) -> Replacements:
    """Multiply an expression by a number near 1."""
    for site in function.sites:
        yield from (at(site, f"(({site.text}) * {factor})") for factor in (1.01, 0.999, 1.00001))


def _wrong_where(conditions: Iterable[str], function: Function, site: Site) -> Replacements:
    """Yield an expression that is wrong where a condition holds, in each way."""
    wrong = [f"({site.text}) * 1.01", f"({site.text}) * -1", f"({site.text}) * 0", f"np.roll({site.text}, 1, -1)"]
    if isinstance(site.node, ast.BinOp):
        wrong += [function.text(operand) for operand in (site.node.left, site.node.right) if function.is_array(operand)]
    for condition in conditions:
        for each in wrong:
            yield at(site, f"({each} if {condition} else {site.text})")


def at(site: Site, text: str) -> Replacement:
    """Return a replacement of a whole site."""
    return Replacement(site.start, site.end, text, f"np.full_like({site.text}, 3)")


def _is_method_of_module(function: Function) -> bool:
    """Return whether a function is a method of a class with a training mode."""
    owner = vars(function.subject.module).get(function.subject.name.split(".")[0])
    return "." in function.subject.name and inspect.isclass(owner) and hasattr(owner, "train")


TRANSFORMATIONS: tuple[Transformation, ...] = (
    this_size_only,
    this_dtype_only,
    this_mode_only,
    second_call_only,
    in_place,
    cast,
    nearly_right_constant,
    shifted_threshold,
    options_together,
    these_places_only,
    across_the_batch,
    slightly_wrong,
)
