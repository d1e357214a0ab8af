"""What the tests of all examples need: to read what a run says, and to kill one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import console
import training

BACKENDS = ("numpy", "torch")


def main(capsys, module, *argv):
    """Run an example: its status, and the lines that it prints on stdout and stderr."""
    try:
        status = console.exit_status(lambda: module.main([str(word) for word in argv]))
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def result(out):
    """The last line as a dict."""
    return dict(pair.split("=") for pair in out[-1].split())


def killed_at(monkeypatch, step):
    """Both backends are killed in the middle of this step, counted from 0 over all that follow."""
    count = iter(range(1_000_000))
    for backend in (training.NumPyBackend, training.TorchBackend):

        def dying(self, *batch, original=backend.step, **options):
            if next(count) == step:
                raise ConnectionAbortedError("killed")
            return original(self, *batch, **options)

        monkeypatch.setattr(backend, "step", dying)
