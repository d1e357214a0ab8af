"""Tables of cases and faults: families are found in their folder, and a mistake in a table gives one clear line."""

import sys
from pathlib import Path

import pytest

import parity.cases
from parity.__main__ import main
from parity.case import ParityCase, resolve
from parity.discovery import families
from parity.running.importing import find
from parity_tests import faults
from parity_tests.shared import assert_refused_in_one_line
from parity_tests.test_structure import modules_imported

ROOT = Path(__file__).parents[1]
HEADER = "from parity.case import ParityCase\n"
ROW = 'ParityCase("mine", "ops.relu", lambda draw: {"x": draw.normal(3)}, reference="torch.relu")'
NO_FAULTS_YET = set()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that writes a package of tables from the text of each file and returns its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(**files):
        folder = tmp_path / "some_tables"
        folder.mkdir()
        for name, text in {"__init__": "", **files}.items():
            (folder / f"{name}.py").write_text(text)
        return folder.name

    yield make
    for name in [name for name in sys.modules if name.split(".")[0] == "some_tables"]:
        del sys.modules[name]


@pytest.fixture
def another_table(tmp_path, monkeypatch):
    """Return a function that adds a file with this text to parity.cases and makes the tables load again."""

    def add(text):
        (tmp_path / "mine.py").write_text(HEADER + text)
        monkeypatch.setattr(parity.cases, "__path__", [*parity.cases.__path__, str(tmp_path)])
        monkeypatch.setattr(parity.cases, "tables", parity.cases.tables.__wrapped__)

    yield add
    sys.modules.pop("parity.cases.mine", None)
    vars(parity.cases).pop("mine", None)


def test_families_are_sorted_by_name_and_by_after(package):
    name = package(a_b="TABLE = [1]; AFTER = ('c',)", b="TABLE = [2]", c="TABLE = [3]; AFTER = ('b',)", d="TABLE = []", shared="")
    found = families(name, "TABLE", ["shared"])
    assert [(family, module.TABLE) for family, module in found.items()] == [("b", [2]), ("c", [3]), ("a b", [1]), ("d", [])]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"a": "ROWS = []"},
            "some_tables/a.py holds no TABLE, expected a list under that name; files without one are draws",
        ),
        (
            {"rotary": "TABLE = []", "b": "TABLE = []; AFTER = ('rotery',)"},
            "some_tables/b.py: AFTER names 'rotery', expected the name of another file; did you mean rotary?",
        ),
        (
            {"a": "TABLE = []", "b": "TABLE = []; AFTER = ('a')"},
            "some_tables/b.py: AFTER is 'a', expected a tuple of names, such as ('a',)",
        ),
        (
            {"a": "TABLE = []; AFTER = ('b',)", "b": "TABLE = []; AFTER = ('a',)"},
            "some_tables: a, b name each other in AFTER, expected one of them to come first",
        ),
    ],
    ids=["no table", "an unknown name", "a name alone", "a circle"],
)
def test_an_unreadable_family_is_refused_in_one_line(package, files, message):
    name = package(**files)
    assert_refused_in_one_line(lambda: families(name, "TABLE", ["draws"]), message)


def test_a_new_file_with_a_table_is_a_family(another_table, capsys):
    another_table(f"AFTER = ('yolo',)\nCASES = [{ROW}]")
    assert list(parity.cases.tables().families)[-1] == "mine"
    assert main(["check", "mine", "--json"]) == 0
    assert '"name": "mine"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ROWS = []", "parity/cases/mine.py holds no CASES, expected a list under that name; files without one are draws"),
        (f"CASES = [{ROW}, {ROW}]", "two cases are called 'mine', ops.relu in the table of mine and ops.relu in the table of mine"),
        (f"CASES = [{ROW.replace('mine', 'relu')}]", "two cases are called 'relu', ops.relu in the table of activations and"),
        (
            f"CASES = [{ROW.replace('ops.relu', 'relu')}]",
            "parity/cases/mine.py:2: case 'mine': scratch is 'relu', expected a path such as 'ops.conv2d'",
        ),
        (
            f"CASES = [{ROW.replace('reference', 'refrence')}]",
            "parity/cases/mine.py:2: TypeError: ParityCase.__init__() got an unexpected keyword argument 'refrence'",
        ),
        (
            "CASES = [ParityCasse()]",
            "parity/cases/mine.py:2: NameError: name 'ParityCasse' is not defined; did you mean ParityCase?",
        ),
        ("CASES = [", "parity/cases/mine.py: SyntaxError: '[' was never closed (mine.py, line 2)"),
        (f"CASES = [[{ROW}]]", "the table of mine holds a list, expected only ParityCase; unpack lists with *"),
        (
            'CASES = [ParityCase("mine", "ops.relu", "torch.relu", {})]',
            "parity/cases/mine.py:2: case 'mine': inputs is 'torch.relu', expected a function that draws them; write the path of a",
        ),
        (
            f"CASES = [{ROW.replace('torch.relu', 'torch.rellu')}]",
            "torch has no 'rellu', expected by the path 'torch.rellu'; did you mean relu",
        ),
    ],
    ids=[
        "no table",
        "one name in a table",
        "one name in two tables",
        "no folder",
        "an unknown keyword",
        "an unknown name",
        "no Python",
        "a list",
        "inputs that are a path",
        "an unknown reference",
    ],
)
def test_a_mistake_in_a_table_is_reported_in_one_line(another_table, capsys, text, message):
    another_table(text)
    assert main(["check", "mine"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith(f"parity: {message}")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("ops.rotery", "reference.ops has no 'rotery', expected by the path 'ops.rotery'; did you mean rotary?"),
        ("layer.Linear", "reference has no 'layer', expected by the path 'layer.Linear'; did you mean layers?"),
        ("models.gpt.Blok", "reference.models.gpt has no 'Blok', expected by the path 'models.gpt.Blok'; did you mean Block?"),
        ("torch.nn.Zzyzx", "torch.nn has no 'Zzyzx', expected by the path 'torch.nn.Zzyzx'"),
    ],
)
def test_an_unknown_path_is_refused_in_one_line(path, message):
    assert_refused_in_one_line(lambda: resolve(path, "reference"), message)


def test_an_unknown_path_of_scratch_suggests_a_similar_one():
    with pytest.raises(NotImplementedError, match=r"scratch\.ops has no rotery; did you mean rotary\?"):
        find("ops.rotery", "scratch")


def test_a_reference_has_its_twins_path_or_is_torchs():
    def draw(draw):
        return {}

    assert ParityCase("a", "ops.rotary", draw).reference == "ops.rotary"
    assert ParityCase("a", "ops.relu", draw, reference="torch.relu").reference == "torch.relu"
    for case in parity.cases.CASES:
        assert case.reference == case.scratch or case.reference.startswith("torch."), case.name


@pytest.mark.parametrize(
    ("folder", "shared", "others"),
    [
        ("parity/cases", "draws", parity.cases.WITHOUT_TABLE),
        ("parity_tests/faults", "fault", faults.WITHOUT_TABLE),
    ],
)
def test_no_table_imports_another_table(folder, shared, others):
    package = folder.replace("/", ".")
    tables = [file for file in (ROOT / folder).glob("*.py") if file.stem not in ("__init__", *others)]
    assert tables
    for file in tables:
        imported = {module for module in modules_imported(file) if module.startswith(package)}
        assert imported <= {f"{package}.{shared}"}, file


def test_every_family_of_cases_has_a_family_of_faults():
    assert parity.cases.FAMILIES.keys() - faults.FAMILIES.keys() == NO_FAULTS_YET
