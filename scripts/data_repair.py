"""`liqtiers data repair`: what was damaged is set aside, what can be mended is mended."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final

import typer
from rich.console import Console

from liqtiers.datasets.catalog import refresh_catalog
from liqtiers.datasets.repair import DAMAGED, repair_lake
from liqtiers.scripts._terminal import run_verb
from liqtiers.scripts._workspace import open_lake

ROWS_MISSING: Final = 3
"""Exit code where files were set aside, so that rows are missing until they are imported again."""


def run(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
) -> None:
    """Repair the lake's files, or set them aside.

    Holds every file against its checksums, brings older ones up to date, and puts doubled, strayed or
    unsorted rows right; what is damaged goes to the quarantine. Exit code 3: rows are missing now; import
    or fetch them again. Nothing is thrown away.

    Example: liqtiers data repair --dry-run
    """
    lake, console = open_lake(), Console(soft_wrap=True, highlight=False, emoji=False)
    counts: Counter[str] = Counter()
    for found in repair_lake(lake, dry_run=dry_run):
        counts[found.kind] += 1
        where = f"{lake.store.shown(found.name)}: " if found.name else ""
        console.print(f"{found.kind}: {where}{found.words}", markup=False)
    console.print(_sentence(counts, lake.address, dry_run=dry_run), markup=False)
    if not dry_run:
        refresh_catalog(lake)
    if counts["damaged"]:
        raise typer.Exit(ROWS_MISSING)


def _sentence(counts: Counter[str], address: str, *, dry_run: bool) -> str:
    if not counts:
        return (
            f"The lake at {address} is whole: every file agrees with its checksums and its table."
        )
    done = "would be" if dry_run else "were"
    parts = [
        f"{counts[kind]:,} files {done} {words}"
        for kind, words in (
            ("migrated", "brought up to date"),
            ("mended", "mended"),
            ("damaged", f"set aside to {DAMAGED}"),
            ("aside", "set aside there, of which no row is missing"),
        )
        if counts[kind]
    ]
    if counts["foreign"]:
        parts.append(f"{counts['foreign']:,} do not belong here")
    if counts["leftovers"]:
        parts.append("leftovers were removed")
    text = f"{'; '.join(parts)}."
    if counts["damaged"]:
        text += (
            " What was set aside is missing from the lake: import it again, or run the same "
            "`liqtiers data fetch`, which does so from its cache."
        )
    return text


if __name__ == "__main__":
    run_verb(run, name="data repair")
