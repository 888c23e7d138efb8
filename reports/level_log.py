"""The log of a run's levels: each approach to a price that the user named, and what came of it.

The same approaches and outcomes as in `liqtiers evidence`, which compares them with like levels as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ..datasets.instruments import Instrument
from ..datasets.liquidation_map import LiquidationMap
from ..datasets.panel import Panel
from .evidence.imbalance_statistics import horizons_of
from .evidence.levels import level_approaches
from .evidence.market import HORIZON_HOURS, EvidenceMarket
from .evidence.outcomes import OUTCOME_NAMES, outcomes_of
from .evidence_words import short_hours, signed
from .formatting import is_known, money, number

_MS: Final = 1000


def level_log(
    panel: Panel,
    liquidation_map: LiquidationMap,
    instrument: Instrument,
    levels: Sequence[float],
    *,
    window: float,
) -> dict[str, Any] | None:
    """Return every approach to some prices, as a run's record holds them; None where no level was named.

    Parameters
    ----------
    panel, liquidation_map, instrument
        What was traded.
    levels : sequence of float
        Prices, quote per base.
    window : float
        Within which the map's two sides are summed, fraction of price.

    Returns
    -------
    dict
        ``levels``, ``hours`` (the horizons) and ``rows``: ``known_us`` (close before the level was reached),
        ``level``, ``side`` (1 from below), ``in_tier``, ``notional`` and ``fuel`` of the tier there,
        ``towards`` and ``behind`` (quote within the window), ``outcomes`` (name, and move beyond the level at
        the end in ordinary moves, one a horizon).

    Raises
    ------
    InputError
        If a level is not a price.

    Notes
    -----
    Look-ahead: what stood there was known at the close before; outcomes look as far as their horizon.
    """
    if not levels:
        return None
    market = EvidenceMarket(
        panel=panel, features=liquidation_map.features, instrument=instrument, window=window
    )
    found = level_approaches(market, levels)
    reached = found.approaches
    hours = horizons_of(panel, HORIZON_HOURS)
    came = [outcomes_of(market, reached, h) for h in hours]
    rows = [
        {
            "known_us": int(reached.known_us[k]),
            "level": float(reached.near[k]),
            "side": int(reached.side[k]),
            "in_tier": bool(found.in_tier[k]),
            "notional": float(reached.notional[k]),
            "fuel": float(reached.fuel[k]),
            "towards": float(found.notional_towards[k]),
            "behind": float(found.notional_behind[k]),
            "outcomes": [
                [OUTCOME_NAMES[int(outcome.state[k])], float(outcome.signed_move[k])]
                for outcome in came
            ],
        }
        for k in range(len(reached))
    ]
    return {"levels": list(levels), "hours": list(hours), "rows": rows}


def level_log_rows(log: dict[str, Any], *, places: int) -> list[dict[str, Any]]:
    """Return the log as texts for the page; `places` are the decimals of a price."""
    return [
        {
            "at_ms": row["known_us"] // _MS,
            "when": str(np.datetime64(row["known_us"], "us").astype("datetime64[m]")).replace(
                "T", " "
            ),
            "level": number(row["level"], places),
            "side": "from below" if row["side"] > 0 else "from above",
            "tier": f"{money(row['notional'])}, fuel {number(row['fuel'], 1)} h"
            if row["in_tier"]
            else "none",
            "towards": money(row["towards"]),
            "behind": money(row["behind"]),
            "outcomes": [
                f"{name}, then {signed(move, 1)}" if move is not None and is_known(move) else name
                for name, move in row["outcomes"]
            ],
        }
        for row in log["rows"]
    ]


def level_log_hours(log: dict[str, Any]) -> list[str]:
    """Return the horizons in short."""
    return [short_hours(hours) for hours in log["hours"]]
