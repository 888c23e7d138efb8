"""The errors that liqtiers raises on purpose.

::

    LiqtiersError           exit code 1: something failed that the user did not cause
    ├── LakeError           the lake cannot be read or written
    ├── DownloadError       a server did not give what it should
    └── InputError          exit code 2: a mistake in a file, an option or a name

Every message is one line that names the file, row or option and says what would be right.
"""

from __future__ import annotations

from typing import ClassVar


class LiqtiersError(Exception):
    """Base of every error that liqtiers raises on purpose.

    Parameters
    ----------
    message : str
        What it quotes may come from a hostile file: ends of lines are shown as blanks, characters that
        would drive a terminal or cannot be printed as escapes.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(_one_line(message))


class LakeError(LiqtiersError):
    """The lake cannot be read or written."""


class DownloadError(LiqtiersError):
    """A server did not give what it should, or cannot be reached."""


class InputError(LiqtiersError):
    """A file, an option or a name that the user gave is wrong."""

    exit_code: ClassVar[int] = 2


def _one_line(text: str) -> str:
    shown = (" " if each.isspace() else each for each in text)
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in shown)
