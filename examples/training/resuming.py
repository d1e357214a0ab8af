"""The options of a run that is resumed: saved values, each checked like a word of the command line.

The file may come from somebody else. So no saved value names a file or a directory: only the command line says where to read,
to save and to draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from examples.training.checkpoint import Checkpoint
from examples.training.console import Parser
from parity.command import one_line

LENGTH = ("steps", "epochs")  # the length of a run may change


class Saved(NamedTuple):
    """The names of the options that a checkpoint keeps, and the names of --data that are not files."""

    names: tuple[str, ...]
    data: tuple[str, ...]


def resumed(parser: Parser, given: Mapping[str, Any], saved: Saved) -> dict[str, Any]:
    """Return the options of the run that is resumed; ValueError if a given option contradicts them.

    The length may change, and the user's own text has to be named again.
    """
    directory = given["resume"]
    found = _read(parser, Checkpoint.load(directory), directory, saved)
    if "data" not in found and "data" not in given:
        raise ValueError(
            f"{directory}: the run was trained on a file of the user, whose name is not saved; name it with --data FILE"
        )
    if any(name in given for name in LENGTH):
        found.pop("steps", None)
    for name, value in found.items():
        if name in given and given[name] != value:
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(
                f"{flag} {given[name]}: the run in {directory} was started with {value}; leave {flag} out or start another run"
            )
    return found


def _read(parser: Parser, checkpoint: Checkpoint, directory: str, saved: Saved) -> dict[str, Any]:
    """Return the saved options as the parser reads them, without the data if it was a file of the user."""
    found = {name: value for name, value in checkpoint.options.items() if name != "epochs" and value is not None}
    unknown = found.keys() - set(saved.names)
    if unknown:
        raise ValueError(
            f"{directory}: expected the run of {parser.prog}, found the run of a {checkpoint.model} "
            f"with options that it does not have: {', '.join(sorted(unknown))}"
        )
    if found.get("data") not in saved.data:
        found.pop("data", None)
    words = [f"--{name.replace('_', '-')}={_word(name, value, directory)}" for name, value in found.items()]
    read = parser.read(words, f"{directory}: saved options")
    return {name: getattr(read, name) for name in found}


def _word(name: str, value: Any, directory: str) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    if type(value) in (int, float, str):
        return str(value)
    raise ValueError(f"{directory}: saved options: {name} is of type {type(value).__name__}, expected a number or a string")


def environment_change(directory: str | None, then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return in one line how the environment has changed since a run was saved; "" if it has not."""
    changed = [f"{name} {then[name]}, here {now[name]}" for name in now if name in then and then[name] != now[name]]
    if not changed:
        return ""
    return one_line(f"{directory} was saved with {'; '.join(changed)}: losses may differ in the last bits")
