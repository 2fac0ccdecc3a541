"""What a subcommand of ``twin`` is, and how the subcommands of all installed packages are found.

A package adds a subcommand through the entry-point group ``twin.commands``:

    [project.entry-points."twin.commands"]
    plate = "mylab.plate:plate"          # a `Command`

Entry points are loaded whenever ``twin`` starts, so their modules import nothing heavy at the top: `run`
imports what it needs when it is called.
"""

from __future__ import annotations

import importlib.metadata
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from twin.errors import TwinError

GROUP = "twin.commands"


@dataclass(frozen=True)
class Command:
    """One subcommand.

    Args:
        name: What one types after ``twin``.
        summary: What it does, in one line without a full stop.
        configure: Adds its arguments to a parser.
        run: Does it. Returns the exit status, 0 if all went well. Files that are complete are appended to
            ``args.saved`` (a list of paths), so that an interruption can say what there is.
        computes: Whether it compiles programs with JAX, and so profits from the cache of compiled programs.
        description: More about it, for its own help.
    """

    name: str
    summary: str
    configure: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]
    computes: bool = True
    description: str = ""


@dataclass(frozen=True)
class Commands:
    """The subcommands that are there.

    Args:
        found: Command by name, sorted.
        broken: Why it cannot be loaded, by name of an entry point.
    """

    found: Mapping[str, Command]
    broken: Mapping[str, str]


def find_commands() -> Commands:
    """The subcommands of all installed packages.

    Raises:
        TwinError: Two packages offer a subcommand of the same name, or an entry point is not a `Command`.
    """
    entries: dict[str, importlib.metadata.EntryPoint] = {}
    for entry in importlib.metadata.entry_points(group=GROUP):
        other = entries.setdefault(entry.name, entry)
        # An editable install beside a wheel lists the same entry point twice.
        if other.value != entry.value:
            raise TwinError(
                f"the command {entry.name!r} is offered by {_owner(other)} and by {_owner(entry)}",
                where=f"entry points {GROUP!r}",
                expected="one package per name",
                fix="uninstall one of them, or rename its command",
            )
    found, broken = {}, {}
    for name in sorted(entries):
        try:
            command = entries[name].load()
        except (ImportError, AttributeError) as error:
            # One broken package must not take the others' commands away.
            broken[name] = f"{_owner(entries[name])} cannot be loaded ({error})"
            continue
        if not isinstance(command, Command):
            raise TwinError(
                f"it is a {type(command).__name__}",
                where=f"entry point {name!r} of {_owner(entries[name])}",
                expected="a twin.commands.command.Command",
                fix="uninstall that package or correct it",
            )
        found[name] = command
    return Commands(found, broken)


def _owner(entry: importlib.metadata.EntryPoint) -> str:
    package = entry.dist.name if entry.dist is not None else "an unknown package"
    return f"{package} ({entry.value})"
