"""A dataclass full of arrays as a folder of ``.npy`` files and an index, and back again.

Nothing here knows which dataclass it is: fields are walked as they come, so that a class which gains a
field needs no change. The index holds each array's type, shape and checksum and one of its own; a
folder that does not agree with it to the last bit is `Damaged`. Arrays come back memory-mapped, and may
be written to without the files changing.

Left out on purpose: where folders lie and when they are renamed (``map_cache``).
"""

from __future__ import annotations

import importlib
import json
import zlib
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import LiqtiersError

Array: TypeAlias = NDArray[Any]
Node: TypeAlias = Any
"""A part of a JSON document."""

INDEX: Final = "index.json"
_OWN_PACKAGE: Final = __name__.partition(".")[0]


class Damaged(Exception):  # noqa: N818  # it is a state of the folder that the caller mends
    """A folder is not what was stored in it."""


def describe(value: object, keep: Callable[[str, Array], Node], place: str = "value") -> Node:
    """Return a value as JSON, each of its arrays replaced by what `keep` says of it.

    Parameters
    ----------
    value : object
        Dataclasses of this package, tuples, lists, dicts with text keys, arrays of plain numbers,
        numbers, text and None, nested at will.
    keep : callable
        Given an array's place in the tree (``value.features.imbalance``) and the array in C order.
    place : str
        What the value is called in places and messages.

    Raises
    ------
    TypeError
        If a part is of another type; the message names its place.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.generic):
        return {"scalar": describe(np.asarray(value), keep, place)}
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return {"array": keep(place, np.asarray(value, order="C"))}
    if type(value) in (tuple, list):
        parts = [describe(part, keep, f"{place}.{i}") for i, part in enumerate(value)]  # type: ignore[var-annotated,arg-type]  # mypy does not narrow by type()
        return {type(value).__name__: parts}
    if type(value) is dict and all(type(key) is str for key in value):
        return {"dict": {key: describe(value[key], keep, f"{place}.{key}") for key in value}}
    if is_dataclass(value) and type(value).__module__.partition(".")[0] == _OWN_PACKAGE:
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        parts_by_name = {
            f.name: describe(getattr(value, f.name), keep, f"{place}.{f.name}")
            for f in fields(value)
            if f.init
        }
        return {"dataclass": name, "fields": parts_by_name}
    raise TypeError(f"{place} is a {type(value).__name__}, which cannot be stored")


def store(folder: Path, value: object) -> None:
    """Write a value (see `describe`) into a new folder.

    Raises
    ------
    TypeError
        If a part of it is of a type that cannot be stored.
    OSError
        If the folder is there already or cannot be written.
    """
    folder.mkdir()

    def keep(place: str, array: Array) -> Node:
        # By number: two places can differ by letter case only, which some file systems ignore.
        name = f"{len(list(folder.iterdir())):03d}_{place.rpartition('.')[2]}.npy"
        np.save(folder / name, array, allow_pickle=False)
        return {"file": name, "crc32": _checksum(array), **_layout(array)}

    tree = describe(value, keep)
    index = {"crc32": _text_checksum(tree), "tree": tree}
    (folder / INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")


def restore(folder: Path) -> object:
    """Return what was stored in a folder, equal to the last bit.

    Raises
    ------
    Damaged
        If a file is missing, shortened or changed, or the index is of another version of the code.
    """
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if index["crc32"] != _text_checksum(index["tree"]):
            raise Damaged(f"{folder / INDEX} was changed")
        return _built(folder, index["tree"])
    except (OSError, ValueError, TypeError, LookupError, AttributeError, ImportError) as error:
        raise Damaged(f"{folder}: {error}") from error
    except LiqtiersError as error:
        raise Damaged(f"{folder}: {error}") from error


def _built(folder: Path, node: Node) -> Any:  # noqa: ANN401  # any part of a stored value
    if not isinstance(node, dict):
        return node
    if "array" in node:
        return _mapped(folder, node["array"])
    if "scalar" in node:
        return _built(folder, node["scalar"])[()]
    if "dict" in node:
        return {key: _built(folder, part) for key, part in node["dict"].items()}
    if "dataclass" in node:
        module, _, name = node["dataclass"].partition(":")
        if module.partition(".")[0] != _OWN_PACKAGE:
            raise Damaged(f"{folder}: {module} is not of this package")
        made = getattr(importlib.import_module(module), name)
        return made(**{key: _built(folder, part) for key, part in node["fields"].items()})
    parts = [_built(folder, part) for part in node["list" if "list" in node else "tuple"]]
    return parts if "list" in node else tuple(parts)


def _mapped(folder: Path, kept: Node) -> Array:
    # Copy on write: what is loaded can be used as freely as what is built.
    array: Array = np.asarray(np.load(folder / kept["file"], mmap_mode="c", allow_pickle=False))
    if _layout(array) != {"dtype": kept["dtype"], "shape": kept["shape"]}:
        raise Damaged(f"{folder / kept['file']} has another type or shape")
    if _checksum(array) != kept["crc32"]:
        raise Damaged(f"{folder / kept['file']} was changed")
    return array


def _layout(array: Array) -> Node:
    return {"dtype": array.dtype.str, "shape": list(array.shape)}


def _checksum(array: Array) -> int:
    return zlib.crc32(array.reshape(-1).view(np.uint8).data)


def _text_checksum(tree: Node) -> int:
    return zlib.crc32(json.dumps(tree, sort_keys=True).encode())
