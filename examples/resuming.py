"""What is taken from a run that goes on: hyper-parameters that were saved, each checked like a word of the command line.

A run may be somebody else's. No file or directory is named by what was saved: where to save, draw and read is for the command
line to say.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from checkpoint import Checkpoint
from console import Parser

from parity.command import one_line

OWN_FILE = "a file"  # stands for the name of one's own text
LENGTH = ("steps", "epochs")


def saved_options(options: argparse.Namespace, free: set[str]) -> dict[str, Any]:
    """Return the options that a checkpoint keeps: all that its losses depend on, and no name of a file."""
    kept = {name: value for name, value in vars(options).items() if name not in free and name != "epochs"}
    return kept | {"data": options.data if options.data in options.known_data else OWN_FILE}


def resume(parser: Parser, options: argparse.Namespace, free: set[str]) -> None:
    """Fill in the options of the run that is resumed; ValueError where another value is given, or none can be taken from it.

    The length may be given anew, and one's own text must be.
    """
    saved = _checked(parser, Checkpoint.load(options.resume), options.resume, free)
    if "data" not in saved and options.data is None:
        raise ValueError(
            f"{options.resume}: the run was trained on a file of one's own, whose name is not kept; name it with --data FILE"
        )
    if any(getattr(options, name, None) is not None for name in LENGTH):
        saved.pop("steps", None)
    for name, value in saved.items():
        given = getattr(options, name)
        if given is not None and given != value:
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(
                f"{flag} {given}: the run in {options.resume} was begun with {value}; leave {flag} out or begin another run"
            )
        setattr(options, name, value)


def _checked(parser: Parser, checkpoint: Checkpoint, directory: str, free: set[str]) -> dict[str, Any]:
    """Return the saved options as the parser reads them; the data is left out where it has no name of its own."""
    saved = {name: value for name, value in checkpoint.options.items() if name != "epochs" and value is not None}
    defaults = parser.parse_args([])
    unknown = saved.keys() - (vars(defaults).keys() - free)
    if unknown:
        raise ValueError(
            f"{directory}: expected the run of {parser.prog}, found that of a {checkpoint.model} "
            f"with options that it does not have: {', '.join(sorted(unknown))}"
        )
    if saved.get("data") not in defaults.known_data:
        saved.pop("data", None)
    words = [f"--{name.replace('_', '-')}={_word(name, value, directory)}" for name, value in saved.items()]
    read = parser.read(words, f"{directory}: what was saved")
    return {name: getattr(read, name) for name in saved}


def _word(name: str, value: Any, directory: str) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    if type(value) in (int, float, str):
        return str(value)
    raise ValueError(f"{directory}: what was saved: {name} is of type {type(value).__name__}, expected a number or a string")


def elsewhere(directory: str, then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Say in one line in what a run goes on otherwise than it was saved, and what follows; "" where in nothing."""
    changed = [f"{name} {then[name]}, here {now[name]}" for name in now if name in then and then[name] != now[name]]
    if not changed:
        return ""
    return one_line(f"{directory} was saved with {'; '.join(changed)}: losses may differ in the last bits")
