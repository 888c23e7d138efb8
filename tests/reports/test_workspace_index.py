"""The page of all results: complete, newest first, and never broken by one of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from liqtiers.reports.backtest_report import write_report
from liqtiers.reports.comparison_page import write_comparison
from liqtiers.reports.run_record import read_run
from liqtiers.reports.workspace_index import INDEX_JSON, entries_of, write_index
from liqtiers.scripts.main import DATA_VERBS, VERBS

MakeRun = Callable[..., Path]


def test_every_result_is_listed_newest_first(
    make_run: MakeRun, made_study: Callable[..., Path], evidence_of_one: Path, tmp_path: Path
) -> None:
    """Runs, a study, evidence and a comparison, each with its sentence and a link that leads to a page."""
    runs = [make_run(seed=seed) for seed in (1, 2)]
    write_report(runs[0])
    records = [read_run(run) for run in runs]
    write_comparison(tmp_path, records, command="x", created_at=datetime(2027, 1, 1, tzinfo=UTC))
    for folder, kind in ((made_study(), "studies"), (evidence_of_one.parent, "evidence")):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / folder.name).symlink_to(folder)
    page = write_index(tmp_path)
    found = json.loads((tmp_path / INDEX_JSON).read_text())
    kinds = [entry["kind"] for entry in found["entries"]]
    assert sorted(kinds) == ["backtest", "backtest", "comparison", "evidence", "tuning"]
    moments = [entry["created_at"] for entry in found["entries"]]
    assert moments == sorted(moments, reverse=True)
    links = [entry["page"] for entry in found["entries"] if entry["page"]]
    assert len(links) >= 3
    assert all((tmp_path / link).is_file() for link in links)
    html = page.read_text()
    assert all(f'href="{link}"' in html for link in links)
    assert records[0].about["verdict"]["sentence"] in html


def test_what_cannot_be_read_is_listed_as_such(make_run: MakeRun, tmp_path: Path) -> None:
    """Half a record, and one that is no JSON, stand on the page; hidden folders do not."""
    whole = make_run()
    for name, text in (("half", "{}"), ("torn", '{"verdict": '), (".hidden", "{}")):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "run.json").write_text(text)
    (tmp_path / "studies" / "open").mkdir(parents=True)
    (tmp_path / "studies" / "open" / "journal.log").write_text("")
    found = {entry.name: entry for entry in entries_of(tmp_path)}
    assert set(found) == {whole.name, "half", "torn", "open"}
    assert found["half"].sentence == "It cannot be read: KeyError in run.json."
    assert found["torn"].kind == "unreadable"
    assert found["open"].sentence.startswith("Not finished")


def test_an_empty_workspace_says_so(tmp_path: Path) -> None:
    """Nothing yet, what to run first and which commands come then; a hostile name stays text."""
    empty = write_index(tmp_path).read_text()
    assert "Nothing here yet" in empty
    verbs = re.findall(r"<code>liqtiers ([a-z ]+)</code>", empty)
    assert verbs == ["demo", *("data import", "data fetch"), "map", "backtest", "evidence", "tune"]
    assert {verb.removeprefix("data ") for verb in verbs} <= {*VERBS, *DATA_VERBS}
    folder = tmp_path / "runs" / "<img src=x>"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("[]")
    assert "<img" not in write_index(tmp_path).read_text()
