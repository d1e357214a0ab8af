"""Helpers of the tests of all examples: run an example, read its result line, and kill it at a step."""

from examples.training import console
from examples.training.numpy_backend import NumPyBackend
from examples.training.torch_backend import TorchBackend

BACKENDS = ("numpy", "torch")


def main(capsys, module, *argv):
    """Run an example; return its exit status and the lines that it prints on stdout and stderr."""
    try:
        status = console.exit_status(lambda: module.main([str(word) for word in argv]))
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def result(out):
    """Return the last line as a dict."""
    return dict(pair.split("=") for pair in out[-1].split())


def killed_at(monkeypatch, step):
    """Kill both backends in the middle of a step, counted from 0 over all steps that follow."""
    count = iter(range(1_000_000))
    for backend in (NumPyBackend, TorchBackend):

        def dying(self, *batch, original=backend.step, **options):
            if next(count) == step:
                raise ConnectionAbortedError("killed")
            return original(self, *batch, **options)

        monkeypatch.setattr(backend, "step", dying)
