"""Folders named scratch or reference in a user's project: parity loads its own packages, or refuses in one line."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from parity import siblings

ROOT = Path(__file__).parents[1]
PACKAGES = {f"{name}/__init__.py": "raise SystemExit('theirs')" for name in siblings.NAMES}
TEST = "import torch\nfrom parity import assert_parity\n\ndef test_mine():\n    pass\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a function that writes files into a directory, which is first on sys.path."""

    def write(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    monkeypatch.syspath_prepend(tmp_path)
    return write


def python_in(directory, *arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", siblings.NAMES)
@pytest.mark.parametrize("file", ["__init__.py", "linear.py", "part/ops.py"])
def test_a_users_package_with_our_name_is_refused(project, name, file):
    folder = project({f"{name}/{file}": ""}) / name
    said = f"parity has a package called {name!r} ({ROOT / name}), and so has your project ({folder}); rename yours"
    with pytest.raises(ImportError, match=re.escape(said)) as caught:
        siblings.refuse_namesakes()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", siblings.NAMES)
def test_a_folder_without_code_may_have_our_name(project, name):
    project({f"{name}/notes.txt": "no code", f"{name}/deep/down/old.py": "no package"})
    siblings.refuse_namesakes()


@pytest.mark.parametrize("name", siblings.NAMES)
@pytest.mark.parametrize("attributes", [{"__file__": "/theirs/x.py"}, {"__file__": None, "__path__": ["/theirs"]}])
def test_an_imported_module_with_our_name_is_refused(monkeypatch, name, attributes):
    theirs = ModuleType(name)
    vars(theirs).update(attributes)
    monkeypatch.setitem(sys.modules, name, theirs)
    with pytest.raises(ImportError, match=f"parity has a package called {name!r}"):
        siblings.load(name)


def test_our_packages_are_loaded_by_path(project, monkeypatch):
    project(PACKAGES)
    for name in siblings.NAMES:
        monkeypatch.delitem(sys.modules, name)
        siblings.load(name)
        assert Path(sys.modules[name].__file__) == ROOT / name / "__init__.py"


def test_pytest_beside_a_package_with_our_name_is_refused(project):
    directory = project({"test_mine.py": TEST, "scratch/__init__.py": ""})
    done = python_in(directory, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short")
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("E ")]
    assert len(lines) == 1
    assert "ImportError: parity has a package called 'scratch'" in lines[0]


def test_the_command_line_works_beside_packages_with_our_name(project):
    done = python_in(project(PACKAGES), "-m", "parity", "check", "leaky_relu")
    assert done.returncode == 0, done.stderr
