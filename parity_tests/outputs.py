"""Run commands with unusual standard streams: full, closed, or a pipe that nobody reads.

    python -m parity_tests.outputs '[["parity", ["list"], "full"], ...]'

Each command runs in a fork of one process, so that imports happen once. The results are printed as JSON.
"""

import gc
import importlib
import io
import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))


def command(program):
    """Return the function that runs a command of parity or an example."""
    if program == "parity":
        return importlib.import_module("parity.__main__").main
    module, console = importlib.import_module(program), importlib.import_module("console")
    return lambda words: console.exit_status(lambda: module.main(words))


def run(program, words, kind):
    """Run a command with streams of this kind, then end the process as Python does, without its clean-up."""
    closed = {"closed": "stdout", "no stdin": "stdin", "no stderr": "stderr"}.get(kind)
    if kind == "full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    elif kind == "unread":
        reading, writing = os.pipe()
        os.close(reading)
        os.dup2(writing, 1)
    else:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(n, "w", closefd=False), encoding="utf-8") for n in (1, 2))
    if closed:
        os.close(["stdin", "stdout", "stderr"].index(closed))
        setattr(sys, closed, None)
    sys.argv = [program, *words]
    try:
        status = command(program)(words)
    except SystemExit as stop:
        status = stop.code
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()  # Python does this at its end, and reports errors that it ignores
    except OSError as error:
        os.write(2, f"Exception ignored: {error}\n".encode())
    os._exit(status or 0)


def main():
    """Run the commands of the argument, one after the other."""
    runs, found = json.loads(sys.argv[1]), []
    for program in {program for program, _, _ in runs}:
        command(program)  # import it once for all forks
    gc.freeze()  # keep forks from copying these objects
    for program, words, kind in runs:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(writing, 2)
            os.close(reading)
            signal.alarm(100)  # seconds; no command takes as long
            run(program, words, kind)
        os.close(writing)
        with os.fdopen(reading) as printed:
            err = printed.read()
        _, status = os.waitpid(child, 0)
        found.append([os.waitstatus_to_exitcode(status), err])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
