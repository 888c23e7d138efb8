"""The morning report as a file: the answer first, every figure of the record, in the order agreed upon."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

Page = tuple[dict[str, Any], str]


@pytest.fixture(scope="module")
def page(night_page: Path) -> Page:
    """A study's outcome and what its page says between scripts."""
    plain = re.sub(r"<(script|style)\b.*?</\1>", "", night_page.read_text(), flags=re.DOTALL)
    return json.loads((night_page.parent / "outcome.json").read_text()), plain


def figure(text: str, key: str) -> str:
    (found,) = re.findall(rf'data-figure="{key}">([^<]*)<', text)
    return html.unescape(found)


def rows(text: str, table: str) -> list[list[str]]:
    """The cells of a table's body, breaks as spaces."""
    (body,) = re.findall(rf'<table id="{table}">.*?<tbody>(.*?)</tbody>', text, flags=re.DOTALL)
    return [
        [
            html.unescape(re.sub("<[^>]*>", " ", cell)).strip()
            for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)
        ]
        for row in re.findall(r"<tr>(.*?)</tr>", body, flags=re.DOTALL)
    ]


def test_the_answer_stands_first(page: Page) -> None:
    """Verdict, then what speaks against it, then figures, then everything else in the order of the day."""
    outcome, text = page
    order = [
        html.escape(outcome["verdict"]["sentence"], quote=False),
        *(html.escape(told, quote=False) for told in outcome["verdict"]["reservations"]),
        'data-figure="return"',
        'id="equity"',
        'id="plateau"',
        'id="parameter-0"',
        'id="holdout-table"',
        'id="folds"',
        'id="importance"',
        'id="parallel"',
        'id="history"',
        'id="deflated"',
        'id="overfitting"',
        'id="gap"',
        'id="objective"',
        'id="again"',
        'id="dashboard"',
        "<footer>",
    ]
    places = [html.unescape(text).index(html.unescape(what)) for what in order]
    assert places == sorted(places)
    assert len(outcome["verdict"]["reservations"]) > 0


def test_figures_are_the_records(page: Page) -> None:
    """What stands large at the top is what outcome.json says."""
    outcome, text = page
    held, search = outcome["holdout"]["winner"], outcome["search"]
    assert figure(text, "return") == f"{held['return']:+.2%}"
    assert figure(text, "sharpe") == f"{held['sharpe']:,.2f}"
    assert figure(text, "drawdown") == f"{-held['drawdown']:.2%}"
    assert figure(text, "trades") == str(held["trades"])
    assert figure(text, "p_value") == f"{held['p_value']:.1%}"
    assert figure(text, "deflated") == f"{search['deflated_sharpe_ratio']:.2f}"
    assert figure(text, "overfitting") == f"{search['overfitting']['probability']:.0%}"
    assert figure(text, "plateau") == f"{search['plateau']['height']:.0%}"


def test_holdout_and_folds_are_the_records(page: Page) -> None:
    """The tables hold winner, defaults and buy-and-hold, and each fold with the choice of the past."""
    outcome, text = page
    three = [outcome["holdout"][key] for key in ("winner", "defaults", "buy_and_hold")]
    told = rows(text, "holdout-table")
    assert told[0] == ["return, after all costs", *(f"{f['return']:+.2%}" for f in three)]
    assert told[3] == ["trades", *(str(f["trades"]) for f in three)]
    assert told[4][3] == "n/a"
    folds = rows(text, "folds")
    assert len(folds) == 4
    for cells, fold, step in zip(
        folds, outcome["search"]["folds"], outcome["walk_forward"], strict=True
    ):
        assert cells[2] == f"{fold['return']:+.2%}"
        assert cells[3] == f"{fold['sharpe']:.2f}"
        assert cells[5] == str(fold["trades"])
        assert cells[6:] == [str(step["trial"]), f"{step['promised']:.2f}", f"{step['given']:.2f}"]


def test_importance_and_parameters_are_the_records(page: Page) -> None:
    """Every searched parameter has its chart and its share, the largest first."""
    outcome, text = page
    shares = outcome["search"]["importance"]
    told = rows(text, "importance")
    assert {cells[0]: cells[1] for cells in told} == {k: f"{v:.1%}" for k, v in shares.items()}
    assert [cells[0] for cells in told] == sorted(shares, key=lambda name: -shares[name])
    assert text.count('id="parameter-') == len(outcome["space"]) == len(shares)


def test_footer_traces_the_page(page: Page) -> None:
    """Data hash, map, code version, seed, the command and how to write the page again."""
    outcome, text = page
    footer = html.unescape(text[text.index("<footer>") :])
    identity = outcome["identity"]
    for what in (
        identity["panel"]["fingerprint"],
        identity["maps"]["default"],
        f"Code {identity['code']['version']}",
        identity["code"]["sources"],
        "Seed 7",
        outcome["command"],
        "liqtiers report night",
    ):
        assert what in footer
