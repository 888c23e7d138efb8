"""What is audited: a class or function of a file or module, and where things stand in its source.

A target is loaded afresh in each process that runs it, and never in the process that asks: what a
module keeps from one run must not reach the next one unseen.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, Final

from ...datasets.errors import InputError

_PREFIX: Final = "audited_"
"""Before a file's own name, so that a file called ``signal.py`` hides no module."""


@dataclass(frozen=True, slots=True)
class Target:
    """A class or function by name.

    Attributes
    ----------
    source : str
        Path of a Python file, or the name of a module that can be imported.
    name : str
        What it is called there.
    """

    source: str
    name: str

    @property
    def is_file(self) -> bool:
        """Whether the source is a file."""
        return self.source.endswith(".py")

    def __str__(self) -> str:
        return f"{Path(self.source).name}:{self.name}" if self.is_file else self.name


def parse_target(text: str) -> Target:
    """Return the target written as ``FILE.py:Name`` or ``module:Name``.

    Raises
    ------
    InputError
        If it is not written so, the file is not there or is no Python.
    """
    source, _, name = text.rpartition(":")
    if not source or not name.isidentifier():
        raise InputError(f"{text!r} names nothing to audit: write FILE.py:Name")
    if not source.endswith(".py"):
        return Target(source, name)
    path = Path(source)
    if not path.is_file():
        raise InputError(f"{source}: there is no such file")
    try:
        ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise InputError(f"{source}:{line or 1} is no Python: {error}") from None
    return Target(str(path.resolve()), name)


def load_target(target: Target) -> Any:
    """Return the class or function that a target names.

    Raises
    ------
    InputError
        If its module cannot be loaded, or has nothing of that name.
    """
    try:
        module = _load_file(Path(target.source)) if target.is_file else _import(target.source)
    except (Exception, SystemExit) as error:
        where = user_line(traceback.walk_tb(error.__traceback__), target)
        told = f"{type(error).__name__}: {error}"
        raise InputError(f"{where or target.source} cannot be loaded: {told}") from error
    if not hasattr(module, target.name):
        offered = [
            name
            for name, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__
        ]
        known = ", ".join(offered) or "nothing to audit"
        raise InputError(f"{Path(target.source).name} has no {target.name}: it has {known}")
    return getattr(module, target.name)


def module_of(target: Target) -> ModuleType:
    """Return a loaded target's module."""
    name = _PREFIX + Path(target.source).stem if target.is_file else target.source
    return sys.modules[name]


def _load_file(path: Path) -> ModuleType:
    name = _PREFIX + path.stem
    if name in sys.modules:
        return sys.modules[name]
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # backtrader looks a class's module up there
    spec.loader.exec_module(module)
    return module


def _import(name: str) -> ModuleType:
    return importlib.import_module(name)


def user_line(frames: Iterable[tuple[FrameType, int]], target: Target) -> str:
    """Return ``file:line`` of the innermost frame in the target's file, empty where there is none.

    Parameters
    ----------
    frames : iterable of (frame, line)
        From the outermost to the innermost.
    target : Target
    """
    wanted = _file_of(target)
    lines = [line for frame, line in frames if frame.f_code.co_filename == wanted]
    return f"{Path(wanted).name}:{lines[-1]}" if lines else ""


def _file_of(target: Target) -> str:
    if target.is_file:
        return target.source
    return str(getattr(sys.modules.get(target.source), "__file__", ""))


class SourceLines:
    """Where names are given their values in a target's file; each answer is ``file:line`` or empty."""

    def __init__(self, target: Target) -> None:
        path = Path(_file_of(target))
        self._file = path.name
        self._tree = ast.parse(path.read_bytes() if path.is_file() else b"")
        self._lines: dict[tuple[str, object], int] = {}
        for node in ast.walk(self._tree):
            self._index(node)

    def _index(self, node: ast.AST) -> None:
        key: tuple[str, object] | None = None
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            key = ("attribute", node.attr)
        elif isinstance(node, ast.ClassDef):
            key = ("class", node.name)
        elif isinstance(node, ast.FunctionDef):
            key = ("function", node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            key = ("text", node.value)
        elif isinstance(node, ast.keyword):
            key = ("text", node.arg)
        if key is not None:
            line = int(getattr(node, "lineno", 0))
            self._lines[key] = min(line, self._lines.get(key, line))

    def of_attribute(self, name: str) -> str:
        """Return the first ``self.name = …``."""
        return self._found("attribute", name)

    def of_class(self, name: str) -> str:
        """Return where the file defines a class."""
        return self._found("class", name)

    def of_function(self, name: str) -> str:
        """Return where the file defines a function."""
        return self._found("function", name)

    def of_text(self, text: str) -> str:
        """Return the first mention of a column by name."""
        return self._found("text", text)

    def of_global(self, name: str) -> str:
        """Return where a module's global variable is set, or an attribute in the body of a class."""
        scope, _, last = name.rpartition(".")
        classes = [node for node in self._tree.body if isinstance(node, ast.ClassDef)]
        holders: list[ast.Module | ast.ClassDef] = [self._tree, *classes]
        lines = [
            statement.lineno
            for holder in holders
            if getattr(holder, "name", "") == scope
            for statement in holder.body
            if isinstance(statement, (ast.Assign, ast.AnnAssign))
            for node in ast.walk(statement)
            if isinstance(node, ast.Name) and node.id == last and isinstance(node.ctx, ast.Store)
        ]
        return f"{self._file}:{min(lines)}" if lines else ""

    def _found(self, kind: str, name: str) -> str:
        line = self._lines.get((kind, name))
        return "" if line is None else f"{self._file}:{line}"
