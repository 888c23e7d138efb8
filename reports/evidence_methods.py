"""How a study of evidence is made, in plain words for the reader of its page."""

from __future__ import annotations

from typing import Final

METHODS: Final = (
    (
        "One correction for all",
        "every claim at every horizon counts: p-values are corrected together by Holm's method, so that the "
        "chance of even one false claim is about 5 % in a market in which nothing but chance moves price.",
    ),
    (
        "Like levels",
        "reaching a level is itself informative, since price jumps over it. Each tier is therefore compared "
        "with the 25 nearest crossings of levels that carried no tier: alike in distance, returns, "
        "volatility, time and funding, and at least a day away in time.",
    ),
    (
        "Price-only twin",
        "on a random walk the imbalance follows price minus its moving average. The same rule is run on that "
        "alone, and the correlation of the imbalance is taken after it: only what remains is the map's.",
    ),
    (
        "Surrogate paths",
        "the real path with each day kept or turned upside down at random, and the map built anew on it. "
        "There nothing that was known before a day says which way the day goes; what the statistic is there "
        "is its base rate. A tie within a day stays in part, so that such an effect is understated.",
    ),
    (
        "Placebo maps",
        "mirrored (distances above and below swapped), shifted (the map of a week before), price alone "
        "(tiers at recent highs and lows where the map has no dense tier, an imbalance that follows price "
        "over its average), leverage shuffled, volume only, and recent extremes (all recent highs and lows, "
        "dense tier or not: what a trader has without a map). Where liquidations happen, flow, tiers and "
        "imbalance at a tier are judged on them too (mirrored, price alone and recent extremes: tiers "
        "only). A claim that is not clearly larger than on "
        "the first three (one-sided p below 0.05, by the same blocks of days) is not made; that a weaker "
        "map does as well is said with the claim. The rule is held against price alone too, and made only "
        "where another claim on the way of price stands.",
    ),
    (
        "Days, not bars",
        "observations of one day (two for the longest horizon) are one witness: intervals and p-values come "
        "from turning the sign of whole days at random.",
    ),
    (
        "Halves and best days",
        "a claim must keep its sign in either half of the data and without its three best days.",
    ),
    (
        "No evidence, too little data",
        "no evidence: an effect large enough to matter would have been found in 4 of 5 such samples, and was "
        "not. Too little data: it could have been missed.",
    ),
    (
        "What would matter",
        "0.05 for a rank correlation, 0.2 ordinary moves, 5 basis points a day; set before any data were "
        "seen.",
    ),
)
"""Term and meaning."""
