"""How a command ends: with its result, or with one line on standard error and an exit code.

Exit code 2 is a mistake in what the user typed or gave, 1 any other failure, 130 an interruption.
A traceback is shown only with ``--debug``, which may stand anywhere on the command line.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Final, cast

import typer
from typer.core import TyperCommand, TyperGroup

from liqtiers.datasets.errors import LiqtiersError

DEBUG: Final = "--debug"
_INTERRUPTED: Final = 130


def command_of(function: Callable[..., None], *, name: str) -> TyperCommand | TyperGroup:
    """Return the command that calls `function`, its options read from the annotations."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name)(function)
    return cast("TyperCommand | TyperGroup", typer.main.get_command(app))


def run_verb(function: Callable[..., None], *, name: str) -> None:
    """Run one verb as a program of its own, for ``python -m liqtiers.scripts.<verb>``."""
    sys.exit(run(command_of(function, name=name), sys.argv[1:], program=name))


def run(command: TyperCommand | TyperGroup, arguments: Sequence[str], *, program: str) -> int:
    """Run a command line and return its exit code; errors are one line on standard error.

    Parameters
    ----------
    command : TyperCommand or TyperGroup
    arguments : sequence of str
        What the user typed after the program's name.
    program : str
        The program's name, as it begins each error line.
    """
    words, debug = _take_debug(arguments)
    try:
        code = command.main(args=words, prog_name=program, standalone_mode=False)
    except (LiqtiersError, typer.TyperException) as error:
        return _fail(program, _message(error), error.exit_code, debug=debug)
    except typer.Abort:
        return _fail(program, "interrupted", _INTERRUPTED, debug=debug)
    except OSError as error:
        return _fail(program, _system_message(error), 1, debug=debug)
    except Exception as error:  # noqa: BLE001  # the last line of defence against a raw traceback
        told = f"{type(error).__name__}: {error}".strip().removesuffix(":")
        message = f"unexpected {told} (add {DEBUG} to see where)"
        return _fail(program, message, 1, debug=debug)
    if code == _INTERRUPTED:
        return _fail(program, "interrupted", _INTERRUPTED, debug=False)
    return code if isinstance(code, int) else 0


def _take_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Take ``--debug`` out of the options, wherever it stands before a lone ``--``."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = [word for word in arguments[:end] if word != DEBUG]
    return [*options, *arguments[end:]], len(options) < end


def _fail(program: str, message: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    typer.echo(f"{program}: {' '.join(message.split())}", err=True)
    return code


def _message(error: LiqtiersError | typer.TyperException) -> str:
    if isinstance(error, LiqtiersError):
        return str(error)
    context = getattr(error, "ctx", None)
    hint = f" (see {context.command_path} --help)" if context is not None else ""
    return error.format_message().rstrip(".") + hint


def _system_message(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename is not None else reason
