"""The tables of a study's page as rows of texts: the template only lays them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from .evidence.claims import hours_words
from .evidence_words import (
    FAMILIES,
    interval,
    p_text,
    places_of,
    round_money,
    short_hours,
    short_label,
    signed,
    with_interval,
)
from .formatting import UNKNOWN, money, number, share

_NO_BOOK: Final = MappingProxyType(
    {"trades": 0, "charged_bps": None, "book_bps": None, "beyond": 0}
)


def claim_rows(claims: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the table of all claims."""
    rows = []
    for claim in claims:
        places, effect = places_of(claim["unit"]), claim["effect"]
        rows.append(
            {
                "key": claim["key"],
                "label": short_label(claim),
                "family": FAMILIES[claim["name"]],
                "outcome": claim["outcome"],
                "effect": signed(effect["value"], places),
                "interval": interval(effect, places),
                "unit": claim["unit"],
                "p": p_text(effect["p"]),
                "p_corrected": p_text(claim["p_corrected"]),
                "n": f"{effect['n']:,}",
                "clusters": f"{effect['clusters']:,}",
                "detectable": number(claim["detectable"], places),
                "matters": number(claim["matters"], places),
                "sentence": claim["sentence"],
                "placebo": "; ".join(
                    f"{name} {signed(e['value'], places)}" for name, e in claim["placebo"].items()
                ),
            }
        )
    return rows


def encounter_rows(encounters: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the outcomes by horizon, tiers and like levels in turn."""
    rows = []
    for at in encounters["horizons"]:
        for who, key in (("tiers", "tiers"), ("like levels", "like_levels")):
            of = at[key]
            rows.append(
                {
                    "hours": hours_words(at["hours"]),
                    "who": who,
                    **{n: share(of[n]) for n in ("activated", "absorbed", "rejected")},
                    "signed": signed(of["signed_move"]),
                    "absolute": number(of["absolute_move"]),
                    "count": f"{at['matched']:,}" if key == "tiers" else "",
                }
            )
        found = at["differences"]
        rows.append(
            {
                "hours": hours_words(at["hours"]),
                "who": "difference",
                "activated": _points(found["activated"]),
                "absorbed": "",
                "rejected": _points(found["rejected"]),
                "signed": with_interval(found["signed_move"], 2),
                "absolute": with_interval(found["absolute_move"], 2),
                "count": "",
            }
        )
    return rows


def _points(effect: Mapping[str, Any]) -> str:
    """Return a difference of shares in points of percent, with its interval."""
    scaled = {k: None if effect[k] is None else 100.0 * effect[k] for k in ("value", "low", "high")}
    return with_interval({**scaled, "p": effect["p"]}, 1)


def information_rows(imbalance: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the information coefficients, hits and spreads by horizon."""
    return [
        {
            "hours": short_hours(row["hours"]),
            "raw": signed(row["information"], 3),
            "surrogates": signed(row["surrogates"], 3),
            "partial": signed(row["partial"]["value"], 3),
            "interval": interval(row["partial"], 3),
            "p": p_text(row["partial"]["p"]),
            "hits": share(row["hit_rate"]),
            "base": share(row["base_rate"]),
            "hits_beyond": _points(row["hits"]),
            "spread": with_interval(row["spread_bps"], 1),
        }
        for row in imbalance["horizons"]
    ]


def other_tests_words(imbalance: Mapping[str, Any]) -> str:
    """Return what two tests without surrogate paths say of the raw coefficients; empty without them."""
    told = [
        f"{short_hours(row['hours'])} {signed(row['value'], 3)} (stationary bootstrap "
        f"{signed(row['low'], 3)} to {signed(row['high'], 3)}; circular shift p {p_text(row['shift_p'])})"
        for row in imbalance.get("other_tests", [])
    ]
    return "; ".join(told)


def regime_rows(imbalance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the partial coefficient by kind of times: horizons, and a row for each kind."""
    hours = list(dict.fromkeys(row["hours"] for row in imbalance["started"]))
    rows: dict[tuple[str, str], list[str]] = {}
    for row in (*imbalance["started"], *imbalance["regimes"]):
        effect = row["partial"]
        told = with_interval(effect, 3) if effect["p"] is not None else UNKNOWN
        rows.setdefault((row["kind"], row["label"]), []).append(told)
    return {
        "hours": [short_hours(h) for h in hours],
        "rows": [{"kind": k, "label": label, "cells": cells} for (k, label), cells in rows.items()],
    }


def flow_rows(flow: Mapping[str, Any] | None) -> list[list[str]]:
    """Return what the predicted liquidations of a bar said, by horizon; empty where not looked at."""
    if flow is None:
        return []
    names = ("way", "given_all", "beyond_prints", "prints", "far")

    def told(effect: Mapping[str, Any] | None) -> str:
        if effect is None:
            return UNKNOWN
        return with_interval(effect, 3)

    return [
        [short_hours(row["hours"]), *[told(row[name]) for name in names]]
        for row in flow["horizons"]
    ]


def capacity_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return what the rule earned by its equity, in percent of it a year."""

    def a_year(value: float | None) -> str:
        return UNKNOWN if value is None else number(100.0 * value)

    def bps(value: float | None) -> str:
        return UNKNOWN if value is None else number(value)

    def book(row: Mapping[str, Any]) -> Mapping[str, Any]:
        return row.get("book") or _NO_BOOK  # studies recorded before had none

    return [
        {
            "equity": round_money(row["equity"]),
            "order": money(row["order"]),
            "trades": f"{row['trades']:,}",
            **{k: a_year(row[k]) for k in ("gross", "fees", "slippage", "funding", "net")},
            "refused": row["refused"],
            "charged": bps(book(row)["charged_bps"]),
            "book": bps(book(row)["book_bps"]),
            "book_trades": f"{book(row)['trades']:,}",
            "beyond": f"{book(row)['beyond']:,}",
        }
        for row in rows
    ]
