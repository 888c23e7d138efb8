"""The panel: bars of any timeframe, everything else as it was known at each bar's close."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqtiers.datasets.errors import InputError, LakeError
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.naming import timeframe_us
from liqtiers.datasets.panel import Panel, column_names
from liqtiers.datasets.panel_query import check_files, load_panel
from liqtiers.datasets.schemas import TIMESTAMP

MINUTE = 60_000_000
FIVE = 5 * MINUTE
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 1_704_067_200_000_000  # 2024-01-01, a Monday
BTC = {"venue": "binance", "symbol": "BTCUSDT"}


def times(at: Sequence[int]) -> pa.Array:
    return pa.array(at, TIMESTAMP)


def bar_rows(opens: Sequence[int], timeframe: str, **columns: object) -> pa.Table:
    """Flat bars at 100 with volume 1, columns overridden."""
    count = len(opens)
    flat: dict[str, object] = {
        "ts": times(opens),
        "available_at": times([at + timeframe_us(timeframe) for at in opens]),
        **{name: [100.0] * count for name in ("open", "high", "low", "close")},
        "volume": [1.0] * count,
    }
    return pa.table({**flat, **columns})


def put_bars(lake: Lake, opens: Sequence[int], timeframe: str = "5m", **columns: object) -> None:
    report = lake.write("bars", bar_rows(opens, timeframe, **columns), **BTC, timeframe=timeframe)
    assert report.quarantined == 0


def put(
    lake: Lake,
    table: str,
    at: Sequence[int],
    *,
    venue: str = "binance",
    symbol: str = "BTCUSDT",
    timeframe: str | None = None,
    available: Sequence[int] | None = None,
    **columns: object,
) -> None:
    """Write observations, known at once unless said otherwise."""
    rows = pa.table({"ts": times(at), "available_at": times(available or at), **columns})
    report = lake.write(table, rows, venue=venue, symbol=symbol, timeframe=timeframe)
    assert report.quarantined == 0


def put_sums(
    lake: Lake,
    opens: Sequence[int],
    timeframe: str,
    long: Sequence[float],
    short: Sequence[float],
    **where: str,
) -> None:
    """Write sums of liquidations over bars, known at each bar's close."""
    closes = [at + timeframe_us(timeframe) for at in opens]
    for side, notional in (("long", long), ("short", short)):
        put(
            lake,
            "liquidations",
            opens,
            available=closes,
            timeframe=timeframe,
            side=[side] * len(opens),
            notional=list(notional),
            seq=[0] * len(opens),
            **where,
        )


def steps(count: int, step: int = FIVE, *, start: int = START) -> list[int]:
    return [start + i * step for i in range(count)]


def load(lake: Lake, timeframe: str = "5m", **options: object) -> Panel:
    return load_panel(lake, **BTC, timeframe=timeframe, **options)  # type: ignore[arg-type]


def same(found: np.ndarray, expected: Sequence[float]) -> None:
    np.testing.assert_array_equal(found, np.asarray(expected, dtype=float))


NAN = float("nan")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


class TestBars:
    """Bars as stored, resampled, with gaps, at the edges."""

    def test_bars_of_the_stored_timeframe_are_taken_over(self, lake: Lake) -> None:
        """No resampling, no change."""
        put_bars(lake, steps(3), close=[99.0, 100.0, 101.0], low=[90.0] * 3, high=[110.0] * 3)
        panel = load(lake)
        same(panel.ts, steps(3))
        same(panel.close, [99.0, 100.0, 101.0])
        assert panel.sources["bars"] == ("binance:BTCUSDT:5m",)

    def test_resampling_by_hand(self, lake: Lake) -> None:
        """First open, highest high, lowest low, last close, sums of the rest."""
        put_bars(
            lake,
            steps(6),
            open=[10.0, 11.0, 12.0, 13.0, 14.0, 15.0],
            high=[20.0, 29.0, 21.0, 22.0, 23.0, 24.0],
            low=[9.0, 8.0, 7.0, 6.0, 5.0, 4.0],
            close=[11.0, 12.0, 13.0, 14.0, 15.0, 16.0],
            volume=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            quote_volume=[10.0, 20.0, 30.0, 40.0, 50.0, 60.0],
            taker_buy_volume=[1.0, 0.0, 2.0, 4.0, 5.0, 0.0],
        )
        panel = load(lake, "15m")
        same(panel.ts, [START, START + 3 * FIVE])
        same(panel.open, [10.0, 13.0])
        same(panel.high, [29.0, 24.0])
        same(panel.low, [7.0, 4.0])
        same(panel.close, [13.0, 16.0])
        same(panel.volume, [6.0, 15.0])
        same(panel.quote_volume, [60.0, 150.0])
        same(panel.taker_buy_share, [3.0 / 6.0, 9.0 / 15.0])

    @settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), timeframe=st.sampled_from(["10m", "15m", "1h", "4h"]))
    def test_resampling_agrees_with_pandas(
        self, tmp_path_factory: pytest.TempPathFactory, seed: int, timeframe: str
    ) -> None:
        """Random bars with holes, against pandas."""
        rng = np.random.default_rng(seed)
        lake = Lake(tmp_path_factory.mktemp("lake"))
        opens = np.array(steps(300))[np.sort(rng.choice(300, 250, replace=False))]
        prices = np.sort(rng.uniform(90, 110, (250, 4)), axis=1)
        columns = {
            "low": prices[:, 0],
            "open": prices[:, 1],
            "close": prices[:, 2],
            "high": prices[:, 3],
            "volume": rng.exponential(5.0, 250),
        }
        put_bars(lake, opens.tolist(), **columns)
        panel = load(lake, timeframe)
        index = pd.DatetimeIndex(opens.astype("datetime64[us]"), tz="UTC")
        how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
        step = pd.Timedelta(timeframe_us(timeframe), "us")
        expected = pd.DataFrame(columns, index=index).resample(step).agg(how).dropna()
        expected = expected.loc[panel.to_frame().index]
        for name in ("open", "high", "low", "close"):
            same(getattr(panel, name), expected[name].to_numpy())
        np.testing.assert_allclose(panel.volume, expected["volume"], rtol=1e-14)

    def test_bars_that_are_not_whole_at_the_ends_are_left_out(self, lake: Lake) -> None:
        """The first bar has begun before the data, the last has not closed."""
        put_bars(lake, steps(9, start=START + 2 * FIVE))  # 00:10 to 00:50
        same(load(lake, "15m").ts, [START + 3 * FIVE, START + 6 * FIVE])

    def test_bars_with_holes_inside_are_kept_and_counted(self, lake: Lake) -> None:
        """A missing part inside does not remove a bar, and a note says so."""
        opens = steps(12)
        del opens[4], opens[7]  # a middle part of the second bar, the last part of the third
        put_bars(lake, opens)
        panel = load(lake, "15m")
        assert len(panel) == 4
        same(panel.volume, [3.0, 2.0, 2.0, 3.0])
        assert "2 bars are made of fewer 5m bars than they span." in panel.notes

    def test_gaps_are_kept_and_counted(self, lake: Lake) -> None:
        """No bar is invented; the panel says what is missing."""
        put_bars(lake, [START, START + FIVE, START + 5 * FIVE])
        panel = load(lake)
        [gap] = panel.gaps
        assert (gap.start_us, gap.end_us, gap.missing_bars) == (
            START + 2 * FIVE,
            START + 5 * FIVE,
            3,
        )
        assert "3 bars are missing in 1 gaps; none was invented." in panel.notes

    def test_the_coarsest_series_that_divides_is_used(self, lake: Lake) -> None:
        """One hour out of 15 minutes rather than 5; its own series where there is one."""
        put_bars(lake, steps(24), "5m")
        put_bars(lake, steps(8, 15 * MINUTE), "15m", volume=[2.0] * 8)
        put_bars(lake, steps(2, 45 * MINUTE), "45m")
        assert load(lake, "1h").sources["bars"] == ("binance:BTCUSDT:15m",)
        same(load(lake, "1h").volume, [8.0, 8.0])
        assert load(lake, "5m").sources["bars"] == ("binance:BTCUSDT:5m",)

    def test_a_timeframe_that_nothing_divides_is_refused(self, lake: Lake) -> None:
        """The message says what is stored."""
        put_bars(lake, steps(4, HOUR), "1h")
        put_bars(lake, steps(4, 15 * MINUTE), "15m")
        with pytest.raises(InputError, match="stored are 15m, 1h; choose a multiple"):
            load(lake, "5m")

    def test_weeks_open_on_monday(self, lake: Lake) -> None:
        """2024-01-01 was a Monday."""
        put_bars(lake, steps(15, DAY, start=START - DAY), "1d")
        same(load(lake, "1w").ts, [START, START + 7 * DAY])

    @pytest.mark.parametrize(
        ("start", "end", "first", "count"),
        [
            (None, None, 0, 6),
            (START + FIVE, None, 1, 5),
            (START + 1, None, 1, 5),
            (None, START + 3 * FIVE, 0, 3),
            (None, START + 3 * FIVE + 1, 0, 4),
            (START + FIVE, START + 2 * FIVE, 1, 1),
            (0, START + DAY, 0, 6),
        ],
    )
    def test_span_is_by_the_bars_open(
        self, lake: Lake, start: int | None, end: int | None, first: int, count: int
    ) -> None:
        """Bars that open at or after the start and before the end."""
        put_bars(lake, steps(6))
        panel = load(lake, start_us=start, end_us=end)
        same(panel.ts, steps(6)[first : first + count])

    @settings(max_examples=20, deadline=None)
    @given(first=st.integers(0, 30), length=st.integers(1, 40), seed=st.integers(0, 99))
    def test_a_span_is_a_slice_of_the_whole(
        self, tmp_path_factory: pytest.TempPathFactory, first: int, length: int, seed: int
    ) -> None:
        """Where a load begins and ends has no influence on its bars, holes or not."""
        rng = np.random.default_rng(seed)
        lake = Lake(tmp_path_factory.mktemp("lake"))
        put_bars(lake, np.array(steps(180))[rng.random(180) < 0.7].tolist())
        whole = load(lake, "15m")
        start = START + first * 3 * FIVE
        end = start + length * 3 * FIVE
        inside = (whole.ts >= start) & (whole.ts < end)
        if not inside.any():
            return
        part = load(lake, "15m", start_us=start, end_us=end)
        same(part.ts, whole.ts[inside])
        same(part.volume, whole.volume[inside])

    def test_unknown_quote_volume_is_estimated_and_said(self, lake: Lake) -> None:
        """Volume times the mean of high, low and close, where the source has none."""
        put_bars(lake, steps(2), volume=[2.0, 3.0], quote_volume=[None, 333.0], high=[130.0, 130.0])
        panel = load(lake)
        same(panel.quote_volume, [2.0 * 110.0, 333.0])
        assert any(note.startswith("Quote volume of 1 bars is estimated") for note in panel.notes)
        same(panel.taker_buy_share, [NAN, NAN])

    def test_no_bar_in_the_span_is_refused(self, lake: Lake) -> None:
        """An empty panel would only fail later."""
        put_bars(lake, steps(3))
        with pytest.raises(InputError, match="no whole 5m bar of binance BTCUSDT"):
            load(lake, start_us=START + DAY)
        with pytest.raises(InputError, match="the start is not before the end"):
            load(lake, start_us=START, end_us=START)

    def test_months_outside_the_span_are_not_read(self, lake: Lake) -> None:
        """A load of February does not open January, apart from its footer."""
        put_bars(lake, [START, START + 31 * DAY])
        [january] = lake.root.rglob("month=01.parquet")
        content = bytearray(january.read_bytes())
        content[4:40] = bytes(36)  # the pages, not the footer
        january.write_bytes(content)
        assert len(load(lake, start_us=START + 31 * DAY)) == 1

    def test_unknown_instrument_names_what_there_is(self, lake: Lake) -> None:
        """The message helps to find the right name."""
        put_bars(lake, steps(3))
        with pytest.raises(InputError, match="it has binance:BTCUSDT:5m"):
            load_panel(lake, venue="binance", symbol="ETHUSDT", timeframe="5m")


class TestOpenInterest:
    """As of its availability, chained over series, in coins."""

    def test_it_counts_from_when_it_was_known(self, lake: Lake) -> None:
        """An observation that is published late is not seen before."""
        put_bars(lake, steps(4))
        put(
            lake,
            "open_interest",
            [START, START + FIVE],
            available=[START + FIVE, START + 2 * FIVE + 1],
            oi_base=[10.0, 20.0],
        )
        panel = load(lake)
        same(panel.oi_base, [10.0, 10.0, 20.0, 20.0])
        assert panel.oi_observed.tolist() == [True, False, True, False]
        assert panel.oi_series.tolist() == [0, 0, 0, 0]

    def test_it_is_unknown_before_the_first(self, lake: Lake) -> None:
        """NaN and series -1, and a note with the count."""
        put_bars(lake, steps(3))
        put(lake, "open_interest", [START + 2 * FIVE], oi_base=[10.0])
        panel = load(lake)
        same(panel.oi_base, [NAN, 10.0, 10.0])
        assert panel.oi_series.tolist() == [-1, 0, 0]
        assert "Open interest is unknown in the first 1 bars." in panel.notes

    def test_an_observation_from_before_the_span_is_known_but_not_new(self, lake: Lake) -> None:
        """Starting later does not make an old observation a new one."""
        put_bars(lake, steps(4))
        put(lake, "open_interest", [START], oi_base=[10.0])
        panel = load(lake, start_us=START + FIVE)
        same(panel.oi_base, [10.0] * 3)
        assert not panel.oi_observed.any()

    def test_money_becomes_coins_by_the_last_close_before_it(self, lake: Lake) -> None:
        """An observation at 00:12 is converted by the bar that closed at 00:10."""
        put_bars(lake, steps(3), close=[100.0, 50.0, 200.0], low=[50.0] * 3, high=[200.0] * 3)
        put(lake, "open_interest", [START + 12 * MINUTE], oi_quote=[5000.0])
        panel = load(lake)
        same(panel.oi_base, [NAN, NAN, 100.0])
        assert any("given in money" in note for note in panel.notes)

    def test_an_outdated_row_that_arrives_late_changes_nothing(self, lake: Lake) -> None:
        """A backfilled old observation is no news."""
        put_bars(lake, steps(4))
        put(
            lake,
            "open_interest",
            [START, START + FIVE],
            available=[START + 3 * FIVE, START + FIVE],
            oi_base=[10.0, 20.0],
        )
        same(load(lake).oi_base, [20.0] * 4)

    def test_the_first_fresh_series_is_used_and_levels_are_chained(self, lake: Lake) -> None:
        """The finer series takes over when it begins, at the level of the coarser."""
        put_bars(lake, steps(4))
        put(
            lake,
            "open_interest",
            steps(4, start=START + FIVE),
            venue="all",
            symbol="BTC",
            oi_base=[100.0, 110.0, 121.0, 121.0],
        )
        put(lake, "open_interest", steps(2, start=START + 3 * FIVE), oi_base=[10.0, 12.0])
        panel = load(lake, open_interest=["binance:BTCUSDT", "all:BTC"])
        assert panel.oi_series.tolist() == [1, 1, 0, 0]
        same(panel.oi_base, [100.0, 110.0, 121.0, 12.1 * 12.0])
        assert panel.oi_observed.all()
        assert panel.sources["open_interest"] == ("binance:BTCUSDT", "all:BTC")
        assert any("all:BTC from 2024-01-01, binance:BTCUSDT from" in note for note in panel.notes)

    def test_a_stale_series_hands_over_and_comes_back(self, lake: Lake) -> None:
        """After a day of silence the next series is used; the level never jumps."""
        put_bars(lake, steps(30 * 4, 15 * MINUTE * 4), "1h")
        fine = [*steps(10, HOUR, start=START + HOUR), *steps(20, HOUR, start=START + 90 * HOUR)]
        put(lake, "open_interest", fine, oi_base=[10.0] * 10 + [40.0] * 20)
        coarse = steps(120, HOUR, start=START + HOUR)
        values = [200.0] * 60 + [220.0] * 60
        put(lake, "open_interest", coarse, venue="all", symbol="BTC", oi_base=values)
        panel = load(lake, "1h", open_interest=["binance:BTCUSDT", "all:BTC"])
        # The last fine row is of 10:00, so it is stale from the bar that closes at 10:00 next day.
        assert panel.oi_series.tolist() == [0] * 33 + [1] * 56 + [0] * 31
        same(panel.oi_base, [10.0] * 60 + [10.0 / 200.0 * 220.0] * 60)

    def test_a_single_series_that_falls_silent_keeps_its_level(self, lake: Lake) -> None:
        """The last level stands, marked as stale, and a note counts the bars."""
        put_bars(lake, steps(48, HOUR), "1h")
        put(lake, "open_interest", steps(3, HOUR, start=START + HOUR), oi_base=[1.0, 2.0, 3.0])
        panel = load(lake, "1h")
        same(panel.oi_base, [1.0, 2.0] + [3.0] * 46)
        assert panel.oi_series.tolist() == [0] * 26 + [-1] * 22
        assert any("stale in 22 bars" in note for note in panel.notes)

    def test_a_daily_series_is_not_stale_between_its_rows(self, lake: Lake) -> None:
        """Three of its own steps are allowed."""
        put_bars(lake, steps(8 * 24, HOUR), "1h")
        put(lake, "open_interest", steps(7, DAY), oi_base=[float(i + 1) for i in range(7)])
        panel = load(lake, "1h")
        assert (panel.oi_series == 0).all()
        assert any("seen every 24 hours" in note for note in panel.notes)

    def test_an_unknown_series_is_refused(self, lake: Lake) -> None:
        """A typing error is not silently an empty column."""
        put_bars(lake, steps(3))
        put(lake, "open_interest", [START], oi_base=[10.0])
        with pytest.raises(InputError, match="no open_interest of okx:BTC; it has binance:BTCUSDT"):
            load(lake, open_interest=["okx:BTC"])
        with pytest.raises(InputError, match="'binance' is not venue:symbol"):
            load(lake, open_interest=["binance"])

    def test_without_any_the_columns_are_unknown(self, lake: Lake) -> None:
        """No open interest is no error."""
        put_bars(lake, steps(3))
        panel = load(lake)
        same(panel.oi_base, [NAN] * 3)
        assert panel.oi_series.tolist() == [-1] * 3
        assert panel.sources["open_interest"] == ()


class TestFunding:
    """The rate as known, the settlement as charged."""

    def test_a_settlement_at_the_close_belongs_to_the_bar(self, lake: Lake) -> None:
        """After the open, up to and including the close."""
        put_bars(lake, steps(4))
        put(lake, "funding", [START, START + 2 * FIVE], rate=[0.01, 0.02])
        panel = load(lake)
        same(panel.funding_settled, [0.0, 0.02, 0.0, 0.0])
        same(panel.funding_rate, [0.01, 0.02, 0.02, 0.02])

    @pytest.mark.parametrize("late_us", [0, 1000, 47_000, 499_000])
    def test_a_stamp_some_milliseconds_late_is_the_same_settlement(
        self, lake: Lake, late_us: int
    ) -> None:
        """Exchanges stamp 08:00:00.047 for 08:00:00."""
        put_bars(lake, steps(4))
        put(lake, "funding", [START + 2 * FIVE + late_us], rate=[0.02])
        same(load(lake).funding_settled, [0.0, 0.02, 0.0, 0.0])

    def test_the_rate_counts_from_when_it_was_known(self, lake: Lake) -> None:
        """A rate that is published later is charged in its bar and known later."""
        put_bars(lake, steps(4))
        put(lake, "funding", [START + FIVE], available=[START + 3 * FIVE], rate=[0.02])
        panel = load(lake)
        same(panel.funding_settled, [0.02, 0.0, 0.0, 0.0])
        same(panel.funding_rate, [NAN, NAN, 0.02, 0.02])

    def test_several_settlements_in_a_bar_add_up(self, lake: Lake) -> None:
        """A daily bar holds three."""
        put_bars(lake, steps(2, DAY), "1d")
        at = steps(6, 8 * HOUR, start=START + 8 * HOUR)
        put(lake, "funding", at, rate=[0.01, 0.02, 0.03, 0.04, 0.0, 0.01])
        np.testing.assert_allclose(load(lake, "1d").funding_settled, [0.06, 0.05], rtol=1e-15)

    def test_the_second_series_fills_in(self, lake: Lake) -> None:
        """Where the first has nothing fresh the second is used."""
        put_bars(lake, steps(4))
        put(lake, "funding", [START + 3 * FIVE], rate=[0.03])
        put(lake, "funding", [START + FIVE], venue="bybit", rate=[0.01])
        panel = load(lake, funding=["binance:BTCUSDT", "bybit:BTCUSDT"])
        same(panel.funding_rate, [0.01, 0.01, 0.03, 0.03])
        same(panel.funding_settled, [0.01, 0.0, 0.03, 0.0])

    def test_missing_funding_is_said(self, lake: Lake) -> None:
        """A result without funding must say so."""
        put_bars(lake, steps(4))
        assert "No funding series: no funding is charged." in load(lake).notes
        put(lake, "funding", [START + 3 * FIVE], rate=[0.03])
        assert "2 bars have no funding rate; none is charged." in load(lake).notes


class TestLiquidations:
    """Printed liquidations, in the bar in which they became known."""

    def test_sums_over_bars_are_known_at_their_close(self, lake: Lake) -> None:
        """The hour's sum counts in the five minutes in which the hour ended, not before."""
        put_bars(lake, steps(36))
        put_sums(lake, steps(2, HOUR), "1h", [7.0, 8.0], [1.0, 2.0])
        panel = load(lake)
        same(panel.long_liquidations, [NAN] * 11 + [7.0] + [0.0] * 11 + [8.0] + [0.0] * 12)
        same(panel.short_liquidations, [NAN] * 11 + [1.0] + [0.0] * 11 + [2.0] + [0.0] * 12)
        assert any("a sum over 1h counts in the bar" in note for note in panel.notes)

    def test_sums_of_the_same_timeframe_fall_into_their_own_bar(self, lake: Lake) -> None:
        """Bar and sum close together."""
        put_bars(lake, steps(3, HOUR), "1h")
        put_sums(lake, steps(3, HOUR), "1h", [1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
        panel = load(lake, "1h")
        same(panel.long_liquidations, [1.0, 2.0, 3.0])
        same(panel.short_liquidations, [4.0, 5.0, 6.0])

    def test_a_bar_that_is_covered_in_part_is_unknown(self, lake: Lake) -> None:
        """A day of which the series saw only the evening has no sum."""
        put_bars(lake, steps(2, DAY), "1d")
        put_sums(lake, steps(30, HOUR, start=START + 18 * HOUR), "1h", [1.0] * 30, [0.0] * 30)
        same(load(lake, "1d").long_liquidations, [NAN, 24.0])

    def test_quiet_hours_are_zero_and_long_silence_is_unknown(self, lake: Lake) -> None:
        """Sources leave empty bars out; after a day nobody can tell."""
        put_bars(lake, steps(60, HOUR), "1h")
        put_sums(lake, [START, START + 20 * HOUR], "1h", [5.0, 6.0], [0.0, 0.0])
        found = load(lake, "1h").long_liquidations
        same(found, [5.0] + [0.0] * 19 + [6.0] + [0.0] * 23 + [NAN] * 16)

    def test_single_orders_are_summed(self, lake: Lake) -> None:
        """Events add up by the side of the position."""
        put_bars(lake, steps(4))
        put(
            lake,
            "liquidations",
            [START - 1, START + 1, START + 2, START + FIVE, START + FIVE + 1],
            timeframe="events",
            side=["long", "long", "short", "long", "long"],
            notional=[100.0, 1.0, 2.0, 4.0, 8.0],
            seq=[0] * 5,
        )
        panel = load(lake)
        same(panel.long_liquidations, [5.0, 8.0, 0.0, 0.0])
        same(panel.short_liquidations, [2.0, 0.0, 0.0, 0.0])

    def test_the_finest_sums_are_preferred_to_events_unless_named(self, lake: Lake) -> None:
        """Sums are complete, a stream of single orders may not be."""
        put_bars(lake, steps(24))
        put_sums(lake, steps(2, HOUR), "1h", [7.0, 8.0], [0.0, 0.0])
        put_sums(lake, steps(1, 4 * HOUR, start=START - 4 * HOUR), "4h", [9.0], [0.0])
        event = {"side": ["long"], "notional": [3.0], "seq": [0], "timeframe": "events"}
        put(lake, "liquidations", [START], **event)  # type: ignore[arg-type]
        assert load(lake).sources["liquidations"] == ("binance:BTCUSDT:1h",)
        named = load(lake, liquidations=["binance:BTCUSDT:events"])
        assert named.sources["liquidations"] == ("binance:BTCUSDT:events",)
        with pytest.raises(InputError, match="no liquidations of binance:BTCUSDT:5m"):
            load(lake, liquidations=["binance:BTCUSDT:5m"])

    def test_the_first_series_that_covers_a_bar_is_used(self, lake: Lake) -> None:
        """The second fills in where the first does not reach."""
        put_bars(lake, steps(4, HOUR), "1h")
        put_sums(lake, steps(2, HOUR, start=START + 2 * HOUR), "1h", [3.0, 4.0], [0.0, 0.0])
        put_sums(lake, steps(4, HOUR), "1h", [10.0] * 4, [20.0] * 4, venue="all")
        panel = load(lake, "1h", liquidations=["binance:BTCUSDT", "all:BTCUSDT"])
        same(panel.long_liquidations, [10.0, 10.0, 3.0, 4.0])
        same(panel.short_liquidations, [20.0, 20.0, 0.0, 0.0])


class TestPositioningAndMark:
    """Ratios as known; the mark price where it is fine enough."""

    def test_ratios_are_joined_one_by_one(self, lake: Lake) -> None:
        """Each column takes the first series that has it."""
        put_bars(lake, steps(3))
        put(lake, "positioning", [START + FIVE], long_short_accounts=[1.5], taker_buy_sell=[None])
        other = {"long_short_accounts": [9.0], "taker_buy_sell": [0.7]}
        put(lake, "positioning", [START + FIVE], venue="okx", **other)  # type: ignore[arg-type]
        panel = load(lake, positioning=["binance:BTCUSDT", "okx:BTCUSDT"])
        same(panel.long_short_accounts, [1.5] * 3)
        same(panel.taker_buy_sell, [0.7] * 3)
        same(panel.top_long_short_positions, [NAN] * 3)

    def put_mark(
        self, lake: Lake, opens: list[int], timeframe: str, high: list[float], **where: str
    ) -> None:
        rows = bar_rows(opens, timeframe, high=high).drop_columns(["volume"])
        lake.write("mark_bars", rows, **{**BTC, **where}, timeframe=timeframe)

    def test_mark_bars_are_resampled_like_bars(self, lake: Lake) -> None:
        """Range of the mark price over the bar."""
        put_bars(lake, steps(6))
        self.put_mark(lake, steps(6), "5m", [101.0, 102.0, 103.0, 106.0, 105.0, 104.0])
        panel = load(lake, "15m")
        same(panel.mark_high, [103.0, 106.0])
        same(panel.mark_low, [100.0, 100.0])

    @pytest.mark.parametrize("named", [(), ("binance:BTCUSDT",), ("binance:BTCUSDT:1h",)])
    def test_a_coarser_mark_is_never_used(self, lake: Lake, named: tuple[str, ...]) -> None:
        """The hour's range is not known in its first five minutes."""
        put_bars(lake, steps(12))
        self.put_mark(lake, [START], "1h", [150.0])
        panel = load(lake, mark=named)
        same(panel.mark_high, [NAN] * 12)
        assert any("No stored mark price" in note for note in panel.notes)

    def test_the_first_mark_series_is_preferred(self, lake: Lake) -> None:
        """The second only fills in."""
        put_bars(lake, steps(2))
        self.put_mark(lake, steps(1), "5m", [101.0])
        self.put_mark(lake, steps(2), "5m", [201.0, 202.0], venue="all")
        panel = load(lake, mark=["binance:BTCUSDT", "all:BTCUSDT"])
        same(panel.mark_high, [101.0, 202.0])

    def test_bars_without_a_mark_are_counted(self, lake: Lake) -> None:
        """Partial cover is said."""
        put_bars(lake, steps(3))
        self.put_mark(lake, steps(1), "5m", [101.0])
        assert any(note.startswith("2 bars have no mark price") for note in load(lake).notes)


class TestCausality:
    """The future removed, the past is unchanged to the last bit."""

    CHOICE: ClassVar = {
        "open_interest": ["binance:BTCUSDT", "all:BTC"],
        "funding": ["binance:BTCUSDT"],
        "liquidations": ["binance:BTCUSDT:1h", "binance:BTCUSDT:events"],
        "positioning": ["binance:BTCUSDT"],
        "mark": ["binance:BTCUSDT"],
    }

    @staticmethod
    def tables(seed: int) -> list[tuple[str, pa.Table, dict[str, str | None]]]:
        """Three days of everything, with holes, lags, outages and late rows."""
        rng = np.random.default_rng(seed)
        slots = np.arange(3 * 288)
        # The last part of a bar is always there: a bar without it is only known to have closed
        # when the next one comes.
        kept = slots[(rng.random(len(slots)) < 0.95) | (slots % 3 == 2)]
        opens = (START + kept * FIVE).tolist()
        close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.002, len(opens))))
        prices = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close}
        bars = bar_rows(opens, "5m", **prices, volume=rng.exponential(3.0, len(opens)))
        mark = bars.drop_columns(["volume"])

        def seen(every: int, count: int, share: float, lag: int) -> tuple[pa.Array, pa.Array, int]:
            at = START + np.flatnonzero(rng.random(count) < share) * every + int(rng.integers(FIVE))
            return times(at), times(at + rng.integers(0, lag, len(at))), len(at)

        out: list[tuple[str, pa.Table, dict[str, str | None]]] = [
            ("bars", bars, {**BTC, "timeframe": "5m"}),
            ("mark_bars", mark, {**BTC, "timeframe": "5m"}),
        ]
        ts, known, n = seen(FIVE, 864, 0.9, 3 * FIVE)
        outage = (pc.cast(ts, pa.int64()).to_numpy() - START) // HOUR
        keep = pa.array((outage < 10) | (outage > 45))
        fine = pa.table({"ts": ts, "available_at": known, "oi_base": rng.uniform(50, 60, n)})
        out.append(("open_interest", fine.filter(keep), {**BTC}))
        ts, known, n = seen(4 * HOUR, 18, 1.0, HOUR)
        coarse = pa.table({"ts": ts, "available_at": known, "oi_quote": rng.uniform(9e4, 1e5, n)})
        out.append(("open_interest", coarse, {"venue": "all", "symbol": "BTC"}))
        at = times((START + np.arange(1, 9) * 8 * HOUR).tolist())
        funding = pa.table({"ts": at, "available_at": at, "rate": rng.normal(0, 1e-4, 8)})
        out.append(("funding", funding, {**BTC}))
        ts, known, n = seen(FIVE, 864, 0.5, HOUR)
        ratio = pa.table({"ts": ts, "available_at": known, "taker_buy_sell": rng.uniform(0, 2, n)})
        out.append(("positioning", ratio, {**BTC}))
        ts, known, n = seen(MINUTE, 4320, 0.2, HOUR)
        orders = {
            "side": rng.choice(["long", "short"], n),
            "notional": rng.exponential(1e4, n),
            "seq": np.zeros(n, int),
        }
        events = pa.table({"ts": ts, "available_at": known, **orders})
        out.append(("liquidations", events, {**BTC, "timeframe": "events"}))
        hours = START + np.flatnonzero(rng.random(40) < 0.8) * HOUR
        summed = {
            "side": ["long"] * len(hours),
            "notional": rng.exponential(1e5, len(hours)),
            "seq": np.zeros(len(hours), int),
        }
        sums = pa.table({"ts": times(hours), "available_at": times(hours + HOUR), **summed})
        out.append(("liquidations", sums, {**BTC, "timeframe": "1h"}))
        return out

    @pytest.mark.parametrize("timeframe", ["5m", "15m"])
    @pytest.mark.parametrize("seed", [1, 2])
    def test_a_truncated_lake_gives_the_same_past(
        self, tmp_path: Path, seed: int, timeframe: str
    ) -> None:
        """Rows that became known after a cut change no bar that had closed by then."""
        tables = self.tables(seed)
        whole = self.load_up_to(tmp_path / "whole", tables, None, timeframe)
        assert {-1, 0, 1} >= set(whole.oi_series.tolist()) >= {0, 1}
        assert np.isfinite(whole.long_liquidations).any()
        rng = np.random.default_rng(seed)
        cuts = START + DAY + rng.integers(0, 2 * DAY, 4)
        cuts[0] = cuts[0] // HOUR * HOUR
        for cut in cuts.tolist():
            part = self.load_up_to(tmp_path / str(cut), tables, cut, timeframe)
            closed = int((whole.close_ts <= cut).sum())
            assert len(part) == closed > 0
            for name in column_names():
                expected = getattr(whole, name)[:closed]
                assert getattr(part, name).tobytes() == expected.tobytes(), name

    def load_up_to(
        self,
        root: Path,
        tables: list[tuple[str, pa.Table, dict[str, str | None]]],
        cut: int | None,
        timeframe: str,
    ) -> Panel:
        lake = Lake(root)
        for table, rows, where in tables:
            known = rows["available_at"]
            kept = rows if cut is None else rows.filter(pc.less_equal(known, times([cut])[0]))
            report = lake.write(table, kept, **where)  # type: ignore[arg-type]
            assert report.quarantined == 0
        return load(lake, timeframe, **self.CHOICE)

    @settings(max_examples=12)
    @given(first=st.integers(0, 70), length=st.integers(1, 40), seed=st.integers(0, 2**16))
    def test_a_span_is_a_slice_of_what_is_joined(
        self, tmp_path_factory: pytest.TempPathFactory, first: int, length: int, seed: int
    ) -> None:
        """What a span reads of other series changes nothing: months before it are read as far as needed."""
        rng, lake = np.random.default_rng(seed), Lake(tmp_path_factory.mktemp("lake"))
        opens = [START + k * DAY for k in range(110)]
        put_bars(lake, opens, "1d")
        # Known up to a day late, with holes; one each day, or now and then.
        for table, share, columns in (
            ("open_interest", 0.8, {"oi_base": 100.0}),
            ("funding", 0.3, {"rate": 0.0001}),
            ("positioning", 0.05, {"long_short_accounts": 1.0}),
        ):
            at = [t + HOUR for t in opens if rng.random() < share] or opens[:1]
            late = [t + int(rng.integers(0, DAY)) for t in at]
            values = {
                name: list(size * rng.uniform(0.5, 2.0, len(at))) for name, size in columns.items()
            }
            put(lake, table, at, available=late, **values)
        begin = int(rng.integers(0, 60))
        put_sums(lake, opens[begin : begin + 40], "1d", [1.0] * 40, list(rng.uniform(0, 9, 40)))
        span = {"start_us": opens[first], "end_us": opens[first] + length * DAY}
        whole = load_panel(lake, **BTC, timeframe="1d")
        part = load_panel(lake, **BTC, timeframe="1d", **span)
        for name in column_names():
            if name in ("oi_base", "oi_observed", "oi_series"):
                continue  # the level of a series that fell silent before the span is not carried into it
            np.testing.assert_array_equal(
                getattr(part, name), getattr(whole, name)[first : first + length], err_msg=name
            )
        fresh = part.oi_series >= 0
        np.testing.assert_array_equal(
            part.oi_base[fresh], whole.oi_base[first : first + length][fresh]
        )
        np.testing.assert_array_equal(part.oi_series, whole.oi_series[first : first + length])

    @pytest.mark.parametrize("lag", [2 * DAY, 40 * DAY], ids=["two days", "forty days"])
    def test_rows_not_yet_known_push_out_none_that_were(self, lake: Lake, lag: int) -> None:
        """However late a series is published, what had become known in the span is read."""
        opens = [START + k * HOUR for k in range(24 * 70)]
        put_bars(lake, opens, "1h")
        known = [at + lag for at in opens]
        put(lake, "open_interest", opens, available=known, oi_base=list(np.arange(1.0, 1681.0)))
        put_sums(lake, opens[:1], "1h", [0.0], [0.0])  # for a series from the start on
        rows = pa.table(
            {
                "ts": times(opens),
                "available_at": times(known),
                "side": ["long"] * len(opens),
                "notional": list(np.arange(1.0, 1681.0)),
                "seq": [0] * len(opens),
            }
        )
        lake.write("liquidations", rows, **BTC, timeframe="1h")
        whole = load_panel(lake, **BTC, timeframe="1h")
        for first in (24 * 45, 24 * 60):
            part = load_panel(
                lake, **BTC, timeframe="1h", start_us=opens[first], end_us=opens[first] + DAY
            )
            for name in ("oi_base", "oi_observed", "long_liquidations"):
                np.testing.assert_array_equal(
                    getattr(part, name), getattr(whole, name)[first : first + 24], err_msg=name
                )
            assert np.isfinite(part.oi_base).all()

    def test_open_interest_in_money_does_not_depend_on_where_the_span_begins(
        self, lake: Lake
    ) -> None:
        """What was seen before the first bar has the price of its own moment, of bars before the span."""
        opens = [START + k * HOUR for k in range(24 * 20)]
        close = np.linspace(100.0, 200.0, len(opens))
        ohlc = {name: list(close) for name in ("open", "high", "low", "close")}
        put_bars(lake, opens, "1h", **ohlc)
        daily = opens[::24]
        # A thousand coins throughout, in the money of the hour before.
        money = [1_000.0 * close[max(24 * k - 1, 0)] for k in range(20)]
        put(lake, "open_interest", daily, venue="all", symbol="BTC", oi_quote=money)
        put(lake, "open_interest", opens, oi_base=[300.0] * len(opens))
        names = ("all:BTC", "binance:BTCUSDT")
        for first in (24 * 3 + 5, 24 * 11 + 17):
            panel = load_panel(
                lake, **BTC, timeframe="1h", start_us=opens[first], open_interest=names
            )
            assert panel.oi_base == pytest.approx(1_000.0)
            alone = load_panel(
                lake, **BTC, timeframe="1h", start_us=opens[first], open_interest=names[:1]
            )
            assert alone.oi_base == pytest.approx(1_000.0)

    def test_a_mark_price_that_came_late_is_not_used(self, lake: Lake) -> None:
        """A mark bar counts in its own bar only where it was known at the close; the rest is counted."""
        opens = [START + k * HOUR for k in range(6)]
        put_bars(lake, opens, "1h")
        marks = {name: [101.0] * 6 for name in ("open", "high", "low", "close")}
        known = [at + HOUR + (DAY if k in (2, 3) else 0) for k, at in enumerate(opens)]
        rows = pa.table({"ts": times(opens), "available_at": times(known), **marks})
        lake.write("mark_bars", rows, **BTC, timeframe="1h")
        panel = load_panel(lake, **BTC, timeframe="1h")
        np.testing.assert_array_equal(
            np.isnan(panel.mark_high), [False, False, True, True, False, False]
        )
        assert any(
            "2 mark-price bars" in note and "after their close" in note for note in panel.notes
        )

    def test_the_same_lake_gives_the_same_panel(self, tmp_path: Path) -> None:
        """Two loads have one fingerprint; sums do not depend on how threads finish."""
        lake = Lake(tmp_path)
        for table, rows, where in self.tables(3):
            lake.write(table, rows, **where)  # type: ignore[arg-type]
        prints = {load(lake, "4h", **self.CHOICE).fingerprint() for _ in range(5)}
        assert len(prints) == 1


def test_files_of_a_panel_are_held_against_their_checksums(tmp_path: Path) -> None:
    """A flipped bit in any table that the panel was made of is told; in another it does not matter."""
    lake = Lake(tmp_path)
    opens = [START + k * HOUR for k in range(48)]
    put_bars(lake, opens, "1h")
    put(lake, "funding", opens[::8], rate=[0.0001] * 6)
    put(lake, "funding", opens[::8], venue="other", rate=[0.0001] * 6)
    panel = load_panel(lake, **BTC, timeframe="1h")
    check_files(lake, panel)
    for venue, told in (("other", False), ("binance", True)):
        [month] = tmp_path.glob(f"funding/venue={venue}/**/month=01.parquet")
        content = bytearray(month.read_bytes())
        content[60] ^= 1
        month.write_bytes(bytes(content))
        if told:
            with pytest.raises(LakeError, match=r"funding.*`liqtiers data repair` sets it aside"):
                check_files(lake, panel)
        else:
            check_files(lake, panel)


def test_real_bars_resample_to_the_published_hours(tmp_path: Path, real_data: Path) -> None:
    """Five-minute bars made hours equal the exchange's own hourly bars."""
    columns = ["open", "high", "low", "close", "volume"]
    start = pd.Timestamp("2025-06-01", tz="UTC")
    fine = pd.read_parquet(real_data / "bars" / "BTCUSDT_um_5m.parquet").set_index("date")
    hourly = pd.read_parquet(real_data / "bars" / "BTCUSDT_um_1h.parquet").set_index("date")
    fine, hourly = fine.loc[start:], hourly.loc[start:]
    lake = Lake(tmp_path)
    opens = fine.index.as_unit("us").astype("int64").tolist()
    put_bars(lake, opens, **{name: fine[name].to_numpy() for name in columns})
    frame = load(lake, "1h").to_frame()
    common = frame.index.intersection(hourly.index)
    assert len(common) > 6000
    for name in columns[:4]:
        equal = frame.loc[common, name].to_numpy() == hourly.loc[common, name].to_numpy()
        assert equal.mean() > 0.999, name
    np.testing.assert_allclose(
        frame.loc[common, "volume"].sum(), hourly.loc[common, "volume"].sum(), rtol=1e-3
    )
