"""Files of the shapes that the real-data folder holds, as panels for the studies.

Everything goes the way a user's data go: parsed, written to a lake (in a temporary folder), loaded as a
panel. Windows are named as in the folder's README.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liqtiers.datasets.instruments import Instrument, instrument_for
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.panel import Panel
from liqtiers.datasets.panel_query import load_panel
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import parse_file


@dataclass(frozen=True)
class Window:
    """A window of real data: which files, from when, and over what sums are compared.

    Funding and positioning are for the public recipes; our map reads neither.
    """

    name: str
    timeframe: str
    start: str
    end: str | None
    scored_from: str
    period_hours: int
    bars: tuple[str, ...]
    open_interest: tuple[tuple[str, str], ...]
    prints: tuple[str, str]
    funding: tuple[tuple[str, str], ...] = ()
    positioning: tuple[tuple[str, str], ...] = ()


def windows(symbol: str) -> tuple[Window, ...]:
    """Return the windows for a coin, for example ``BTC``."""
    um = f"bars/{symbol}USDT_um"
    marks = f"{um}_mark_1h.parquet"
    binance = ("binance", f"open_interest/{symbol}_binance_5m.csv")
    # Daily and 4-hour rows of one series stand at the same moments: two names keep them apart.
    daily = ("all_daily", "vendor/coinglass_daily/futures_oi_agg_1d.csv")
    four_hours = ("all", f"open_interest/{symbol}_all_venues_4h.csv")
    three = ("three", f"liquidations/{symbol}_three_venues_1h.csv")
    funding = (("binance", f"funding/{symbol}USDT_binance.parquet"),)
    ratios = (
        ("ratios", "vendor/coinglass_daily/long_short_all_1d.csv"),
        ("takers", "vendor/coinglass_daily/taker_vol_agg_futures_1d.csv"),
    )
    return (
        Window(
            "w4",
            "1h",
            "2020-01-01",
            None,
            "2021-09-01",
            24,
            (f"{um}_1h.parquet", marks),
            (daily,),
            ("all_daily", "vendor/coinglass_daily/liquidation_agg_1d.csv"),
            funding,
            ratios,
        ),
        Window(
            "hourly_bars",
            "1h",
            "2025-06-01",
            None,
            "2025-12-01",
            1,
            (f"{um}_1h.parquet", marks),
            (binance, four_hours),
            three,
            funding,
        ),
        Window(
            "hourly",
            "5m",
            "2025-06-01",
            None,
            "2025-12-01",
            1,
            (f"{um}_5m.parquet", marks),
            (binance, four_hours),
            three,
            funding,
        ),
        Window(
            "w2",
            "5m",
            "2024-06-01",
            None,
            "2024-12-15",
            4,
            (f"{um}_5m.parquet", marks),
            (four_hours, daily),
            ("binance_4h", f"liquidations/{symbol}_binance_4h.csv"),
            funding,
            ratios,
        ),
    )


def missing_files(window: Window, data: Path) -> list[str]:
    """Return the files of a window that the folder lacks; of open interest the first must be there."""
    needed = [window.bars[0], window.open_interest[0][1], window.prints[1]]
    return [name for name in needed if not (data / name).is_file()]


def load_window(window: Window, symbol: str, *, data: Path, lake: Lake) -> tuple[Panel, Instrument]:
    """Import a window's files and return its panel."""
    market = f"{symbol}USDT"
    for name in window.bars:
        _store(data / name, lake, "binance", market)
    others = (*window.open_interest, window.prints, *window.funding, *window.positioning)
    for venue, name in others:
        _store(data / name, lake, venue, market if venue == "binance" else symbol)

    def names(series: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
        present = dict.fromkeys(venue for venue, name in series if (data / name).is_file())
        return tuple(f"{v}:{market if v == 'binance' else symbol}" for v in present)

    panel = load_panel(
        lake,
        venue="binance",
        symbol=market,
        timeframe=window.timeframe,
        start_us=_us(window.start),
        end_us=None if window.end is None else _us(window.end),
        open_interest=names(window.open_interest),
        funding=names(window.funding),
        positioning=names(window.positioning),
        liquidations=(f"{window.prints[0]}:{symbol}",),
    )
    return panel, instrument_for("binance", market)


def _store(path: Path, lake: Lake, venue: str, symbol: str) -> None:
    if not path.is_file():
        return
    coin = symbol.removesuffix("USDT")
    for parsed in parse_file(path, options=ImportOptions(venue=venue, symbol=coin)):
        lake.write(
            parsed.table,
            parsed.rows,
            venue=venue,
            symbol=symbol,
            timeframe=parsed.timeframe,
            source=path.name,
        )


def _us(day: str) -> int:
    return int(np.datetime64(day, "us").astype(np.int64))
