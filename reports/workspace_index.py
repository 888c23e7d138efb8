"""index.html of a workspace: every run, study, map and comparison, the newest first, with what it came to.

Made of the JSON files that stand beside the pages; what cannot be read is listed as such, for a page of all
results must not fail for one of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from ..strategies.tuning.outcome import OUTCOME_FILE
from ._page import page_template, template_text, write_whole
from .comparison_page import COMPARISON_FILE, COMPARISONS
from .evidence.record import EVIDENCE, EVIDENCE_FILE
from .record_files import record_text
from .run_record import REPORT_FILE, RUN_FILE, run_title
from .tuning_record import STUDIES, known_studies

SCHEMA_VERSION: Final = 1
INDEX_FILE: Final = "index.html"
INDEX_JSON: Final = "index.json"
MAPS: Final = "maps"


class Entry(NamedTuple):
    """One result of a workspace.

    `page` is relative to the workspace, None where there is none; `created_at` is ISO 8601, UTC.
    """

    kind: str
    name: str
    title: str
    sentence: str
    created_at: str
    page: str | None


def write_index(workspace: Path) -> Path:
    """Write index.html and index.json into a workspace and return the page.

    Raises
    ------
    LakeError
        If they cannot be written.
    """
    entries = entries_of(workspace)
    about = {"schema": SCHEMA_VERSION, "entries": [entry._asdict() for entry in entries]}
    write_whole(workspace / INDEX_JSON, record_text(about).encode("utf-8"))
    page = page_template("index.html.j2").render(
        entries=entries,
        kinds=list(dict.fromkeys(entry.kind for entry in entries)),
        css=Markup(template_text("page.css")),  # our own file
    )
    write_whole(workspace / INDEX_FILE, page.encode("utf-8"))
    return workspace / INDEX_FILE


def entries_of(workspace: Path) -> list[Entry]:
    """Return all results of a workspace, the newest first."""
    found = [
        *_each(workspace, "runs", RUN_FILE, _run),
        *_each(workspace, EVIDENCE, EVIDENCE_FILE, _evidence),
        *_each(workspace, COMPARISONS, COMPARISON_FILE, _comparison),
        *_each(workspace, STUDIES, OUTCOME_FILE, _study),
        *_open_studies(workspace),
        *_maps(workspace),
    ]
    return sorted(found, key=lambda entry: entry.created_at, reverse=True)


Reader = Callable[[dict[str, Any]], tuple[str, str, str, str | None]]
"""Gives kind, title, sentence and creation of a record; None for the file's own time."""


def _each(workspace: Path, folder: str, name: str, reader: Reader) -> Iterator[Entry]:
    for file in (workspace / folder).glob(f"[!.]*/{name}"):
        page = file.parent / REPORT_FILE
        yield _entry(workspace, file, file.parent.name, page, reader)


def _maps(workspace: Path) -> Iterator[Entry]:
    for file in (workspace / MAPS).glob("[!.]*.html.json"):
        page = file.with_suffix("")
        yield _entry(workspace, file, page.stem, page, _map)


def _open_studies(workspace: Path) -> Iterator[Entry]:
    for name in known_studies(workspace):
        folder = workspace / STUDIES / name
        if not (folder / OUTCOME_FILE).is_file():
            told = "Not finished: the holdout is still closed; the same command goes on."
            yield Entry("tuning", name, name, told, _changed(folder), None)


def _entry(workspace: Path, file: Path, name: str, page: Path, reader: Reader) -> Entry:
    try:
        kind, title, sentence, created = reader(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        told = f"It cannot be read: {type(error).__name__} in {file.name}."
        return Entry("unreadable", name, name, told, _changed(file), None)
    link = page.relative_to(workspace).as_posix() if page.is_file() else None
    return Entry(kind, name, title, sentence, created or _changed(file), link)


def _changed(file: Path) -> str:
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, tz=UTC).isoformat(timespec="seconds")
    except OSError:
        return ""


def _run(about: dict[str, Any]) -> tuple[str, str, str, str | None]:
    verdict = about["verdict"]
    sentence = f"{verdict['sentence']} {verdict['warning'] or ''}".strip()
    return "backtest", run_title(about), sentence, about["created_at"]


def _evidence(about: dict[str, Any]) -> tuple[str, str, str, str | None]:
    return "evidence", about["subject"], about["headline"]["sentence"], about["created_at"]


def _comparison(about: dict[str, Any]) -> tuple[str, str, str, str | None]:
    title = " against ".join(run["id"] for run in about["runs"])
    return "comparison", title, about["sentence"], about["created_at"]


def _study(about: dict[str, Any]) -> tuple[str, str, str, str | None]:
    return "tuning", about["study"], about["verdict"]["sentence"], None


def _map(about: dict[str, Any]) -> tuple[str, str, str, str | None]:
    return "map", about["title"], about["sentence"], about["created_at"]
