"""The tables of a run's performance as rows of texts: the template only lays them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .formatting import UNKNOWN, is_known, number, percent, share, signed

_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
_RATIOS: Final = (
    ("volatility", "volatility", share, "of daily returns, a year of 365 days"),
    ("sortino", "Sortino ratio", number, "yearly return over downside deviation"),
    ("calmar", "Calmar ratio", number, "yearly return over the deepest drawdown of daily closes"),
    ("omega", "Omega ratio", number, "gains over losses of days, around 0"),
    ("tail_ratio", "tail ratio", number, "95th over 5th percentile of days, without sign"),
    ("stability", "stability", number, "R squared of a straight line through the log equity"),
    ("value_at_risk", "value at risk", percent, "the 5th percentile of days"),
    ("expected_shortfall", "expected shortfall", percent, "mean of the days below it"),
    ("best_day", "best day", percent, ""),
    ("worst_day", "worst day", percent, ""),
    ("beta", "beta", number, "of daily returns to buy-and-hold's"),
    ("alpha", "alpha", percent, "a year, beyond beta times buy-and-hold"),
)


def ratio_rows(returns: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the ratios of daily returns: name, value, what it means."""
    return [
        (label, show(returns[key]), meaning)
        for key, label, show, meaning in _RATIOS
        if key in returns
    ]


def month_rows(months: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the table of monthly returns: a row a year."""
    rows = [
        {
            "year": str(row["year"]),
            "cells": [_coloured(value) for value in (*row["months"], row["total"])],
        }
        for row in months
    ]
    return {"columns": [*_MONTHS, "year"], "rows": rows}


def drawdown_rows(drawdowns: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the deepest drawdowns of daily closes."""
    return [
        {
            "depth": percent(row["depth"]),
            "peak": row["peak"] or "the start",
            "low": row["low"],
            "recovered": row["recovered"] or "not yet",
            "days": f"{row['days']:,}",
        }
        for row in drawdowns
    ]


def group_rows(groups: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the trades by kinds of times and tiers; a kind is named in its first row."""
    rows, last = [], ""
    for row in groups:
        low, high = row["low"], row["high"]
        rows.append(
            {
                "kind": row["kind"] if row["kind"] != last else "",
                "label": row["label"],
                "trades": f"{row['trades']:,}",
                "hit_rate": share(row["hit_rate"]),
                "mean": signed_bps(row["mean_bps"]),
                "interval": f"{signed_bps(low)} to {signed_bps(high)}"
                if is_known(low)
                else "too few",
                "sum": signed(row["net_pnl"]),
            }
        )
        last = row["kind"]
    return rows


def signed_bps(value: float | None) -> str:
    """Return basis points with their sign, one decimal."""
    return f"{value:+,.1f}" if value is not None and is_known(value) else UNKNOWN


def _coloured(value: float | None) -> dict[str, str]:
    if value is None:
        return {"text": "", "tone": ""}
    return {
        "text": f"{100.0 * value:+.1f}",
        "tone": "won" if value > 0.0 else "lost" if value < 0.0 else "",
    }
