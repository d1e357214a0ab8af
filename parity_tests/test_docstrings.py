"""Plain English in docstrings: none begins with a question word or a relative clause, in any Python file of the project.

Ruff's pydocstyle rules check the rest of the form. Both spare the files that pyproject.toml exempts from these rules.
"""

import ast
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REFUSED = re.compile(r"(Of|What|Who|Whose|Whether|How|Where|By|That|Which|Why|In which)\b", re.IGNORECASE)
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def exempt_files():
    """Return the patterns of files that the docstring rules spare."""
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    return [pattern for pattern, rules in lint.get("per-file-ignores", {}).items() if "D" in rules]


def python_files(exempt):
    """Yield the project's Python files, without environments, builds and hidden folders."""
    for file in sorted(ROOT.rglob("*.py")):
        path = file.relative_to(ROOT)
        *folders, _root = path.parents
        foreign = any(
            folder.name.startswith(".") or folder.name == "build" or (ROOT / folder / "pyvenv.cfg").exists() for folder in folders
        )
        if not foreign and not any(fnmatch(path.as_posix(), pattern) for pattern in exempt):
            yield file


def refused_openings(source):
    """Yield the line and the first line of text of each docstring with a refused opening."""
    for node in ast.walk(ast.parse(source)):
        text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
        if text and REFUSED.match(text):
            yield node.body[0].lineno, text.splitlines()[0]


def test_no_docstring_begins_with_a_refused_word():
    files = list(python_files(exempt_files()))
    assert {Path(__file__), ROOT / "conftest.py", ROOT / "benchmarks" / "timing.py"} <= set(files)
    found = [
        f"{file.relative_to(ROOT)}:{line} begins with {text.split()[0]!r}, expected a verb such as Return or Compute: {text}"
        for file in files
        for line, text in refused_openings(file.read_text())
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("definition", ["", "class C:\n    ", "def f():\n    ", "class C:\n    async def f(self):\n        "])
@pytest.mark.parametrize("opening", ["Whether it runs.", "Of x, the half.", "In which\\n    it runs.", "by row"])
def test_refused_openings_are_found(definition, opening):
    assert len(list(refused_openings(f'{definition}"""{opening}"""'))) == 1
    assert not list(refused_openings(f'{definition}"""Return it.\\n\\nWhere it is."""'))


@pytest.mark.parametrize("text", ["Offsets of a row.", "Bytes of a file.", "Thatcham is a town.", "Indexes in which order counts."])
def test_longer_words_are_accepted(text):
    assert not list(refused_openings(f'"""{text}"""'))
