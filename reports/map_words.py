"""The liquidation map's figures in words: one wording for page, image and terminal."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from .formatting import UNKNOWN, is_known, money, number, share
from .map_picture import MapPicture, Tier, Window

CAVEAT: Final = (
    "Read it with care: such a ratio is mostly price minus its own moving average (on a random walk it "
    "follows it), so a high one is not yet a signal. Tiers are potential, not promise."
)
_FEWEST_BARS: Final = 100
_DAY_US: Final = 86_400_000_000


def moment_words(picture: MapPicture) -> str:
    """Return the moment of the picture, to the minute, UTC."""
    return str(np.datetime_as_string(np.datetime64(picture.at_us, "us"), unit="m")).replace(
        "T", " "
    )


def title_words(picture: MapPicture) -> str:
    """Return what the picture is of: instrument, moment, price and what the map is made from."""
    source = f"imported from {picture.model}" if picture.imported else f"from {picture.model}"
    return (
        f"{picture.venue} {picture.symbol} at {moment_words(picture)} UTC, price "
        f"{price_words(picture.price, picture)}, map {source}, {picture.timeframe} bars"
    )


def price_words(price: float, picture: MapPicture) -> str:
    """Return a price with the picture's number of decimals."""
    return number(price, picture.places)


def distance_words(distance: float) -> str:
    """Return a window's size: ``10%``, ``2.5%``."""
    return f"{100.0 * distance:g}%"


def ratio_words(imbalance: float) -> str:
    """Return an imbalance as ``2.6 to 1`` or ``1 to 3.2``, or what it is called where a side is empty."""
    if math.isnan(imbalance):
        return UNKNOWN
    if math.isinf(imbalance):
        return "none below"
    if imbalance == 0.0:
        return "none above"
    larger = max(imbalance, 1.0 / imbalance)
    figure = number(larger, 1 if larger < 99.95 else 0)
    if figure == "1.0":
        return "about even"
    return f"{figure} to 1" if imbalance >= 1.0 else f"1 to {figure}"


def imbalance_words(window: Window, picture: MapPicture) -> str:
    """Return what lies within a window, as a sentence."""
    within = f"Within {distance_words(window.distance)}"
    if not (window.above > 0.0 or window.below > 0.0):
        return f"{within}: nothing on either side of price."
    if not window.below > 0.0:
        return f"{within}: {money(window.above)} {picture.currency} of shorts above, none below."
    if not window.above > 0.0:
        return f"{within}: {money(window.below)} {picture.currency} of longs below, none above."
    return (
        f"{within}: {money(window.above)} {picture.currency} of shorts above against "
        f"{money(window.below)} of longs below, {ratio_words(window.imbalance)}."
    )


def base_rate_words(window: Window, picture: MapPicture) -> str:
    """Return how common such an imbalance was in the map's own past, as a sentence."""
    rate = window.base_rate
    if rate.bars < _FEWEST_BARS:
        few = f"only {rate.bars:,}" if rate.bars else "no"
        return (
            f"There are {few} earlier bars: too few to say how common such an imbalance is in this "
            "map."
        )
    if not is_known(rate.either):
        return "There is no ratio to compare with this map's past."
    day = np.datetime_as_string(np.datetime64(rate.since_us, "us"), unit="D")
    days = (picture.at_us - rate.since_us) / _DAY_US
    earlier = f"{rate.bars:,} earlier bars since {day} ({number(days, 0)} days)"
    if rate.either == 0.0:
        return f"This map was at least as lopsided at none of its {earlier}."
    return (
        f"This map was at least as lopsided at {share(rate.either)} of its {earlier}, and to the same "
        f"side at {share(rate.same)}."
    )


def remarks(picture: MapPicture) -> tuple[str, ...]:
    """Return the notes, and where the leverage mix comes from unless they say it: a prior is noted."""
    noted = not (picture.mix_fitted or picture.imported)
    return picture.notes if noted else (*picture.notes, picture.mix_origin)


def tier_label(tier: Tier) -> str:
    """Return what stands beside a tier's band."""
    return f"{tier.name}  {money(tier.notional)}, fuel {fuel_words(tier)}"


def short_tier_label(tier: Tier) -> str:
    """Return the same for a narrow screen."""
    return f"{tier.name} {money(tier.notional)}, {fuel_words(tier)}"


def fuel_words(tier: Tier) -> str:
    """Return a tier's fuel in hours of trading."""
    if not is_known(tier.fuel):
        return UNKNOWN
    if 0.0 < tier.fuel < 0.005:
        return "<0.01 h"
    return f"{number(tier.fuel, 2 if tier.fuel < 9.995 else 1)} h"


def signed_distance_words(distance: float) -> str:
    """Return a signed distance from price: ``+3.4%``."""
    return f"{distance:+.1%}"
