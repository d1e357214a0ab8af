"""Verify the project with the oldest, the pinned and the newest allowed versions, each in its own environment.

`make versions` prints a row for each set of versions and each Python in the project's classifiers. The oldest versions
are the floors in pyproject.toml, the pinned ones are in constraints.txt. Environments and logs are kept in .versions/.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".versions"
EXTRAS = ("test", "examples")
SHOWN = ("torch", "numpy", "scipy")
HEADINGS = ("versions", "Python", *SHOWN, "comparisons", "tests")
QUICK = [
    f"parity_tests/test_{name}.py"
    for name in ("twins", "bad_input", "edges", "module", "weights", "boxes", "segmentation", "optimisers", "ties", "one_number")
]


@dataclass(frozen=True)
class Environment:
    """A set of versions on one Python."""

    kind: str
    python: str  # such as "3.11"
    pins: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.python}"

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the project's folder and write its output to the log."""
        done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        with (CACHE / f"{self.name}.log").open("a") as log:
            print("$", program, *arguments, f"\n{done.stdout}{done.stderr}", file=log)
        return done

    def run_python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a module with the environment's interpreter."""
        return self.run(str(CACHE / self.name / "bin" / "python"), "-m", *arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if an installation, a comparison or a test fails."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.versions", description="Verify every set of versions.")
    parser.add_argument(
        "pattern", nargs="?", default="", metavar="PATTERN", help="a part of a name such as oldest-3.11 (default: all)"
    )
    parser.add_argument("--remove", action="store_true", help="remove each environment (up to 6 GB) after measuring it")
    options = parser.parse_args(arguments)

    everything = environments()
    chosen = [environment for environment in everything if options.pattern in environment.name]
    if not chosen:
        names = ", ".join(environment.name for environment in everything)
        print(f"no set of versions has {options.pattern!r} in its name; expected a part of one of {names}", file=sys.stderr)
        return 2
    CACHE.mkdir(exist_ok=True)
    rows, good = [], True
    for environment in chosen:
        print(f"{environment.name}: log in {CACHE.name}/{environment.name}.log", file=sys.stderr, flush=True)
        cells, passed = measure(environment)
        rows.append([environment.kind, environment.python, *cells])
        good = good and passed
        if options.remove:
            shutil.rmtree(CACHE / environment.name, ignore_errors=True)
    print(table([HEADINGS, *rows]))
    return 0 if good else 1


def environments() -> list[Environment]:
    """Return the oldest versions on the oldest Python, and the pinned and newest versions on every Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pythons = [c.rpartition(" ")[2] for c in project["classifiers"] if re.fullmatch(r".* :: Python :: 3\.\d+", c)]
    required = [*project["dependencies"], *(r for extra in EXTRAS for r in project["optional-dependencies"][extra])]
    pinned = tuple((ROOT / "constraints.txt").read_text().splitlines())
    return [
        Environment("oldest", pythons[0], floors(required)),
        *(Environment("pinned", python, pinned) for python in pythons),
        *(Environment("newest", python, ()) for python in pythons),
    ]


def floors(requirements: Iterable[str]) -> tuple[str, ...]:
    """Return each requirement pinned to its lowest version; raise ValueError if one has none."""
    bounds = [requirement.partition(">=") for requirement in requirements]
    if missing := [name for name, operator, _ in bounds if not operator]:
        raise ValueError(f"pyproject.toml: expected a floor such as {missing[0]}>=1.0 for {', '.join(missing)}")
    return tuple(f"{name}=={version}" for name, _, version in bounds)


def measure(environment: Environment) -> tuple[list[str], bool]:
    """Return the cells of an environment's row and whether nothing failed; a missing interpreter is no failure."""
    empty = ["-"] * len(SHOWN)
    (CACHE / f"{environment.name}.log").unlink(missing_ok=True)
    if not present(environment.python):
        return [*empty, f"python{environment.python} is not on the path", "-"], True
    if reason := install(environment):
        return [*empty, reason, "-"], False
    listed = json.loads(environment.run_python("pip", "list", "--format", "json").stdout)
    installed = {package["name"]: package["version"] for package in listed}
    compared = environment.run_python("parity", "check", "--json")
    tested = environment.run_python("pytest", "-q", "-m", "not slow", *QUICK)
    passed = compared.returncode == 0 and tested.returncode == 0
    return [*(installed[name] for name in SHOWN), comparisons(compared), last_line(tested)], passed


def present(python: str) -> bool:
    """Return whether an interpreter of this version can be started."""
    try:
        return subprocess.run([f"python{python}", "--version"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def install(environment: Environment) -> str:
    """Install the project with the environment's pins; return the reason if that fails, else ""."""
    folder, pins = CACHE / environment.name, CACHE / f"{environment.name}.txt"
    pins.write_text("\n".join(environment.pins))
    made = environment.run(f"python{environment.python}", "-m", "venv", str(folder))
    if made.returncode:
        return last_line(made)
    upgrade = () if environment.pins else ("--upgrade", "--upgrade-strategy", "eager")
    options = ("--quiet", "--disable-pip-version-check", *upgrade, "-c", str(pins))
    done = environment.run_python("pip", "install", *options, "-e", f".[{','.join(EXTRAS)}]")
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    return "" if done.returncode == 0 else errors[0].removeprefix("ERROR: ") if errors else last_line(done)


def comparisons(done: subprocess.CompletedProcess[str]) -> str:
    """Return the number of ok comparisons in the output of `parity check --json`."""
    try:
        verdicts = [case["status"] for case in json.loads(done.stdout)["cases"]]
    except json.JSONDecodeError:
        return last_line(done)
    return f"{verdicts.count('ok')} of {len(verdicts)} ok"


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line of a program's output, without the time that it took."""
    lines = [line for line in f"{done.stderr}\n{done.stdout}".splitlines() if line.strip()]
    return re.sub(r" in [\d.]+s.*", "", lines[-1].strip("= ")) if lines else f"status {done.returncode}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table; the first row is the head."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    head, *body = ("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows)
    return "\n".join([head, "|" + "|".join("-" * (width + 2) for width in widths) + "|", *body])


if __name__ == "__main__":
    sys.exit(main())
