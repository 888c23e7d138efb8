"""What every record on disk shares: its name, values that JSON can hold, and whole folders or none."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.errors import LakeError


def record_id(created_at: datetime, about: dict[str, Any]) -> str:
    """Return a name that sorts by time and tells records of one second apart."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()
    return f"{created_at:%Y%m%d-%H%M%S}-{digest[:6]}"


def plain(value: Any) -> Any:  # any JSON value
    """Return a value as JSON can hold it: NaN and infinity become null."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def record_text(about: dict[str, Any]) -> str:
    """Return a record as it stands in its file: JSON, NaN and infinity as null."""
    return json.dumps(plain(about), indent=1, allow_nan=False)


@contextlib.contextmanager
def whole_folder(folder: Path, *, what: str) -> Iterator[Path]:
    """Give a hidden folder to write into, which takes the place of `folder` once all is written.

    Parameters
    ----------
    folder : Path
    what : str
        What it holds, for the message.

    Raises
    ------
    LakeError
        If it cannot be written; nothing is left behind.
    """
    hidden = folder.parent / f".{folder.name}.{os.getpid()}"
    try:
        hidden.mkdir(parents=True)
        yield hidden
        if folder.exists():
            shutil.rmtree(folder)
        hidden.rename(folder)
    except OSError as error:
        raise LakeError(f"cannot write {what} {folder}: {error}") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
