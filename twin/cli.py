"""The program ``twin``: finds its subcommands, runs one, and speaks plainly when something is wrong."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version

from twin.cache import OPT_OUT
from twin.commands.command import Command, Commands, find_commands
from twin.commands.devices import one_device_per_core
from twin.commands.remarks import remark, warnings_as_remarks
from twin.errors import TwinError

OK, FAULT, INTERRUPTED = 0, 2, 130
"""Exit statuses; a command may return 1 where part of its work failed."""

EPILOG = f"""\
Compiled programs are kept in the user's cache folder, so that a second run starts sooner; set {OPT_OUT}=1 to keep none.
'twin COMMAND --help' says more about a command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        argv: Arguments after the program's name; default those of the process.

    Returns:
        The exit status: 0 if all went well, 2 for a fault in what was asked, 130 after an interruption.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        parser = _parser(find_commands())
        with contextlib.suppress(ValueError):
            # Tables hold characters that an old code page lacks; a question mark is better than a crash.
            _forgiving(sys.stdout)
            _forgiving(sys.stderr)
        args, unknown = parser.parse_known_args(arguments)
        if unknown and not getattr(args, "lenient", False):
            parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        if args.command is None:
            parser.print_help()
            return OK
        return _run(args.command, args)
    except SystemExit as leaving:  # argparse leaves so after --help and after a usage error
        return leaving.code if isinstance(leaving.code, int) else FAULT if leaving.code else OK
    except TwinError as error:
        if debug:
            traceback.print_exc()
        else:
            print(f"twin: {error}", file=sys.stderr)
        return FAULT
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; nothing is wrong. The rest goes nowhere.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        if debug or error.filename is None:
            raise
        print(f"twin: {error.filename}: {error.strerror}", file=sys.stderr)
        return FAULT


def _run(command: Command, args: argparse.Namespace) -> int:
    args.saved = []
    if command.computes:
        one_device_per_core()
    try:
        with warnings_as_remarks(args.debug):
            status = command.run(args)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print(file=sys.stderr)
        if args.saved:
            listed = ", ".join(str(path) for path in args.saved)
            remark(f"interrupted; complete and saved: {listed}")
        else:
            remark("interrupted; nothing was saved")
        return INTERRUPTED


def _parser(commands: Commands) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="twin",
        description="Digital twins of cellular and immune dynamics: simulate, calibrate, measure the gap to reality.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cytotwin {version('cytotwin')}")
    debug_help = "show the whole traceback of a fault, and the warnings of other libraries"
    parser.add_argument("--debug", action="store_true", default=False, help=debug_help)
    parser.set_defaults(command=None)
    listed = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=argparse.ArgumentParser)
    for name, command in commands.found.items():
        own = listed.add_parser(
            name,
            help=command.summary,
            description=command.description or command.summary + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            # An abbreviation that works today would be ambiguous after the next option.
            allow_abbrev=False,
        )
        command.configure(own)
        # SUPPRESS keeps the value given before the command's name.
        own.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=debug_help)
        own.set_defaults(command=command)
    for name, reason in commands.broken.items():
        said = reason.replace("%", "%%")  # argparse formats help texts
        own = listed.add_parser(name, help=f"(broken: {said})", add_help=False)
        # Whatever its arguments are, the message is that it is broken.
        own.add_argument("rest", nargs="*")
        own.set_defaults(command=_broken(name, reason), lenient=True)
    return parser


def _broken(name: str, reason: str) -> Command:
    def run(args: argparse.Namespace) -> int:
        raise TwinError(
            f"the command cannot be used: {reason}", where=f"twin {name}", fix="reinstall or remove that package"
        )

    return Command(name, "broken", lambda parser: None, run, computes=False)


def _forgiving(stream) -> None:
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
