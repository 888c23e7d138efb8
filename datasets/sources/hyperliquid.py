"""Real positions on Hyperliquid at a moment: answers of ``clearinghouseState``, one an account.

Each position carries its own liquidation price. There is no archive: what is not collected is lost. A
position in cross margin moves its liquidation price with the account's others; one that cannot be
liquidated at any price has none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from ..errors import InputError
from ..validation import LINE
from ._cells import TIMESTAMP, number_in_json
from .parsed import ImportOptions, Parsed

SNAPSHOT: Final = "hyperliquid_states"
"""The one field of a snapshot's file: a list of ``{"address", "state"}``."""

_MODEL: Final = "hyperliquid positions"


def parse_states(path: Path, value: Any, options: ImportOptions) -> Parsed | None:
    """Return the liquidation prices in a snapshot, or None if it is none.

    Raises
    ------
    InputError
        If the coin is not said, or a position's numbers do not fit.
    """
    if not isinstance(value, dict) or not isinstance(value.get(SNAPSHOT), list):
        return None
    if options.symbol is None:
        raise InputError(f"{path}: a snapshot holds all coins; give --symbol, for example BTC")
    try:
        states = [each["state"] for each in value[SNAPSHOT]]
        # One moment for all: when the last account was looked at, all of them were known.
        moment = int(np.int64(max(int(number_in_json(state["time"])) for state in states) * 1000))
        positions = [p["position"] for state in states for p in state["assetPositions"]]
        own = [p for p in positions if p["coin"] == options.symbol]
        levels = pd.DataFrame(
            {
                "price": [_price(p["liquidationPx"]) for p in own],
                "size": [number_in_json(p["szi"]) for p in own],
            }
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: is no snapshot of Hyperliquid's states ({error!r})") from None
    known = levels[levels["price"] > 0.0].assign(
        side=lambda f: np.where(f["size"] > 0.0, "long", "short"),
        notional=lambda f: f["price"] * f["size"].abs(),
    )
    if known.empty:
        raise InputError(f"{path}: no account holds {options.symbol} with a liquidation price")
    with np.errstate(over="ignore"):  # what is beyond any float, the quarantine catches
        summed = known.groupby(["side", "price"], as_index=False)["notional"].sum()
    ts = pa.array(np.full(len(summed), moment, dtype=np.int64)).cast(TIMESTAMP)
    rows = pa.table(
        {
            "ts": ts,
            "available_at": ts,
            "side": summed["side"].to_numpy(dtype=object),
            "price_low": summed["price"].to_numpy(),
            "price_high": summed["price"].to_numpy(),
            "notional": summed["notional"].to_numpy(),
            "model": [_MODEL] * len(summed),
            LINE: np.arange(1, len(summed) + 1),
        }
    )
    without = len(levels) - len(known)
    return Parsed(
        table="liquidation_map",
        rows=rows,
        venue=options.venue or "hyperliquid",
        symbol=options.symbol,
        recognised=f"positions of {len(states)} accounts on Hyperliquid",
        notes=(f"{without} positions have no liquidation price",) if without else (),
    )


def _price(value: Any) -> float:
    return np.nan if value is None else number_in_json(value)
