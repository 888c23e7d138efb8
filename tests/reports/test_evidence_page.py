"""The page of a study of evidence: what it says, in which order, and what it says is missing."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from liqtiers.datasets.errors import InputError
from liqtiers.reports.evidence.record import EVIDENCE_FILE
from liqtiers.reports.evidence_charts import claims_chart
from liqtiers.reports.evidence_page import write_evidence_page
from liqtiers.reports.evidence_words import family_lines, skill_lines
from made_up_evidence import BARE, FULL

HOSTILE = "<script>window.struck = 1</script>"


def body_of(page: Path) -> str:
    """The page's own text: what stands between the scripts, entities resolved."""
    text = re.sub(r"<script.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return html.unescape(text)


def about_of(page: Path) -> dict[str, Any]:
    about: dict[str, Any] = json.loads((page.parent / EVIDENCE_FILE).read_text(encoding="utf-8"))
    return about


def test_verdict_comes_first_and_the_parts_in_their_order(evidence_of_one: Path) -> None:
    """Headline, skills, the picture, all claims, then what stands behind them."""
    text = body_of(evidence_of_one)
    about = about_of(evidence_of_one)
    parts = [
        about["headline"]["sentence"],
        "Where liquidations happen:",
        "What was found, in one picture",
        "All claims",
        "What came of the tiers",
        "The imbalance as a signal",
        "How much of it is convention",
        "Would it have paid?",
        "The rule against its price-only twin",
        "How large could it be traded?",
        "Where the map was wrong",
        "The levels that were named",
        "How it was done",
        "Data and parameters",
        about["command"],
    ]
    places = [text.find(part, text.find("<body>")) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)


def test_every_claim_is_there_with_its_full_sentence(evidence_of_one: Path) -> None:
    """No claim that was looked at is left out, whatever its outcome."""
    text = body_of(evidence_of_one)
    for claim in about_of(evidence_of_one)["markets"][FULL]["claims"]:
        assert f'data-claim="{claim["key"]}"' in text
        assert claim["sentence"] in text


def test_page_is_written_again_from_its_record_alone(evidence_of_one: Path) -> None:
    """Rendering again gives the same text: nothing is computed or drawn by chance."""

    def without_ids(page: Path) -> str:
        return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|p\d{4,}", "", page.read_text(encoding="utf-8"))

    before = without_ids(evidence_of_one)
    assert without_ids(write_evidence_page(evidence_of_one.parent)) == before
    assert evidence_of_one.stat().st_size < 5e6


def test_one_market_has_no_forest_and_two_have_one_for_each_family(
    evidence_of_one: Path, evidence_of_two: Path
) -> None:
    """Instruments stand side by side only where there are several, for the claims that both have."""
    assert "Instruments side by side" not in body_of(evidence_of_one)
    text, about = body_of(evidence_of_two), about_of(evidence_of_two)
    assert "Instruments side by side" in text
    families = {claim["name"] for claim in about["pooled"]}
    assert "where" not in families, "only one of them has prints"
    assert f"only {FULL} can be judged: see the claims there" in text
    assert families == set(re.findall(r'id="forest-(\w+)"', text))


def test_what_is_missing_is_said(evidence_of_two: Path) -> None:
    """A market without prints, open interest and funding says so, by its name."""
    told = re.findall(r'class="warning note [a-z-]+">([^<]*)<', body_of(evidence_of_two))
    for word in ("No printed liquidations", "No open interest", "No funding rates"):
        assert any(line.startswith(f"{BARE}: {word}") for line in told)
    assert not any(line.startswith(f"{FULL}: No ") for line in told)


def changed(page: Path, folder: Path) -> tuple[Path, dict[str, Any]]:
    """A copy of a study, to be spoiled: its JSON's path, and what is in it."""
    path = shutil.copytree(page.parent, folder / "changed") / EVIDENCE_FILE
    return path, json.loads(path.read_text(encoding="utf-8"))


def test_markup_in_names_stays_text(evidence_of_one: Path, tmp_path: Path) -> None:
    """Whatever the user typed, or a vendor called its map, is text on the page."""
    path, about = changed(evidence_of_one, tmp_path)
    about["command"] = HOSTILE
    market = about["markets"][FULL]
    market["missing"] = [HOSTILE]
    market["map"] |= {"model": HOSTILE, "notes": [HOSTILE]}
    market["instrument"]["symbol"] = HOSTILE
    about["headline"]["sentence"] = HOSTILE
    path.write_text(json.dumps(about), encoding="utf-8")
    text = write_evidence_page(path.parent).read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert text.count(html.escape(HOSTILE)) >= 6


def test_order_books_stand_beside_what_was_charged(evidence_of_one: Path, tmp_path: Path) -> None:
    """Where there were books, their cost of a fill is said, with how many trades had one; else nothing."""
    assert "by order books" not in body_of(evidence_of_one)
    path, about = changed(evidence_of_one, tmp_path)
    rows = about["markets"][FULL]["capacity"]["rows"]
    for row in rows:
        row["book"] = {"trades": 7, "charged_bps": 3.25, "book_bps": 4.75, "beyond": 2}
    path.write_text(json.dumps(about), encoding="utf-8")
    text = body_of(write_evidence_page(path.parent))
    assert (
        "a fill would have cost 4.75 bp at the largest equity, where 3.25 bp were charged" in text
    )
    assert f"7 of {rows[-1]['trades']:,} trades have a book" in text
    assert "2 fills are larger than all that the book shows" in text
    assert "<th>by order books, bp</th>" in text


def test_changed_record_is_refused_in_one_sentence(evidence_of_one: Path, tmp_path: Path) -> None:
    """A record that lacks what the page shows is named, without a traceback."""
    path, about = changed(evidence_of_one, tmp_path)
    del about["markets"][FULL]["rule"]
    path.write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(InputError, match="lacks something or was changed"):
        write_evidence_page(path.parent)


def claim_about(name: str, value: float, **changes: Any) -> dict[str, Any]:
    """A claim as the record holds it."""
    effect = {"value": value, "low": value - 0.02, "high": value + 0.02, "p": 0.01, "n": 500}
    return {
        "key": f"{name} 1h", "name": name, "horizon_hours": 1, "skill": "way", "unit": "rank",
        "matters": 0.05, "effect": effect, "outcome": "evidence", "placebo": {}, **changes,
    }  # fmt: skip


def test_picture_counts_in_effects_that_would_matter() -> None:
    """0.1 where 0.05 would matter is drawn at 2; an enormous effect stops at the edge and is named."""
    enormous = claim_about("imbalance", 4.0)
    placebo = claim_about("flow", 0.1, placebo={"shifted": {"value": 0.025}})
    plot, beyond = claims_chart("verdict", [placebo, enormous])
    drawn = [r.data_source.data for r in plot.renderers if r.name == "evidence"]
    assert drawn[0]["value"] == pytest.approx([2.0, 8.0])
    assert drawn[0]["low"] == pytest.approx([1.6, 8.0])
    assert beyond == ["Imbalance, 1 h"]
    (other,) = [r.data_source.data for r in plot.renderers if r.name == "placebo"]
    assert other["value"] == pytest.approx([0.5])


def test_outcomes_differ_by_mark_and_not_by_colour_alone() -> None:
    """Evidence, none, too little and against each have a mark of their own."""
    outcomes = ("evidence", "no evidence", "too little data", "against")
    plot, _ = claims_chart("verdict", [claim_about("flow", 0.1, outcome=o) for o in outcomes])
    marks = {r.glyph.marker for r in plot.renderers if r.glyph.__class__.__name__ == "Scatter"}
    assert len(marks) == len(outcomes)


def test_lines_name_what_was_found() -> None:
    """The line of a skill names its evidence; a family's line has every horizon."""
    claims = [claim_about("flow", 0.1), claim_about("imbalance", 0.0, outcome="no evidence")]
    (_, way, _) = skill_lines(claims, {"where": None, "way": "evidence", "far": None})
    assert way["meaning"] == "of 2 claims: evidence for 1 (Flow, 1 h), no evidence for 1"
    (flow, imbalance) = family_lines(claims)
    assert flow.endswith(": 1 h +0.100, evidence")
    assert imbalance.endswith(": 1 h +0.000, no evidence")
