"""The panel: aligned, frozen, with its gaps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.panel import Gap, Panel, column_names, find_gaps, panel_from_frame

HOUR = 3_600_000_000
START = 1_704_067_200_000_000  # 2024-01-01


def frame(hours: list[int] | None = None, **columns: object) -> pd.DataFrame:
    """Hourly bars at the given hours after the start."""
    opens = START + np.array([0, 1, 2, 3] if hours is None else hours) * HOUR
    index = pd.DatetimeIndex(opens.astype("datetime64[us]"), tz="UTC")
    count = len(opens)
    plain: dict[str, object] = {
        "open": np.arange(count) + 100.0,
        "high": np.arange(count) + 103.0,
        "low": np.arange(count) + 99.0,
        "close": np.arange(count) + 101.0,
        "volume": np.full(count, 2.0),
    }
    return pd.DataFrame({**plain, **columns}, index=index)


def panel(hours: list[int] | None = None, **columns: object) -> Panel:
    return panel_from_frame(frame(hours, **columns), timeframe="1h")


def test_a_frame_of_bars_is_enough() -> None:
    """What is not given is unknown, and funding is not charged."""
    made = panel()
    assert made.ts.tolist() == [START + i * HOUR for i in range(4)]
    assert made.close.tolist() == [101.0, 102.0, 103.0, 104.0]
    assert made.quote_volume.tolist() == [2.0 * 101.0, 2.0 * 102.0, 2.0 * 103.0, 2.0 * 104.0]
    assert np.isnan(made.oi_base).all()
    assert made.oi_series.tolist() == [-1] * 4
    assert made.funding_settled.tolist() == [0.0] * 4


def test_other_columns_are_taken_over() -> None:
    """A column of the panel that the frame has is used."""
    made = panel(oi_base=[np.nan, 5.0, 5.0, 6.0], quote_volume=[1.0, 2.0, 3.0, 4.0])
    assert made.oi_observed.tolist() == [False, True, True, True]
    assert made.oi_series.tolist() == [-1, 0, 0, 0]
    assert made.quote_volume.tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_an_index_of_any_zone_becomes_utc(zone: str | None) -> None:
    """Without a zone it is taken as UTC; with one it is converted."""
    bars = frame()
    index = bars.index.tz_localize(None) if zone is None else bars.index.tz_convert(zone)
    assert panel_from_frame(bars.set_index(index), timeframe="1h").ts[0] == START


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_an_index_of_any_unit_is_read_right(unit: str) -> None:
    """pandas keeps times in several units."""
    bars = frame()
    assert panel_from_frame(bars.set_index(bars.index.as_unit(unit)), timeframe="1h").ts[0] == START


def test_changing_the_frame_later_does_not_change_the_panel() -> None:
    """The panel owns its columns."""
    bars = frame()
    made = panel_from_frame(bars, timeframe="1h")
    bars.loc[:, "close"] = 0.0
    assert made.close[0] == 101.0


@pytest.mark.parametrize(
    ("bars", "words"),
    [
        (frame().drop(columns=["volume", "low"]), "lacks the columns low, volume"),
        (frame().reset_index(drop=True), "not a DatetimeIndex"),
        (frame([0, 2, 1]), "not strictly increasing"),
        (frame([0, 1, 1]), "not strictly increasing"),
    ],
)
def test_frames_that_cannot_be_a_panel_are_refused(bars: pd.DataFrame, words: str) -> None:
    """One line that says what is wrong."""
    with pytest.raises(InputError, match=words):
        panel_from_frame(bars, timeframe="1h")


def test_columns_of_another_length_are_refused() -> None:
    """All columns are aligned, or there is no panel."""
    with pytest.raises(InputError, match=r"panel column close has shape \(3,\), expected \(4,\)"):
        dataclasses.replace(panel(), close=np.ones(3))


def test_columns_cannot_be_written() -> None:
    """A panel is shared by many readers; none of them may change it."""
    with pytest.raises(ValueError, match="read-only"):
        panel().close[0] = 1.0


def test_close_is_one_bar_after_the_open() -> None:
    """The row is known when the bar closes."""
    made = panel()
    assert made.bar_us == HOUR
    assert (made.close_ts - made.ts == HOUR).all()
    assert len(made) == 4


def test_gaps_by_hand() -> None:
    """First missing bar, next bar present, count."""
    made = panel([0, 1, 4, 5, 7])
    assert made.gaps == (
        Gap(START + 2 * HOUR, START + 4 * HOUR, 2),
        Gap(START + 6 * HOUR, START + 7 * HOUR, 1),
    )


@given(st.sets(st.integers(0, 60), min_size=1))
def test_gaps_and_bars_fill_the_span(hours: set[int]) -> None:
    """Bars present and bars missing add up to the span, whatever is missing."""
    ts = np.array(sorted(hours), dtype=np.int64) * HOUR
    gaps = find_gaps(ts, HOUR)
    missing = {at for gap in gaps for at in range(gap.start_us // HOUR, gap.end_us // HOUR)}
    assert missing == set(range(min(hours), max(hours) + 1)) - hours
    assert sum(gap.missing_bars for gap in gaps) == len(missing)


def test_a_slice_keeps_only_the_gaps_within() -> None:
    """A gap at the edge of a slice is not within it."""
    made = panel([0, 1, 4, 5, 7])
    assert made.slice(0, 2).gaps == ()
    assert made.slice(1, 3).gaps == made.gaps[:1]
    assert made.slice(2, 5).gaps == made.gaps[1:]
    assert made.slice(3, 3).gaps == ()
    assert made.slice(1, 4).close.tolist() == made.close[1:4].tolist()


def test_fingerprint_tells_any_difference() -> None:
    """Equal data have equal prints; a value, a name or a length more changes it."""
    made = panel()
    assert panel().fingerprint() == made.fingerprint()
    assert len(made.fingerprint()) == 16
    changed = [
        dataclasses.replace(made, symbol="OTHER"),
        dataclasses.replace(made, timeframe="2h"),
        dataclasses.replace(made, volume=np.array([2.0, 2.0, 2.0, 2.0000000001])),
        made.slice(0, 3),
    ]
    assert len({other.fingerprint() for other in [made, *changed]}) == 5


def test_fingerprint_ignores_notes() -> None:
    """The words about the data are not the data."""
    assert dataclasses.replace(panel(), notes=("x",)).fingerprint() == panel().fingerprint()


def test_every_column_is_in_the_frame() -> None:
    """There and back: a panel's frame gives the same bars."""
    made = panel()
    table = made.to_frame()
    assert ["ts", *table.columns] == list(column_names())
    assert str(table.index.tz) == "UTC"
    again = panel_from_frame(table, timeframe="1h")
    assert again.close.tolist() == made.close.tolist()
