"""Set up an environment for this project: python install.py [ENVIRONMENT] [--torch auto|cpu|default].

A new environment gets the versions of constraints.txt, and the CPU build of PyTorch if the machine has no GPU. An environment that
has PyTorch already keeps its packages. If everything is set up, nothing happens. Old versions of Python can run this file too, and
then it says that they are too old.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PIP = ["-m", "pip", "install", "--disable-pip-version-check"]
CONSTRAINTS = ["-c", "constraints.txt"]
OLDEST_PYTHON = (3, 11)
OLDEST_PIP = (21, 3)  # the first that can install a pyproject.toml project in editable mode
SHORT_TIMEOUTS = {"UV_HTTP_CONNECT_TIMEOUT": "5", "UV_HTTP_TIMEOUT": "10", "UV_HTTP_RETRIES": "0"}  # fail soon if no server answers
DESCRIBE = """
import importlib.util, json, sys
print(json.dumps([sys.version_info[:2], *(importlib.util.find_spec(name) is not None for name in ("pip", "torch"))]))
"""


def main(arguments=None):
    """Set up the environment unless that is done, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("environment", nargs="?", type=Path, default=Path(".venv"), help="made if there is none (default: .venv)")
    parser.add_argument("--torch", choices=("auto", "cpu", "default"), default="auto", help="PyTorch's build in a new environment")
    parser.add_argument("--extras", default="test,examples", help="parts of pyproject.toml (default: test,examples)")
    options = parser.parse_args(arguments)
    try:
        set_up(Environment(options.environment), options.extras.split(","), options.torch)
    except SetUpError as error:
        print(f"install: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("install: interrupted; the same command starts again", file=sys.stderr)
        return 130
    return 0


class SetUpError(Exception):
    """The environment cannot be set up; the message says why in one line."""


class Environment:
    """A virtual environment, and the files that record how far it is set up."""

    def __init__(self, path):
        self.path = Path(os.path.abspath(str(path)))  # an absolute path without . and ..
        self.python = self.path / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.made_here = self.path / ".scratch-parity-made"
        self.stamp = self.path / ".scratch-parity"

    def has(self, extras):
        """Return whether these extras are installed and the project's files have not changed since."""
        noted = self.stamp.read_text().split() if self.stamp.is_file() else []
        return noted[:1] == [fingerprint()] and set(extras) <= set(noted) and self.python.exists()

    def run(self, *command):
        """Run a command with the environment's Python and show its output."""
        if subprocess.run([str(self.python), *command], cwd=str(ROOT), check=False).returncode:
            raise SetUpError(f"{' '.join(command[1:3])} failed, for the reason above; the same command tries again")

    def ask(self, *command, **variables):
        """Return the output of a command run with the environment's Python, or None if it fails."""
        settings = {"cwd": str(ROOT), "env": {**os.environ, **variables}, "capture_output": True, "text": True}
        try:
            done = subprocess.run([str(self.python), *command], check=False, **settings)
        except OSError:
            return None
        return done.stdout if done.returncode == 0 else None


def set_up(environment, extras, torch):
    """Make the environment if it does not exist, and install what is missing."""
    if environment.has(extras):
        return
    unfinished = environment.made_here.exists() and not environment.stamp.exists()
    if unfinished or not environment.python.exists():
        make_environment(environment, unfinished)
    has_torch = check_environment(environment)
    print(f"Setting up {environment.path}" + ("" if has_torch else ": PyTorch and the rest, a minute or more"), flush=True)
    if not has_torch and (torch == "cpu" or (torch == "auto" and not has_gpu())):
        install_cpu_build(environment)
    environment.run(*PIP, *(["--quiet"] if has_torch else CONSTRAINTS), "-e", f".[{','.join(extras)}]")
    environment.stamp.write_text(" ".join([fingerprint(), *extras]))


def make_environment(environment, unfinished):
    """Make a virtual environment; start again if an earlier set-up did not finish."""
    path = environment.path
    if sys.version_info < OLDEST_PYTHON:
        raise SetUpError(
            f"Python {sys.version_info[0]}.{sys.version_info[1]} is too old, 3.11 or newer is needed; "
            "if you have one, name it: make check PYTHON=python3.12"
        )
    if path.exists() and not unfinished and (not path.is_dir() or any(path.iterdir())):
        raise SetUpError(f"{path} exists, but is not a working virtual environment; remove it or name another with VENV")
    try:
        import ensurepip  # noqa: F401  venv needs it
        import venv
    except ImportError as error:
        raise SetUpError(
            f"{sys.executable} has no {error.name}, which makes environments; "
            f"on Debian and Ubuntu: apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        ) from None
    try:
        if unfinished:
            print(f"An earlier set-up of {path} did not finish: starting again", flush=True)
            shutil.rmtree(str(path))
        path.mkdir(parents=True, exist_ok=True)
        environment.made_here.touch()
        venv.EnvBuilder(with_pip=True, symlinks=os.name != "nt").create(str(path))
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetUpError(f"{path} cannot be made: {error}") from None


def check_environment(environment):
    """Return whether the environment has PyTorch; raise SetUpError if it cannot be used."""
    python = environment.python
    about = environment.ask("-I", "-c", DESCRIBE)
    if about is None:
        raise SetUpError(f"{python} does not start; remove {environment.path} or name another environment with VENV")
    version, has_pip, has_torch = json.loads(about)
    if tuple(version) < OLDEST_PYTHON:
        raise SetUpError(f"{python} is Python {version[0]}.{version[1]}, 3.11 or newer is needed; name another with VENV")
    if not has_pip:
        raise SetUpError(f"{python} has no pip; install it with: {python} -m ensurepip")
    pip_version = environment.ask("-c", "import pip; print(pip.__version__)") or "0"
    if tuple(int(part) for part in pip_version.split(".")[:2] if part.strip().isdecimal()) < OLDEST_PIP:
        raise SetUpError(f"{python} has pip {pip_version.strip()}, which is too old; run: {python} -m pip install --upgrade pip")
    return has_torch


def install_cpu_build(environment):
    """Install PyTorch without CUDA packages, through uv: uv knows PyTorch's own package index, pip does not."""
    command = ["-m", "uv", "pip", "install", "--python", str(environment.python), "--torch-backend=cpu", "--no-deps"]
    has_uv = environment.ask(*PIP, *CONSTRAINTS, "uv") is not None
    if has_uv and environment.ask(*command, *CONSTRAINTS, "--dry-run", "torch", **SHORT_TIMEOUTS) is not None:
        environment.run(*command, *CONSTRAINTS, "torch")
    else:
        print("PyTorch's index has no CPU build for this Python, or cannot be reached: installing pip's default build", flush=True)


def has_gpu():
    """Return whether an NVIDIA driver is present, or the system has only one build of PyTorch."""
    return sys.platform != "linux" or shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia").exists()


def fingerprint():
    """Return a digest of this copy of the project: its path and the files that say what to install."""
    files = (ROOT / name for name in ("pyproject.toml", "constraints.txt"))
    return hashlib.sha256(b"".join([os.fsencode(str(ROOT)), *(file.read_bytes() for file in files)])).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
