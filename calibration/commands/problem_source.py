"""What a command works on: a study of the library, a PEtab problem, or a model with a table."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.commands.options import add_problem_options, problem_from
from twin.commands.dosing import is_plain
from twin.errors import TwinError

if TYPE_CHECKING:
    from calibration.problem import Problem

_YAML = (".yaml", ".yml")


def names_petab(text: str) -> bool:
    """Whether the name of a source is that of a PEtab file; else it is a study of the library."""
    return Path(text).suffix.lower() in _YAML


def add_source(parser: ArgumentParser) -> None:
    """The positional argument ``study``, a study or the description of a PEtab problem, and the options beside it."""
    parser.add_argument(
        "study", nargs="?", metavar="STUDY|PETAB.yaml", help="a study of the library, or the file of a PEtab problem"
    )
    add_problem_options(parser)


def problem_of(args: Namespace) -> Problem:
    """The problem that is named.

    Raises:
        TwinError: it cannot be read or built, or options are given that a PEtab problem answers itself.
    """
    if not args.study or not names_petab(args.study):
        return problem_from(args)
    for name in ("model", "estimate", "fix", "noise", "data"):
        if getattr(args, name):
            raise TwinError(
                f"--{name} is given with the PEtab problem {args.study}", where="options", fix="leave it out"
            )
    if not is_plain(args):
        raise TwinError(
            f"doses or changes are given with the PEtab problem {args.study}",
            where="options",
            fix="leave them out: the problem has its experiments",
        )
    from calibration.petab.read import read_petab

    return read_petab(args.study)
