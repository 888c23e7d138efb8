"""Imported maps: the worked example of 14 B above and 1 B below, and the rules of following one."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from builders import random_panel
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.imported_map import build_imported_map
from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.liquidation_map import MapParameters
from liqtiers.datasets.panel import Panel, panel_from_frame

INSTRUMENT = instrument_for("binance", "BTCUSDT")
PRICE = 71_450.0
BILLION = 1e9
TIERS = ((88_000.0, 89_500.0, 2.6), (92_000.0, 94_000.0, 3.9), (96_000.0, 100_000.0, 6.4))


def still_panel(bars: int = 40) -> Panel:
    """Return a market that stands at the example's price."""
    index = pd.date_range("2026-03-01", periods=bars, freq="1h", tz="UTC")
    frame = pd.DataFrame({"open": PRICE, "high": PRICE + 20, "low": PRICE - 20}, index=index)
    frame["close"], frame["volume"] = PRICE, 1000.0
    return panel_from_frame(frame, venue="vendor", symbol="BTCUSDT", timeframe="1h")


def levels(at: pd.Timestamp) -> pa.Table:
    """Return the example: shorts laddered from 84,000 to 100,000, denser toward the top; 1 B of longs."""
    rows = []

    def spread(side: str, low: float, high: float, notional: float) -> None:
        edges = np.arange(low, high, 20.0)
        rows.extend((side, edge, edge + 20.0, notional * BILLION / len(edges)) for edge in edges)

    for low, high, notional in TIERS:
        spread("short", low, high, notional)
    spread("short", 84_000.0, 88_000.0, 0.6)
    spread("short", 89_500.0, 92_000.0, 0.3)
    spread("short", 94_000.0, 96_000.0, 0.2)
    spread("long", 58_000.0, 69_000.0, 1.0)
    frame = pd.DataFrame(rows, columns=["side", "price_low", "price_high", "notional"])
    frame["ts"] = frame["available_at"] = at.as_unit("us")
    frame["model"] = "worked example"
    return pa.Table.from_pandas(frame, preserve_index=False)


def test_the_worked_example() -> None:
    """14 B above and 1 B below: imbalance 14 within 1 %, tiers at 88,000, 92,000 and 96,000."""
    panel = still_panel()
    built = build_imported_map(
        panel, levels(pd.Timestamp("2026-03-01T12:00Z")), instrument=INSTRUMENT
    )
    features = built.features
    whole = features.window_index(0.40)
    assert features.notional_above[20, whole] == pytest.approx(14 * BILLION, rel=0.01)
    assert features.imbalance[20, whole] == pytest.approx(14.0, rel=0.01)
    assert features.above.lower[20, :3] == pytest.approx([88_000, 92_000, 96_000], rel=0.002)
    assert features.above.notional[20, :3] == pytest.approx([2.6e9, 3.9e9, 6.4e9], rel=0.02)
    assert np.isnan(features.above.lower[20, 3])
    assert pytest.approx(0.26, abs=0.001) == 90_000.0 / PRICE - 1.0
    assert built.model == "worked example"


def test_nothing_is_known_before_the_snapshot_or_long_after() -> None:
    """As of: unknown before it was available and after its greatest age."""
    panel = still_panel()
    built = build_imported_map(
        panel, levels(pd.Timestamp("2026-03-01T12:00Z")), instrument=INSTRUMENT, max_age_hours=10.0
    )
    known = np.isfinite(built.features.imbalance[:, -1])
    expected = (panel.close_ts >= panel.ts[12]) & (panel.close_ts <= panel.ts[22])
    assert np.array_equal(known, expected)


def test_levels_that_price_reaches_are_gone_until_the_next_snapshot() -> None:
    """A swept level is counted as a predicted liquidation and does not come back by itself."""
    frame = still_panel().to_frame()
    frame.loc[frame.index[20], ["high"]] = 93_000.0
    panel = panel_from_frame(frame, venue="vendor", symbol="BTCUSDT", timeframe="1h")
    built = build_imported_map(
        panel, levels(pd.Timestamp("2026-03-01T12:00Z")), instrument=INSTRUMENT
    )
    features = built.features
    swept = (0.6 + 2.6 + 0.3 + 3.9 / 2) * BILLION
    assert features.predicted_short_liquidations[20] == pytest.approx(swept, rel=0.02)
    assert features.notional_above[21, -1] == pytest.approx(14 * BILLION - swept, rel=0.02)
    assert features.above.lower[21, 0] == pytest.approx(93_000.0, rel=0.002)


def test_the_future_changes_nothing() -> None:
    """Truncation: features before a cut are the same to the last bit."""
    panel = random_panel(300, seed=4, timeframe="5m")
    moments = [pd.Timestamp(int(panel.ts[i]), unit="us", tz="UTC") for i in (20, 120, 220)]
    rows = pa.concat_tables([levels(moment) for moment in moments])
    for cut in (30, 121, 150, 299):
        full = build_imported_map(panel, rows, instrument=INSTRUMENT).features.slice(0, cut)
        short = build_imported_map(panel.slice(0, cut), rows, instrument=INSTRUMENT).features
        assert np.array_equal(full.imbalance, short.imbalance, equal_nan=True)
        assert np.array_equal(full.above.lower, short.above.lower, equal_nan=True)
        assert np.array_equal(full.below.notional, short.below.notional, equal_nan=True)


def test_wrong_snapshots_are_named() -> None:
    """Two models at once, or none near any bar, are errors that say so."""
    late = levels(pd.Timestamp("2027-01-01T00:00Z"))
    with pytest.raises(InputError, match="choose other dates"):
        build_imported_map(still_panel(), late, instrument=INSTRUMENT)
    other = late.set_column(
        late.schema.get_field_index("model"),
        "model",
        pa.array(["other"] * late.num_rows, pa.large_string()),
    )
    with pytest.raises(InputError, match="one model, found other, worked example"):
        build_imported_map(still_panel(), pa.concat_tables([late, other]), instrument=INSTRUMENT)


def test_a_windows_column_is_found_by_its_size() -> None:
    """Asking for a window that was not measured says which were."""
    features = build_imported_map(
        still_panel(),
        levels(pd.Timestamp("2026-03-01T12:00Z")),
        instrument=INSTRUMENT,
        parameters=MapParameters(windows=(0.1, 0.3)),
    ).features
    with pytest.raises(InputError, match="use one of 0.1, 0.3"):
        features.window_index(0.2)
