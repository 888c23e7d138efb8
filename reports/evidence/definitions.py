"""What the words of the evidence mean, for the reader of a report."""

from __future__ import annotations

from typing import Final

DEFINITIONS: Final = (
    (
        "Tier",
        "a stretch of prices in which the map is dense; shorts' tiers lie above price, longs' below. Its "
        "near edge is the one closer to price, its far edge the other.",
    ),
    (
        "Reached",
        "a bar's high (for shorts above) or low (for longs below) touched the near edge of the nearest "
        "tier beyond the close of the bar before. The tier counts as it stood at that close.",
    ),
    (
        "A new encounter",
        "after a tier was reached, the next counts only if its near edge lies half an hour's volatility "
        "further on, or once price has closed half an hour's volatility short of the last one. So a wide "
        "tier can be met again deeper inside, at what is left of it.",
    ),
    (
        "Volatility unit",
        "the standard deviation of one bar's log return over the 24 hours before, times the square root "
        "of the number of bars in the horizon: one unit is an ordinary move over that horizon. Half an "
        "hour's volatility is half of the unit of one hour.",
    ),
    (
        "Horizon",
        "so many hours after the close of the bar that reached the tier. That bar's own extreme beyond "
        "the edge and its close count, its other extreme may have come before and does not.",
    ),
    (
        "Signed move",
        "from the near edge (or from the open, where the bar opened beyond it) to the close at the end "
        "of the horizon, in the tier's direction, in volatility units: above 0 price went on.",
    ),
    ("Absolute move", "the size of the signed move, whichever way."),
    (
        "Progress and setback",
        "the furthest that price went beyond the near edge, and short of it, within the horizon, in "
        "volatility units.",
    ),
    (
        "Activated",
        "price touched the far edge before it fell back one volatility unit from the near edge.",
    ),
    (
        "Rejected",
        "price fell back one volatility unit from the near edge first; so it counts, too, where one bar "
        "touched both.",
    ),
    ("Absorbed", "neither within the horizon: price stalled in the tier."),
    (
        "Time to cross",
        "for activated tiers, the hours from the bar that reached the tier to the bar that touched its "
        "far edge; 0 within one bar.",
    ),
    (
        "Speed",
        "the tier's width over the move that is ordinary in the time that it took to cross: above 1 "
        "price was quicker than usual.",
    ),
    ("Excess move", "for activated tiers, how far beyond the far edge price went, in units."),
)
"""Term and meaning, in plain words, for the reader of a report."""
