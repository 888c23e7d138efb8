"""What the page of a study says in words, and the command line with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .evidence.claims import hours_words
from .evidence.inference import LEVEL
from .evidence.verdicts import AGAINST, EVIDENCE, NO_EVIDENCE, TOO_LITTLE_DATA, p_words
from .formatting import UNKNOWN, is_known, money, share

OUTCOMES: Final = tuple(str(o) for o in (EVIDENCE, AGAINST, NO_EVIDENCE, TOO_LITTLE_DATA))
"""In the order in which they are told."""

FAMILY_ORDER: Final = ("where", "way", "far", "break", "flow", "imbalance", "rule")
FAMILIES: Final = {
    "where": "Where liquidations happen",
    "way": "Which way price goes from a dense tier",
    "far": "How far price goes from a dense tier",
    "flow": "Which way price goes after it set off liquidations",
    "imbalance": "Which way price goes by the imbalance",
    "break": "Which way price goes by the imbalance, at a tier",
    "rule": "The breakout rule against its price-only twin",
}
SHORT_FAMILIES: Final = {
    "where": "Where",
    "way": "Tier: way",
    "far": "Tier: far",
    "flow": "Flow",
    "imbalance": "Imbalance",
    "break": "Imbalance at tier",
    "rule": "Rule",
}
SKILLS: Final = {
    "where": "Where liquidations happen",
    "way": "Which way price goes",
    "far": "How far price goes",
}
COVARIATES: Final = {
    "gap": "distance of the level",
    "last_return": "return of the bar before",
    "return_1h": "return of 1 hour",
    "return_4h": "return of 4 hours",
    "return_24h": "return of 24 hours",
    "over_average_72h": "price over its average",
    "log_volatility": "volatility",
    "hour_sine": "time of day (sine)",
    "hour_cosine": "time of day (cosine)",
    "week_sine": "time of week (sine)",
    "week_cosine": "time of week (cosine)",
    "funding": "funding",
}
_PLACES: Final = {"basis points a day": 1, "ordinary moves of that horizon": 2}
_ALIKE: Final = 0.1
"""Standardised differences below it count as balanced."""


def short_hours(hours: float) -> str:
    """Return a horizon, short: ``15 min``, ``4 h``."""
    return f"{60.0 * hours:g} min" if hours < 1.0 else f"{hours:g} h"


def short_label(claim: Mapping[str, Any]) -> str:
    """Return a claim's name for an axis."""
    name = SHORT_FAMILIES[claim["name"]]
    if claim["name"] == "where":
        return f"{name}: {'shorts' if claim['key'].endswith('short') else 'longs'}"
    hours = claim["horizon_hours"]
    return name if hours is None else f"{name}, {short_hours(hours)}"


def round_money(value: float | None) -> str:
    """Return an amount as a size: without decimals where there are none."""
    return money(value).replace(".00", "")


def signed(value: float | None, places: int = 2) -> str:
    """Return a number with its sign."""
    if value is None or not is_known(value):
        return UNKNOWN
    return f"{round(value, places) + 0.0:+,.{places}f}"


def interval(effect: Mapping[str, Any], places: int) -> str:
    """Return a 95 % interval; an end that nothing bounds is told so."""
    low, high = (
        signed(end, places) if end is not None else "unbounded"
        for end in (effect["low"], effect["high"])
    )
    return f"{low} to {high}" if effect["p"] is not None else UNKNOWN


def with_interval(effect: Mapping[str, Any], places: int) -> str:
    """Return an effect, its interval in brackets."""
    if effect["p"] is None:
        return UNKNOWN
    return f"{signed(effect['value'], places)} ({interval(effect, places)})"


def places_of(unit: str) -> int:
    """Return with how many decimals a unit is shown."""
    return _PLACES.get(unit, 3)


def p_text(value: float | None) -> str:
    """Return a p-value in words."""
    return p_words(float("nan") if value is None else value)


def skill_lines(
    claims: Sequence[Mapping[str, Any]],
    headline: Mapping[str, Any],
    alone: Mapping[str, Sequence[str]] | None = None,
) -> list[dict[str, str]]:
    """Return a line for each of the three skills: key, name, outcome, and what it rests on.

    Parameters
    ----------
    claims : sequence of mapping
        Those that the headline is about.
    headline : mapping
    alone : mapping of str to sequence of str, optional
        Markets that have claims about a skill, by the skill.
    """
    rows = []
    for skill, name in SKILLS.items():
        own = [claim for claim in claims if claim["skill"] == skill]
        meaning = _skill_meaning(skill, own)
        if not own and (markets := (alone or {}).get(skill)):
            meaning = f"only {', '.join(markets)} can be judged: see the claims there"
        outcome = headline[skill] or "not looked at"
        rows.append({"key": skill, "name": name, "outcome": outcome, "meaning": meaning})
    return rows


def _skill_meaning(skill: str, claims: Sequence[Mapping[str, Any]]) -> str:
    if not claims:
        return "no liquidations were printed" if skill == "where" else "nothing was looked at"
    found = {o: [claim for claim in claims if claim["outcome"] == o] for o in OUTCOMES}
    told = ", ".join(f"{o} for {_which(o, own)}" for o, own in found.items() if own)
    words = f"of {len(claims)} claims: {told}" if len(claims) > 1 else ""
    if skill == "where":
        values = [
            f"{signed(c['effect']['value'], 2)} for {'shorts' if 'short' in c['key'] else 'longs'}"
            for c in claims
        ]
        return f"rank correlation beyond what price moves and volume show: {', '.join(values)}"
    return words


def _which(outcome: str, claims: Sequence[Mapping[str, Any]]) -> str:
    """Return how many claims; those that say something by name."""
    if outcome not in (str(EVIDENCE), str(AGAINST)):
        return str(len(claims))
    return f"{len(claims)} ({'; '.join(short_label(claim) for claim in claims)})"


def family_lines(claims: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line a family of claims: what was found at each horizon."""
    lines = []
    for family, name in FAMILIES.items():
        own = [claim for claim in claims if claim["name"] == family]
        if own:
            lines.append(f"  {name}: {'; '.join(_told(claim) for claim in own)}")
    return lines


def _told(claim: Mapping[str, Any]) -> str:
    value = signed(claim["effect"]["value"], places_of(claim["unit"]))
    if claim["name"] == "where":
        when = "shorts " if claim["key"].endswith("short") else "longs "
    else:
        hours = claim["horizon_hours"]
        when = "" if hours is None else f"{short_hours(hours)} "
    unit = " bp a day" if claim["name"] == "rule" else ""
    return f"{when}{value}{unit}, {claim['outcome']}"


def in_order(claims: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return claims by family, and by horizon within."""
    return sorted(
        claims,
        key=lambda claim: (FAMILY_ORDER.index(claim["name"]), claim["horizon_hours"] or 0.0),
    )


def clipped_words(names: Sequence[str]) -> str:
    """Return which effects lie beyond a chart's edge, or nothing."""
    if not names:
        return ""
    told = ", ".join(names)
    return f" Drawn at the right or left edge, and really beyond it: {told}; the table has the figures."


def encounters_words(encounters: Mapping[str, Any]) -> str:
    """Return how many tiers were reached, and how many of them have like levels."""
    count = encounters["count"]
    if not count:
        return "Price reached no dense tier."
    first = encounters["horizons"][0]
    return (
        f"Price reached {count:,} dense tiers: {encounters['above']:,} of shorts above it, "
        f"{encounters['below']:,} of longs below. {first['matched']:,} of them are compared with like "
        f"levels that carried no tier (out of {encounters['controls']:,} such crossings); for "
        f"{first['unmatched']:,} there was none alike enough, for {first['unknown']:,} something is not "
        "known. Shares and moves are of the compared ones; differences are adjusted for what was still "
        "unlike and shown with 95 % intervals, in points of percent for shares."
    )


def balance_words(balance: Sequence[Mapping[str, Any]]) -> str:
    """Return whether tiers and their like levels are alike."""
    unlike = [COVARIATES[r["covariate"]] for r in balance if abs(r["after"] or 0.0) >= _ALIKE]
    if not unlike:
        return "After matching all differences are below 0.1 standard deviations."
    return (
        "After matching the difference is still above 0.1 standard deviations in: "
        f"{', '.join(unlike)}. What it explains is taken out by regression."
    )


def information_words(imbalance: Mapping[str, Any]) -> str:
    """Return what the information coefficients say."""
    rows = imbalance["horizons"]
    beyond = [
        short_hours(row["hours"])
        for row in rows
        if row["partial"]["p"] is not None and row["partial"]["p"] < LEVEL
    ]
    what = (
        f"At {', '.join(beyond)} what remains is significant by itself; the table of claims says what is "
        "left after correction."
        if beyond
        else "At no horizon is what remains distinguishable from surrogate paths."
    )
    return (
        f"Over {imbalance['bars']:,} hourly closes and {imbalance['surrogates']} surrogate paths. "
        f"{what}"
    )


def convention_words(conventions: Mapping[str, Any]) -> str:
    """Return how much the imbalance depends on convention."""
    return (
        f"{len(conventions['rows'])} ways to make and measure the map, all defensible. On "
        f"{share(conventions['flips'])} of the days they do not agree on whether more lies above or below. "
        f"Their rank correlation with the return of {hours_words(conventions['hours'])} runs from "
        f"{signed(conventions['information_low'], 3)} to {signed(conventions['information_high'], 3)}."
    )


def title_words(about: Mapping[str, Any]) -> str:
    """Return what was studied: venue, symbols, bars and period."""
    markets = list(about["markets"].values())
    first = markets[0]["instrument"]
    names = ", ".join(market["instrument"]["symbol"] for market in markets)
    bars = sum(market["data"]["bars"] for market in markets)
    start = min(market["data"]["start"] for market in markets)
    end = max(market["data"]["end"] for market in markets)
    return (
        f"Evidence for {first['venue']} {names}, {bars:,} bars of {first['timeframe']}, "
        f"{start[:10]} to {end[:10]}"
    )


def rule_words(rule: Mapping[str, Any]) -> str:
    """Return what rule and twin earned."""
    return (
        f"Over {rule['days']:,} days the rule made {_percent(rule['mapped'])} on the map "
        f"({rule['mapped_trades']:,} trades) and {_percent(rule['twin'])} on price alone "
        f"({rule['twin_trades']:,} trades), net of all costs."
    )


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:+.1%}"


def ability_words(ways: Mapping[str, Any]) -> str:
    """Return whether any simple rule gained anything, all tried counted."""
    ability, count = ways["ability"], len(ways["tested"])
    if ability is None:
        return "Too few days to test the simple rules together."
    superior = ability["superior"]
    stands = (
        f"In this test these stand by themselves: {', '.join(superior)}. It is not one of the claims above "
        "and not corrected with them: something to test on days not yet seen, not a reason to trade."
        if superior
        else "None of them stands after the correction for all."
    )
    return (
        f"The best of {count} simple rules at an order of {round_money(ways['tested_notional'])} was "
        f"“{ability['best']}”; the chance that luck alone makes the best of so many look as good is "
        f"{p_text(ability['p'])} (studentised test of superior ability). {stands}"
    )


def capacity_words(capacity: Mapping[str, Any]) -> str:
    """Return up to which size the rule gained."""
    if capacity["gains_at_all"]:
        return "It still gained at the largest equity shown."
    if not capacity["break_even"]:
        return "It gained nothing at any size: there is no edge for size to eat."
    return f"Its net result falls to 0 at an equity of about {money(capacity['break_even'])}."


def book_words(capacity: Mapping[str, Any]) -> str:
    """Return what the order books of the time say of slippage; empty where there were none."""
    rows = [row for row in capacity["rows"] if (row.get("book") or {}).get("trades")]
    if not rows:
        return ""
    large = rows[-1]
    of = f"{large['book']['trades']:,} of {large['trades']:,} trades"
    text = (
        f"In the order books of the time a fill would have cost {large['book']['book_bps']:.3g} bp at the "
        f"largest equity, where {large['book']['charged_bps']:.3g} bp were charged ({of} have a book of the "
        "5 minutes before both fills; value is spread evenly between its distances, and the spread itself "
        "is not seen)."
    )
    if large["book"]["beyond"]:
        text += (
            f" {large['book']['beyond']:,} fills are larger than all that the book shows: they would have "
            "cost more."
        )
    return text


def slippage_words(about: Mapping[str, Any]) -> str:
    """Return the law of slippage, with its figures."""
    costs = {row["name"]: row["value"] for row in about["costs"]}
    return (
        f"half a spread of {costs['spread_bps']:g} bp and the square-root law: "
        f"{costs['impact_coefficient']:g} (its coefficient) times the bar's volatility times the root of "
        f"the order's share of its volume, at most {costs['max_slippage_bps']:g} bp"
    )
