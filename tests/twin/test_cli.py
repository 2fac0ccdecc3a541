"""The program `twin`: finding commands, exit statuses, plain errors, remarks, the cache of compiled programs."""

from __future__ import annotations

import subprocess
import sys
import warnings
from importlib.metadata import EntryPoint, version
from pathlib import Path

import pytest

from twin.cli import main
from twin.commands import command as command_module
from twin.commands.command import Command, find_commands
from twin.errors import TwinError, TwinWarning


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch):
    monkeypatch.setenv("CYTOTWIN_NO_CACHE", "1")


def _run_nothing(args) -> int:
    return 0


GOOD = Command("good", "does nothing", lambda parser: None, _run_nothing, computes=False)
NOT_A_COMMAND = "text"


def _offer(monkeypatch, *entries: tuple[str, str]) -> None:
    """Let these (name, value) be the only entry points."""
    points = [EntryPoint(name, value, command_module.GROUP) for name, value in entries]
    monkeypatch.setattr(command_module.importlib.metadata, "entry_points", lambda group: points)


def _only(monkeypatch, run) -> None:
    """Let `twin work` run a function."""
    work = Command("work", "works", lambda parser: None, run, computes=False)
    found = command_module.Commands({"work": work}, {})
    monkeypatch.setattr("twin.cli.find_commands", lambda: found)


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name in ("models", "simulate", "calibrate", "assess", "benchmark", "demo", "CYTOTWIN_NO_CACHE=1"):
        assert name in shown


def test_without_arguments_shows_help(capsys):
    assert main([]) == 0
    assert "commands:" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["models", "simulate", "calibrate", "assess", "benchmark", "demo"])
def test_every_command_has_help(name, capsys):
    assert main([name, "--help"]) == 0
    assert "--debug" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"cytotwin {version('cytotwin')}"


def test_help_imports_nothing_heavy():
    script = (
        "import sys; from twin.cli import main; status = main(['--help'])\n"
        "heavy = {'jax', 'sympy', 'pandas', 'xarray', 'numpy', 'matplotlib'} & set(sys.modules)\n"
        "assert status == 0; assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=60)


def test_unknown_command_and_abbreviated_option_are_usage_errors(capsys):
    assert main(["simulat"]) == 2
    assert "invalid choice: 'simulat'" in capsys.readouterr().err
    assert main(["simulate", "theophylline", "--unt", "3", "--out", "x.nc"]) == 2
    assert "unrecognized arguments: --unt" in capsys.readouterr().err


def test_two_packages_with_one_command_are_both_named(monkeypatch):
    _offer(monkeypatch, ("plate", "one.plate:plate"), ("plate", "two.plate:plate"))
    with pytest.raises(TwinError, match=r"'plate' is offered by .*one\.plate.* and by .*two\.plate"):
        find_commands()


def test_two_packages_with_one_command_exit_2(monkeypatch, capsys):
    _offer(monkeypatch, ("plate", "one.plate:plate"), ("plate", "two.plate:plate"))
    assert main(["plate"]) == 2
    assert "one.plate" in capsys.readouterr().err


def test_same_entry_point_twice_is_one_command(monkeypatch):
    place = "twin.commands.simulate:simulate"
    _offer(monkeypatch, ("simulate", place), ("simulate", place))
    assert list(find_commands().found) == ["simulate"]


def test_broken_package_leaves_the_other_commands(monkeypatch, capsys):
    _offer(monkeypatch, ("bad", "no_such_package.x:y"), ("simulate", "twin.commands.simulate:simulate"))
    assert main(["--help"]) == 0
    assert "broken" in capsys.readouterr().out
    assert main(["bad", "--any", "thing"]) == 2
    assert "no_such_package" in capsys.readouterr().err


def test_entry_point_that_is_no_command_is_refused(monkeypatch):
    _offer(monkeypatch, ("errors", "twin.errors:nearest"))
    with pytest.raises(TwinError, match="it is a function"):
        find_commands()


def test_fault_is_a_message_without_traceback(monkeypatch, capsys):
    def fail(args):
        raise TwinError("the pump leaks", where="rig", fix="close the valve")

    _only(monkeypatch, fail)
    assert main(["work"]) == 2
    shown = capsys.readouterr()
    assert shown.err == "twin: rig: the pump leaks\n  to fix:   close the valve\n"
    assert shown.out == ""


@pytest.mark.parametrize("arguments", [["--debug", "work"], ["work", "--debug"]])
def test_debug_shows_the_traceback(monkeypatch, capsys, arguments):
    def fail(args):
        assert args.debug
        raise TwinError("the pump leaks")

    _only(monkeypatch, fail)
    assert main(arguments) == 2
    assert "Traceback" in capsys.readouterr().err


def test_interruption_says_what_is_saved(monkeypatch, capsys):
    def interrupted(args):
        args.saved.append(Path("fit.csv"))
        raise KeyboardInterrupt

    _only(monkeypatch, interrupted)
    assert main(["work"]) == 130
    assert "complete and saved: fit.csv" in capsys.readouterr().err


def test_interruption_with_nothing_saved(monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    _only(monkeypatch, interrupted)
    assert main(["work"]) == 130
    assert "nothing was saved" in capsys.readouterr().err


def test_file_that_cannot_be_written_is_a_message(monkeypatch, capsys):
    def fail(args):
        raise PermissionError(13, "Permission denied", "out.csv")

    _only(monkeypatch, fail)
    assert main(["work"]) == 2
    assert capsys.readouterr().err == "twin: out.csv: Permission denied\n"


def test_error_of_the_program_itself_is_not_hidden(monkeypatch):
    def bug(args):
        raise ZeroDivisionError("division by zero")

    _only(monkeypatch, bug)
    with pytest.raises(ZeroDivisionError, match="division"):
        main(["work"])


def test_status_of_the_command_is_returned(monkeypatch):
    _only(monkeypatch, lambda args: 1)
    assert main(["work"]) == 1


def test_warnings_become_short_remarks_once(monkeypatch, capsys):
    def warn(args):
        for _ in range(2):
            warnings.warn("10 readings for\n12 numbers", TwinWarning, stacklevel=1)
        warnings.warn("noise of another library", RuntimeWarning, stacklevel=1)
        return 0

    _only(monkeypatch, warn)
    assert main(["work"]) == 0
    assert capsys.readouterr().err == "note: 10 readings for 12 numbers\n"


def test_reader_that_goes_away_is_no_fault():
    script = "import sys; from twin.cli import main; sys.exit(main(['models', 'theophylline']))"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=120) == 0
    assert b"Traceback" not in errors
