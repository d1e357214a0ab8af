"""install.py and the Makefile: what an environment gets or keeps, and the messages when a set-up fails."""

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import install

ROOT = Path(__file__).parents[1]
PYTHON = """#!/bin/sh
case "$*" in
  *find_spec*) cat "{folder}/about"; exit;;
  *pip.__version__*) cat "{folder}/pip"; exit;;
esac
echo "$@" >> "{folder}/log"
case "$*" in
  *--dry-run*) exit {index};;
  *"{failing}"*) exit 1;;
esac
"""
PIP = "-m pip install --disable-pip-version-check"
REST = "-e .[test,examples]"
UV = r"-m uv pip install --python \S+/bin/python --torch-backend=cpu --no-deps -c constraints.txt"


@pytest.fixture
def environment(tmp_path):
    """Return a function that makes an environment whose Python only records its commands in a log."""

    def make(folder=tmp_path / "env", version=(3, 11), has_pip=True, torch=False, pip="24.0", index=0, failing="nothing fails"):
        (folder / "bin").mkdir(parents=True)
        (folder / "about").write_text(json.dumps([version, has_pip, torch]))
        (folder / "pip").write_text(pip)
        (folder / "log").touch()
        (folder / "bin" / "python").write_text(PYTHON.format(folder=folder, index=index, failing=failing))
        (folder / "bin" / "python").chmod(0o755)
        return folder

    return make


def log(folder):
    return (folder / "log").read_text().splitlines()


def was_told(folder, *patterns):
    """Return whether the environment's Python was given exactly these commands."""
    lines = log(folder)
    return len(lines) == len(patterns) and all(re.fullmatch(p, line) for p, line in zip(patterns, lines, strict=True))


def test_an_environment_with_torch_keeps_its_versions(environment):
    folder = environment(torch=True)
    assert install.main([str(folder), "--torch", "cpu"]) == 0
    assert log(folder) == [f"{PIP} --quiet {REST}"]


def test_a_new_environment_gets_pinned_versions_and_the_cpu_build(environment):
    folder = environment()
    assert install.main([str(folder), "--torch", "cpu"]) == 0
    pinned = re.escape(f"{PIP} -c constraints.txt {REST}")
    assert was_told(folder, f"{PIP} -c constraints.txt uv", f"{UV} --dry-run torch", f"{UV} torch", pinned)


def test_pip_installs_its_default_build_without_pytorchs_index(environment, capfd):
    folder = environment(index=2)
    assert install.main([str(folder), "--torch", "cpu"]) == 0
    assert log(folder)[-1] == f"{PIP} -c constraints.txt {REST}"
    assert "installing pip's default build" in capfd.readouterr().out.splitlines()[-1]


def test_pip_installs_its_default_build_without_uv(environment, capfd):
    folder = environment(failing="constraints.txt uv")
    assert install.main([str(folder), "--torch", "cpu"]) == 0
    assert log(folder) == [f"{PIP} -c constraints.txt uv", f"{PIP} -c constraints.txt {REST}"]
    assert "installing pip's default build" in capfd.readouterr().out


@pytest.mark.parametrize(("gpu", "lines"), [(True, 1), (False, 4)])
def test_the_gpu_driver_decides_the_build(environment, monkeypatch, gpu, lines):
    monkeypatch.setattr(install, "has_gpu", lambda: gpu)
    folder = environment()
    assert install.main([str(folder)]) == 0
    assert len(log(folder)) == lines


def test_the_default_build_can_be_requested(environment, monkeypatch):
    monkeypatch.setattr(install, "has_gpu", lambda: False)
    folder = environment()
    assert install.main([str(folder), "--torch", "default"]) == 0
    assert log(folder) == [f"{PIP} -c constraints.txt {REST}"]


def test_nothing_is_installed_twice_until_the_files_change(environment, monkeypatch):
    folder = environment(torch=True)
    for extras, lines in (("test,examples,dev", 1), ("test,examples", 1), ("docs", 2), ("test", 3)):
        assert install.main([str(folder), "--extras", extras]) == 0
        assert len(log(folder)) == lines
    monkeypatch.setattr(install, "fingerprint", lambda: "changed")
    assert install.main([str(folder), "--extras", "test"]) == 0
    assert len(log(folder)) == 4


def test_another_copy_of_the_project_is_installed_again(tmp_path, monkeypatch):
    before = install.fingerprint()
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.setattr(install, "ROOT", tmp_path)
    assert install.fingerprint() != before


def test_a_failed_set_up_starts_again(environment, monkeypatch, capfd):
    folder = environment(failing="constraints.txt -e")
    (folder / install.Environment(folder).made_here.name).touch()
    monkeypatch.setattr(venv.EnvBuilder, "create", lambda builder, path: environment(Path(path), failing="constraints.txt -e"))
    for _ in range(2):
        (folder / "remains").touch()
        assert install.main([str(folder), "--torch", "default"]) == 2
        out, err = capfd.readouterr()
        assert out.startswith(f"An earlier set-up of {folder} did not finish: starting again\n")
        assert err == "install: pip install failed, for the reason above; the same command tries again\n"
        assert not (folder / "remains").exists()


def test_a_finished_environment_is_never_removed(environment, monkeypatch):
    folder = environment(failing=".[docs]")
    environment_here = install.Environment(folder)
    environment_here.made_here.touch()
    environment_here.stamp.write_text("of older files")
    for _ in range(2):
        assert install.main([str(folder), "--extras", "docs", "--torch", "default"]) == 2
        assert environment_here.stamp.exists()
    assert len(log(folder)) == 2


@pytest.mark.parametrize(
    ("laid", "said"),
    [
        ({"version": (3, 9)}, "{env}/bin/python is Python 3.9, 3.11 or newer is needed; name another with VENV"),
        ({"has_pip": False}, "{env}/bin/python has no pip; install it with: {env}/bin/python -m ensurepip"),
        (
            {"pip": "21.2.4"},
            "{env}/bin/python has pip 21.2.4, which is too old; run: {env}/bin/python -m pip install --upgrade pip",
        ),
    ],
)
def test_an_unusable_environment_is_refused_in_one_line(environment, capfd, laid, said):
    folder = environment(**laid)
    assert install.main([str(folder)]) == 2
    assert capfd.readouterr().err == f"install: {said.format(env=folder)}\n"
    assert log(folder) == []


def test_files_that_are_no_environment_are_not_touched(tmp_path, capfd):
    (tmp_path / "notes.txt").touch()
    for path in (tmp_path, tmp_path / "notes.txt"):
        assert install.main([str(path)]) == 2
        assert f"install: {path} exists, but is not a working virtual environment" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == [tmp_path / "notes.txt"]
    assert install.main([str(tmp_path / "notes.txt" / "env")]) == 2
    assert capfd.readouterr().err.startswith(f"install: {tmp_path / 'notes.txt' / 'env'} cannot be made: ")


def test_an_unusable_python_is_refused_in_one_line(tmp_path, monkeypatch, capfd):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "ensurepip", None)
        assert install.main([str(tmp_path / "env")]) == 2
    assert "has no ensurepip, which makes environments; on Debian and Ubuntu: apt install python3." in capfd.readouterr().err
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    assert install.main([str(tmp_path / "env")]) == 2
    assert capfd.readouterr().err.startswith("install: Python 3.9 is too old, 3.11 or newer is needed; if you have one, name it")
    assert not (tmp_path / "env").exists()


def test_an_interruption_is_reported_in_one_line(environment, monkeypatch, capfd):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(install.Environment, "run", interrupted)
    assert install.main([str(environment())]) == 130
    assert capfd.readouterr().err == "install: interrupted; the same command starts again\n"


def make(*arguments):
    """Run make as from a shell, without the variables of a make that runs these tests."""
    by_hand = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=by_hand, capture_output=True, text=True, check=False)


def test_make_without_a_target_lists_targets_and_settings():
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE)) - {"ready", "ready-dev", "python"}
    said = make().stdout
    assert set(re.findall(r"^  make (\S+)  +\S", said, re.MULTILINE)) == targets
    settings = re.findall(r"^([A-Z]+) \?=", text, re.MULTILINE)
    assert re.findall(r"^  ([A-Z]+)  +\S", said, re.MULTILINE) == settings
    assert "undefined" not in make("--warn-undefined-variables", "--dry-run", *sorted(targets)).stderr


def test_make_handles_spaces_in_a_path_and_a_missing_python(environment, tmp_path):
    folder = environment(tmp_path / "my env", torch=True)
    commands = make("--dry-run", "test", f"VENV={folder}").stdout
    assert f'install.py "{folder}"' in commands
    assert f'"{folder}/bin"/python -m pytest' in commands
    done = make("check", "PYTHON=python9")
    assert done.returncode == 2
    assert done.stdout == "install: there is no python9 here; name a Python: make check PYTHON=python3.12\n"
