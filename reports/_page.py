"""What every page shares: templates, BokehJS out of the installed wheel, and whole files or none."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import jinja2
from bokeh.resources import Resources
from markupsafe import Markup

from ..datasets.errors import InputError, LakeError


def template_text(name: str) -> str:
    """Return a file of ``templates/``."""
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def page_template(name: str) -> jinja2.Template:
    """Return a template that escapes what it is given and refuses what is missing."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(template_text),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
    )
    environment.globals["tables_js"] = Markup(template_text("tables.js"))  # our own file
    return environment.get_template(name)


def bokeh_js() -> str:
    """Return BokehJS as script elements."""
    # The default adds tables, widgets, WebGL and formulas: another 2.7 MB that nothing here uses.
    return str(Resources(mode="inline", components=["bokeh"], log_level="warn").render_js())


def script_json(value: object) -> str:
    """Return a value as JSON that cannot end the script element in which it stands."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


@contextlib.contextmanager
def told_of_record(folder: Path, what: str) -> Iterator[None]:
    """Say in one line, as an InputError, that a record which a page stumbles over is not whole."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, jinja2.UndefinedError) as error:
        raise InputError(
            f"{folder}: the {what}'s record lacks something or was changed: {error!r}"
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of it or nothing; its folder must exist.

    Raises
    ------
    LakeError
        If it cannot be written.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}"
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise LakeError(f"cannot write {path}: {error.strerror or error}") from error
