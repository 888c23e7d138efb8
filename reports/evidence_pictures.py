"""Counterexamples as small pictures with a caption, and the log of approaches to named levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa

from ..datasets.naming import HOUR_US
from .evidence.claims import hours_words
from .evidence.counterexamples import AGAINST
from .evidence_words import short_hours, signed
from .formatting import is_known, moment, money, number, price_places, share

_WIDTH: Final = 300.0
_HEIGHT: Final = 120.0
_TOP: Final = 8.0
_REACH: Final = 0.5
"""A tier is shown where it lies no further beyond the prices than this share of their range."""


def example_rows(table: pa.Table, *, tick: float | None) -> list[dict[str, Any]]:
    """Return the counterexamples of a table: day, caption, and the shapes of a picture."""
    rows = table.to_pylist()
    highest = max((max(row["around_price"]) for row in rows), default=1.0)
    places = price_places(tick, highest)
    return [
        {
            "choice": row["choice"],
            "kind": row["kind"],
            "when": moment(row["moment_us"]),
            "side": "shorts" if row["side"] > 0 else "longs",
            "caption": _caption(row, places),
            "move": f"{np.expm1(row['move']):+.1%}",
            "picture": picture(row, places),
        }
        for row in rows
    ]


def _caption(row: Mapping[str, Any], places: int) -> str:
    above, below = money(row["notional_above"]), money(row["notional_below"])
    held = f"{above} of shorts above, {below} of longs below"
    side, way = ("shorts", "above") if row["side"] > 0 else ("longs", "below")
    tier = ""
    if is_known(row["tier_near"]):
        tier = (
            f"{number(row['tier_near'], places)} to {number(row['tier_far'], places)} "
            f"({money(row['tier_notional'])}, {number(row['tier_fuel'], 1)} hours of trading)"
        )
    after = hours_words(row["horizon_hours"])
    if row["kind"] == AGAINST:
        nearest = f"; nearest tier of {side} {tier}" if tier else ""
        return f"price {number(row['price'], places)}, {held}{nearest}. In the next {after}:"
    return f"tier of {side} {way} at {tier} was reached; {held}. From its edge, after {after}:"


def picture(row: Mapping[str, Any], places: int) -> dict[str, Any]:
    """Return what is drawn of a counterexample: a line, a band, two moments, and their labels."""
    when = np.array([m.timestamp() for m in row["around_us"]], dtype=np.float64)
    price = np.array(row["around_price"], dtype=np.float64)
    known = _tier_edges(row, float(price.min()), float(price.max()))
    ends = [float(price.min()), float(price.max()), float(row["price"]), *known]
    low, high = min(ends), max(ends)
    height = (high - low) or max(abs(high) * 1e-3, 1e-9)
    length = max(float(when[-1] - when[0]), 1.0)

    def across(moment_s: float) -> float:
        return round(float(np.clip((moment_s - when[0]) / length, 0.0, 1.0)) * _WIDTH, 1)

    def down(value: float) -> float:
        return round(_TOP + (high - value) / height * (_HEIGHT - 2.0 * _TOP), 1)

    stood = row["moment_us"].timestamp()
    band = None
    if known:
        top, bottom = down(max(known)), down(min(known))
        band = {"y": top, "height": max(round(bottom - top, 1), 1.5)}
    return {
        "line": " ".join(
            f"{across(t)},{down(p)}" for t, p in zip(when.tolist(), price.tolist(), strict=True)
        ),
        "band": band,
        "at": across(stood),
        "until": across(stood + row["horizon_hours"] * HOUR_US / 1e6),
        "high": number(float(price.max()), places),
        "low": number(float(price.min()), places),
        "from": f"{row['around_us'][0]:%Y-%m-%d}",
        "to": f"{row['around_us'][-1]:%Y-%m-%d}",
    }


def _tier_edges(row: Mapping[str, Any], low: float, high: float) -> list[float]:
    """Return the tier's edges as far as they belong in the picture, or nothing."""
    if not is_known(row["tier_near"]):
        return []
    room = _REACH * (high - low)
    edges = sorted((row["tier_near"], row["tier_far"]))
    if edges[0] > high + room or edges[1] < low - room:
        return []
    return [float(np.clip(edge, low - room, high + room)) for edge in edges]


def level_rows(table: pa.Table, *, tick: float | None) -> list[dict[str, Any]]:
    """Return the log of approaches: one row an approach, its outcomes by horizon."""
    found: dict[int, dict[str, Any]] = {}
    highest = max(table["near"].to_pylist(), default=1.0)
    places = price_places(tick, highest)
    for row in table.to_pylist():
        known = found.setdefault(
            row["encounter"],
            {
                "when": moment(row["known_us"]),
                "level": number(row["near"], places),
                "side": "from below" if row["side"] > 0 else "from above",
                "tier": f"{money(row['notional'])}, {number(row['fuel'], 1)} h"
                if row["in_tier"]
                else "none",
                "nearby": money(row["notional_nearby"]) if row["notional_nearby"] else "none",
                "towards": money(row["notional_towards"]),
                "behind": money(row["notional_behind"]),
                "outcomes": [],
            },
        )
        known["outcomes"].append(
            f"{row['outcome']}, then {signed(row['signed_move'], 1)} at the end"
        )
    return list(found.values())


def level_summary(levels: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what came of all approaches beside like levels, by horizon."""
    rows = []
    for at in levels["horizons"]:
        for who, key in (("named levels", "tiers"), ("like levels", "like_levels")):
            of = at[key]
            rows.append(
                {
                    "hours": short_hours(at["hours"]),
                    "who": who,
                    **{n: share(of[n]) for n in ("activated", "absorbed", "rejected")},
                    "signed": signed(of["signed_move"]),
                    "count": f"{at['matched']:,}" if key == "tiers" else "",
                }
            )
    return rows
