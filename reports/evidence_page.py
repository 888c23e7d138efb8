"""The page of a study of evidence: one HTML file that needs nothing but a browser, out of its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from bokeh.document import Document
from bokeh.embed import components
from markupsafe import Markup

from . import evidence_charts as charts
from . import evidence_words as words
from ._page import bokeh_js, page_template, template_text, told_of_record, write_whole
from .evidence.definitions import DEFINITIONS
from .evidence.record import EvidenceRecord, read_evidence
from .evidence.study_about import claims_of
from .evidence.study_tables import WORST
from .evidence_methods import METHODS
from .evidence_pictures import example_rows, level_rows, level_summary
from .evidence_tables import (
    capacity_rows,
    claim_rows,
    encounter_rows,
    flow_rows,
    information_rows,
    other_tests_words,
    regime_rows,
)
from .evidence_time_charts import capacity_chart, conventions_chart, time_chart
from .page_tables import setting_tables
from .run_record import REPORT_FILE

_SIGNS: Final = {
    "evidence": "◆",
    "against": "▼",
    "no evidence": "○",
    "too little data": "□",
    "not looked at": "-",
}
"""The mark of each outcome, as in the chart of all claims."""


def write_evidence_page(folder: Path) -> Path:
    """Write a study's page into its folder and return the file; nothing is computed again.

    Raises
    ------
    InputError
        If the folder is no whole study.
    LakeError
        If the file cannot be written.
    """
    path = folder / REPORT_FILE
    write_whole(path, render_evidence_page(read_evidence(folder)).encode("utf-8"))
    return path


def render_evidence_page(record: EvidenceRecord) -> str:
    """Return the page of a study as HTML.

    Raises
    ------
    InputError
        If the record lacks something that the page shows.
    """
    with told_of_record(record.folder, "study"):
        return _render(record)


def _render(record: EvidenceRecord) -> str:
    about = record.about
    claims = words.in_order(claims_of(about))
    figures: dict[str, Any] = {}
    figures["verdict"], beyond = charts.claims_chart("verdict", claims)
    forests = _forests(about, figures)
    markets = [
        _market(record, name, market, f"m{k}", figures)
        for k, (name, market) in enumerate(about["markets"].items())
    ]
    _together(figures)
    script, divs = components(figures)
    return page_template("evidence.html.j2").render(
        about=about,
        title=words.title_words(about),
        families=_families(claims),
        words=words,
        signs=_SIGNS,
        skills=words.skill_lines(claims, about["headline"], _judged(about)),
        claims=claim_rows(claims),
        placebos=sorted({kind for claim in claims for kind in claim["placebo"]}),
        beyond=words.clipped_words(beyond),
        looks=claims[0]["looks"] if claims else 0,
        forests=forests,
        markets=markets,
        definitions=DEFINITIONS,
        methods=METHODS,
        slippage=words.slippage_words(about),
        versions=", ".join(f"{n} {v}" for n, v in about["versions"].items()),
        css=Markup(template_text("page.css")),  # our own file
        page_js=Markup(template_text("evidence.js")),  # our own file
        bokeh_js=Markup(bokeh_js()),  # out of the installed wheel
        bokeh_script=Markup(script),  # bokeh escapes what it embeds
        charts={name: Markup(div) for name, div in divs.items()},  # as above
    )


def _families(claims: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the short and the long name of each family of claims that was looked at."""
    found = {claim["name"] for claim in claims}
    return [(words.SHORT_FAMILIES[f], words.FAMILIES[f]) for f in words.FAMILY_ORDER if f in found]


def _judged(about: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the markets that have claims about each skill."""
    return {
        skill: [
            name
            for name, market in about["markets"].items()
            if any(claim["skill"] == skill for claim in market["claims"])
        ]
        for skill in words.SKILLS
    }


def _together(figures: Mapping[str, Any]) -> None:
    """Put the figures into one document at once: one by one, bokeh looks through all of them each time."""
    document = Document()
    with document.models.freeze():
        for plot in figures.values():
            document.add_root(plot)


def _forests(about: Mapping[str, Any], figures: dict[str, Any]) -> list[dict[str, str]]:
    """Add a forest plot for each family of claims that several instruments have."""
    found = []
    for family, title in words.FAMILIES.items():
        own = [c for c in about["pooled"] if c["name"] == family and c["key"] in about["forests"]]
        if own:
            name = f"forest-{family}"
            figures[name] = charts.forest_chart(name, own, about["forests"])
            found.append({"chart": name, "title": title})
    return found


def _market(
    record: EvidenceRecord,
    name: str,
    market: Mapping[str, Any],
    key: str,
    figures: dict[str, Any],
) -> dict[str, Any]:
    """Return what the page shows of one market, its charts added to the figures."""
    tick = market["instrument"]["tick"]
    encounters, imbalance = market["encounters"], market["imbalance"]
    _price_charts(record, name, market, key, figures)
    figures[f"{key}-shares"] = charts.shares_chart(f"{key}-shares", encounters)
    balance = encounters["horizons"][0]["balance"]
    figures[f"{key}-balance"] = charts.balance_chart(f"{key}-balance", balance)
    figures[f"{key}-information"] = charts.information_chart(
        f"{key}-information", imbalance["horizons"]
    )
    quantiles = _by_hours(imbalance["quantiles"])
    for hours, rows in quantiles.items():
        chart = f"{key}-quantiles-{hours:g}"
        figures[chart] = charts.quantile_chart(chart, rows)
    examples = example_rows(record.rows("counterexamples", name), tick=tick)
    return {
        "name": name,
        "key": key,
        "about": market,
        "claims": claim_rows(words.in_order(market["claims"])),
        "encounters": encounter_rows(encounters),
        "encounters_words": words.encounters_words(encounters),
        "balance_words": words.balance_words(balance),
        "information_words": words.information_words(imbalance),
        "information": information_rows(imbalance),
        "other_tests": other_tests_words(imbalance),
        "quantiles": [
            {"chart": f"{key}-quantiles-{hours:g}", "hours": words.short_hours(hours)}
            for hours in quantiles
        ],
        "regimes": regime_rows(imbalance),
        "flow": flow_rows(market["flow"]),
        "ways": [
            {"chart": f"{key}-ways-{hours:g}", "hours": words.short_hours(hours)}
            for hours in _by_hours((market["ways"] or {"rows": []})["rows"])
        ],
        "capacity": capacity_rows(market["capacity"]["rows"]),
        "against": [e for e in examples if e["kind"] != "rejected tier" and e["choice"] == WORST],
        "rejected": [e for e in examples if e["kind"] == "rejected tier" and e["choice"] == WORST],
        "monthly": sorted(
            (e for e in examples if e["choice"] != WORST), key=lambda e: (e["when"], e["kind"])
        ),
        "levels": level_rows(record.rows("levels", name), tick=tick),
        "level_summary": level_summary(market["levels"]) if market["levels"] else [],
        "level_names": ", ".join(
            f"{level:,.12g}" for level in (market["levels"] or {"named": []})["named"]
        ),
        "level_hours": [
            words.short_hours(at["hours"])
            for at in (market["levels"] or {"horizons": []})["horizons"]
        ],
        "tables": setting_tables(
            {
                "parameters": record.about["parameters"],
                "costs": record.about["costs"],
                "map": market["map"],
                "data": market["data"],
            }
        ),
    }


def _price_charts(
    record: EvidenceRecord,
    name: str,
    market: Mapping[str, Any],
    key: str,
    figures: dict[str, Any],
) -> None:
    """Add what is drawn over time, over sizes, and both ways of trading."""
    daily = record.rows("daily", name)
    figures[f"{key}-rule"] = time_chart(
        f"{key}-rule",
        daily["day"],
        {
            "on price alone": 100.0 * (np.cumprod(1.0 + daily["twin"].to_numpy()) - 1.0),
            "on the map": 100.0 * (np.cumprod(1.0 + daily["mapped"].to_numpy()) - 1.0),
        },
        y_label="Net return since the start (%)",
        looks={"on the map": "line", "on price alone": "second"},
        hover="+0.0",
        at=0.0,
    )
    if market["conventions"] is not None:
        table = record.rows("conventions", name)
        figures[f"{key}-conventions"] = conventions_chart(f"{key}-conventions", table)
    for hours, rows in _by_hours((market["ways"] or {"rows": []})["rows"]).items():
        chart = f"{key}-ways-{hours:g}"
        figures[chart] = charts.ways_chart(chart, rows)
    if any(row["net"] is not None for row in market["capacity"]["rows"]):
        figures[f"{key}-capacity"] = capacity_chart(f"{key}-capacity", market["capacity"]["rows"])


def _by_hours(rows: list[dict[str, Any]]) -> dict[float, list[dict[str, Any]]]:
    found: dict[float, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["hours"], []).append(row)
    return found
