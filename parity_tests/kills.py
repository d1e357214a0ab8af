"""Kill a run again and again while it trains and saves, and check that nothing is lost: `python -m parity_tests.kills 300`.

A run that saves after every step is forked, killed after a random time, and forked again to resume, in NumPy and then in PyTorch.
After each kill the checkpoint must be complete, and no older than the last one. At the end the losses must be those of a run that
was never killed.
"""

import os
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from examples import name_generation
from examples.training.checkpoint import FILE, Checkpoint
from examples.training.console import exit_status
from examples.training.run import Run

LONGEST = 0.12  # seconds of processor time before a run is killed: a few steps


def forked(words, seconds=0.0):
    """Run the example in a fork that is killed after so many seconds of training; return its exit status."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process at once, as SIGKILL does
        train = Run.train

        def train_until_killed(run):
            signal.setitimer(signal.ITIMER_PROF, seconds)
            return train(run)

        Run.train = train_until_killed
        os._exit(exit_status(lambda: name_generation.main(words)))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed(directory, count, rng, words, begin):
    """Kill a run `count` times; return how many kills came while it wrote a file, and how many between two saves."""
    writing, idle, step, before = 0, 0, -1, set[str]()
    for _ in range(count):
        saved = (directory / FILE).exists()
        status = forked(words if saved else begin, rng.uniform(0.001, LONGEST))
        assert status == -signal.SIGPROF, f"status {status}: the run ended before it was killed"
        half_written = {path.name for path in directory.glob(f".{FILE}.*")}
        writing, before = writing + bool(half_written - before), half_written
        reached = Checkpoint.load(directory).step if (directory / FILE).exists() else -1
        assert reached >= step, f"step {step} was lost: the checkpoint is of step {reached}"
        idle, step = idle + (reached == step), reached
    assert forked(words) == 0
    assert not list(directory.glob(".*")), "a killed run left files behind"
    return f"{writing} while a file was written, {idle} before a step was saved; the last after step {step}"


def compare(backend, count, root, seed=0):
    """Kill a run of one backend, compare it with a run that was never killed, and return a summary in one line."""
    rng = np.random.default_rng([seed, backend == "torch"])
    sizes = "--every 1 --hidden 8 --embedding 4 --batch 4".split()
    begin = [*sizes, "--steps", str(20 + 10 * count), "--backend", backend, "--save"]
    cut, whole = root / f"{backend}-cut", root / f"{backend}-whole"
    told = killed(cut, count, rng, ["--resume", str(cut), "--backend", backend], [*begin, str(cut)])
    assert forked([*begin, str(whole)]) == 0
    ours, theirs = Checkpoint.load(cut), Checkpoint.load(whole)
    assert ours.arrays.keys() == theirs.arrays.keys()
    for name, array in theirs.arrays.items():
        np.testing.assert_array_equal(array, ours.arrays[name], name)
    return f"{backend}: {count} kills, {told}; nothing was lost"


def main():
    """Kill runs as often as the argument says, half of the times in each backend."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with TemporaryDirectory() as root:
        for backend in ("numpy", "torch"):
            print(compare(backend, count // 2, Path(root)), flush=True)


if __name__ == "__main__":
    main()
