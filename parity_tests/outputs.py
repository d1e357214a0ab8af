"""Run commands whose standard streams are full, closed, or a pipe that nobody reads.

    python -m parity_tests.outputs '[["parity", ["list"], "full"], ...]'

Each runs in a fork of one process, which has imported everything once. The exit statuses and stderr are printed as JSON.
"""

import gc
import importlib
import io
import json
import os
import signal
import sys

from examples.training.console import exit_status


def command(program):
    """Return the function that runs a command of parity, or an example."""
    if program == "parity":
        return importlib.import_module("parity.__main__").main
    module = importlib.import_module(f"examples.{program}")
    return lambda words: exit_status(lambda: module.main(words))


def run(program, words, kind):
    """Run a command with streams of this kind, and exit like Python, but without its cleanup."""
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
            stream.flush()  # as Python does when it exits, and reports what it ignores
    except OSError as error:
        os.write(2, f"Exception ignored: {error}\n".encode())
    os._exit(status or 0)


def main():
    """Run the commands of the arguments, one after the other."""
    runs, found = json.loads(sys.argv[1]), []
    for program in {program for program, _, _ in runs}:
        command(program)  # imported once for all
    gc.freeze()  # so that forks do not copy it
    for program, words, kind in runs:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(writing, 2)
            os.close(reading)
            signal.alarm(100)  # no command takes so long
            run(program, words, kind)
        os.close(writing)
        with os.fdopen(reading) as printed:
            err = printed.read()
        _, status = os.waitpid(child, 0)
        found.append([os.waitstatus_to_exitcode(status), err])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
