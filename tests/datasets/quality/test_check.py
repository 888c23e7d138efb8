"""Checks of stored data: every kind of fault is found where it was planted, and nothing in clean data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liqtiers.datasets.lake import Lake
from liqtiers.datasets.quality import Finding, check_lake
from liqtiers.datasets.quality.kinds import KINDS
from liqtiers.datasets.schemas import EVENTS, TABLES
from liqtiers.datasets.sources.simulator import SimulatorParameters, simulate, sum_liquidations

PRICES = ("open", "high", "low", "close")
OPEN_INTEREST = ("oi_base", "oi_quote")
VENUE, SYMBOL = "simulated", "SIMUSDT"
Frames = dict[str, pd.DataFrame]
Fault = Callable[[Frames], None]
TIMEFRAMES = {"bars": "5m", "mark_bars": "5m", "liquidations": EVENTS, "sums": "1h", "coarse": "1h"}
TABLE_OF = {"sums": "liquidations", "coarse": "bars"}


@pytest.fixture(scope="module")
def clean() -> Frames:
    """Twenty days of a simulated market, as frames by table; bars and liquidations by the hour besides."""
    market = simulate(SimulatorParameters(days=20, seed=3))
    names = ("bars", "mark_bars", "open_interest", "funding", "liquidations")
    frames = {name: getattr(market, name).to_pandas() for name in names}
    # Orders that are equal to the last digit do happen, there too.
    frames["liquidations"] = frames["liquidations"].query("seq == 0")
    frames["sums"] = sum_liquidations(market.liquidations, timeframe="1h").to_pandas()
    frames["coarse"] = _by_hour(frames["bars"])
    frames["positioning"] = frames["open_interest"][["ts", "available_at"]].iloc[::12].copy()
    rng = np.random.default_rng(1)
    frames["positioning"]["long_short_accounts"] = rng.lognormal(size=len(frames["positioning"]))
    frames["liquidation_map"] = _maps()
    frames["depth"] = _books()
    return frames


def _by_hour(bars: pd.DataFrame) -> pd.DataFrame:
    how = {"open": "first", "high": "max", "low": "min", "close": "last"}
    sums = dict.fromkeys(("volume", "quote_volume", "taker_buy_volume"), "sum")
    hours = bars.set_index("ts").resample("1h").agg({**how, **sums}).reset_index()
    hours.insert(1, "available_at", hours["ts"] + pd.Timedelta(hours=1))
    return hours


def _maps() -> pd.DataFrame:
    ts = pd.date_range("2024-01-01", periods=60, freq="4h", tz="UTC")
    rows = pd.DataFrame({"ts": np.repeat(ts, 2), "side": ["long", "short"] * 60, "model": "m"})
    rows["available_at"] = rows["ts"]
    rows["price_low"] = np.where(rows["side"] == "long", 90.0, 110.0)
    rows["price_high"] = rows["price_low"] + 1.0
    rows["notional"] = 1000.0 + np.arange(len(rows))
    return rows


def _books() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    seconds = np.cumsum(rng.integers(20, 45, 500))
    ts = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(seconds, unit="s")
    rows = pd.DataFrame({"ts": np.repeat(ts, 4), "side": ["ask", "ask", "bid", "bid"] * 500})
    rows["available_at"] = rows["ts"]
    rows["distance"] = [0.01, 0.02] * 1000
    rows["notional"] = np.cumsum(rng.uniform(1e5, 2e5, (1000, 2)), axis=1).ravel()
    return rows


def stored(path: Path, frames: Frames) -> Lake:
    """Write frames into a lake."""
    lake = Lake(path)
    for name, frame in frames.items():
        table = TABLE_OF.get(name, name)
        names = [n for n in TABLES[table].schema.names if n in frame.columns]
        rows = pa.Table.from_pandas(frame[names], preserve_index=False)
        lake.write(table, rows, venue=VENUE, symbol=SYMBOL, timeframe=TIMEFRAMES.get(name))
    return lake


BESIDE = {
    "bars": ("mark_bars",),
    "mark_bars": ("bars",),
    "coarse": ("bars",),
    "open_interest": ("bars",),
    "liquidations": ("bars",),
    "sums": ("bars",),
}


def faulty(path: Path, clean: Frames, name: str, fault: Fault) -> Lake:
    """Store a series with a fault, and what it is held against."""
    frames = {key: clean[key].copy() for key in (name, *BESIDE.get(name, ()))}
    fault(frames)
    return stored(path, frames)


def found_in(lake: Lake, name: str) -> dict[str, Finding]:
    """Return the findings of the series that a frame became."""
    table, timeframe = TABLE_OF.get(name, name), TIMEFRAMES.get(name)
    (checked,) = [
        each for each in check_lake(lake)
        if (each.series.table, each.series.timeframe) == (table, timeframe)
    ]  # fmt: skip
    return {finding.kind: finding for finding in checked.findings}


def test_clean_data_has_no_finding(tmp_path: Path, clean: Frames) -> None:
    """Nothing is found in a market without faults, in any table."""
    checked = list(check_lake(stored(tmp_path, clean)))
    assert {each.series.table for each in checked} == set(TABLES)
    assert [(each.series.table, each.findings) for each in checked if each.findings] == []


@pytest.mark.parametrize("name", ["liquidation_map", "depth"])
def test_a_day_of_few_snapshots_is_not_whole(tmp_path: Path, clean: Frames, name: str) -> None:
    """Many rows a snapshot do not make up for snapshots that are missing."""
    rows = clean[name]
    if name == "depth":  # on whole minutes through two days
        rows = pd.concat([rows.iloc[:4]] * 2_880)
        minutes = pd.to_timedelta(np.repeat(np.arange(2_880), 4), unit="min")
        rows = rows.assign(ts=pd.Timestamp("2024-01-02", tz="UTC") + minutes)
        rows["available_at"] = rows["ts"]
    later = rows["ts"] >= pd.Timestamp("2024-01-03 06:00", tz="UTC")
    fewer = rows[~(later & (rows["ts"] < pd.Timestamp("2024-01-03 18:00", tz="UTC")))]
    (checked,) = check_lake(stored(tmp_path, {name: fewer}))
    day = pd.Timestamp("2024-01-03") - pd.Timestamp(checked.coverage.first_day, unit="D")
    assert checked.coverage.share[day.days] == pytest.approx(0.5, abs=0.01)
    assert checked.coverage.share[day.days - 1] == 1.0


def _drop(name: str, first: int, count: int) -> Fault:
    def fault(frames: Frames) -> None:
        frames[name] = frames[name].drop(frames[name].index[first : first + count])

    return fault


def _set(name: str, rows: slice, **values: object) -> Fault:
    def fault(frames: Frames) -> None:
        for column, value in values.items():
            place = frames[name].columns.get_loc(column)
            before = frames[name].iloc[rows, place]
            frames[name].iloc[rows, place] = value(before) if callable(value) else value

    return fault


def _hold(name: str, first: int, count: int, *columns: str) -> Fault:
    """Let columns stand still at the row before."""

    def fault(frames: Frames) -> None:
        for column in columns:
            place = frames[name].columns.get_loc(column)
            frames[name].iloc[first : first + count, place] = frames[name].iloc[first - 1, place]

    return fault


def _shift(name: str, hours: float, rows: slice = slice(None)) -> Fault:
    def fault(frames: Frames) -> None:
        for column in ("ts", "available_at"):
            place = frames[name].columns.get_loc(column)
            frames[name].iloc[rows, place] += pd.Timedelta(hours=hours)
        frames[name] = frames[name].drop_duplicates(
            [key for key in TABLES[TABLE_OF.get(name, name)].key if key in frames[name]]
        )

    return fault


def _leap(first: int, factor: float) -> Fault:
    """A bar of which the close (and the high or low) is another price."""
    return _set(
        "bars",
        slice(first, first + 1),
        close=lambda v: v * factor,
        high=lambda v: v * max(factor, 1.0),
        low=lambda v: v * min(factor, 1.0),
        quote_volume=lambda v: v * (1.0 + factor) / 2.0,
    )


def _insert_settlement(frames: Frames) -> None:
    row = frames["funding"].iloc[[40]].copy()
    row["ts"] += pd.Timedelta(minutes=3)
    row["available_at"] += pd.Timedelta(minutes=3)
    frames["funding"] = pd.concat([frames["funding"], row])


def _hold_sums(frames: Frames) -> None:
    """Give two hours the sums of the hour before, on both sides."""
    sums = frames["sums"].set_index(["ts", "side"])
    hours = sorted(set(sums.index.get_level_values(0)))[200:203]
    for side in ("long", "short"):
        for hour in hours:
            sums.loc[(hour, side), ["quantity", "notional"]] = (1.5, 77_777.0)
    frames["sums"] = sums.reset_index()


def _equal_orders(frames: Frames) -> None:
    row = frames["liquidations"].iloc[[100]].copy()
    row["seq"] = 1
    frames["liquidations"] = pd.concat([frames["liquidations"], row])


def _halved(rows: slice) -> Fault:
    return _set("open_interest", rows, oi_base=lambda v: v / 2, oi_quote=lambda v: v / 2)


def _quiet_days(frames: Frames) -> None:
    at = frames["liquidations"]["ts"]
    frames["liquidations"] = frames["liquidations"][~at.between("2024-01-10", "2024-01-13")]


_cheap_orders = _set("liquidations", slice(50, 60), average_price=lambda v: v * 0.8)
_NO_VOLUME = dict.fromkeys(("volume", "quote_volume", "taker_buy_volume"), 0.0)
ALL = slice(None)
FAULTS: list[tuple[str, str, Fault, int]] = [
    ("missing bars", "bars", _drop("bars", 1000, 7), 7),
    ("missing mark bars", "mark_bars", _drop("mark_bars", 1000, 3), 3),
    ("repeated bars", "bars", _hold("bars", 400, 2, *PRICES, "volume"), 2),
    ("no trade", "bars", _set("bars", slice(288, 320), **_NO_VOLUME), 32),
    ("price spike", "bars", _leap(700, 1.2), 1),
    ("close far from mark", "bars", _leap(700, 1.05), 1),
    ("wick beyond mark", "bars", _set("bars", slice(500, 501), high=lambda v: v * 1.2), 1),
    ("timeframes disagree", "coarse", _set("coarse", slice(50, 53), volume=lambda v: v * 1.1), 3),
    ("quote volume", "bars", _set("bars", slice(100, 110), quote_volume=lambda v: v / 1000.0), 10),
    ("taker volume", "bars", _set("bars", slice(100, 103), taker_buy_volume=lambda v: v * 10.0), 3),
    ("missing open interest", "open_interest", _drop("open_interest", 2000, 20), 20),
    ("repeated open interest", "open_interest", _hold("open_interest", 2000, 30, *OPEN_INTEREST), 30),
    ("open interest spike", "open_interest", _halved(slice(99, 100)), 1),
    ("open interest jump", "open_interest", _halved(slice(99, None)), 1),
    ("open interest unit", "open_interest", _set("open_interest", ALL, oi_base=lambda v: v * 100.0), 5760),
    ("missing funding", "funding", _drop("funding", 40, 2), 2),
    ("funding twice", "funding", _insert_settlement, 1),
    ("funding outlier", "funding", _set("funding", slice(7, 9), rate=0.02), 2),
    ("funding in percent", "funding", _set("funding", ALL, rate=0.01), 60),
    ("funding off the hour", "funding", _shift("funding", 1 / 3, slice(5, 6)), 1),
    ("funding interval", "funding", _set("funding", slice(10, None), interval_hours=12.0), 50),
    ("funding interval", "funding", _set("funding", ALL, interval_hours=4.0), 59),
    ("silence", "liquidations", _quiet_days, 3),
    ("zero liquidations", "sums", _set("sums", slice(200, 360), notional=0.0, quantity=0.0), 0),
    ("repeated liquidations", "sums", _hold_sums, 2),
    ("liquidation off price", "liquidations", _cheap_orders, 10),
    ("liquidations above volume", "liquidations", _set("liquidations", slice(50, 51), notional=1e12), 1),
    ("equal liquidations", "liquidations", _equal_orders, 1),
    ("missing positioning", "positioning", _drop("positioning", 100, 5), 5),
    ("repeated positioning", "positioning", _hold("positioning", 100, 8, "long_short_accounts"), 8),
    ("missing maps", "liquidation_map", _drop("liquidation_map", 20, 6), 3),
    ("repeated maps", "liquidation_map", _set("liquidation_map", slice(40, 46), notional=7.0), 2),
    ("missing depth", "depth", _drop("depth", 400, 120), 2),
    ("repeated depth", "depth", _set("depth", slice(80, 108), notional=7.0), 6),
    ("depth falls", "depth", _set("depth", slice(81, 82), notional=1.0), 1),
    ("set aside", "funding", _set("funding", slice(7, 9), rate=0.5), 2),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "fault", "count"), FAULTS, ids=[f[0] for f in FAULTS])
def test_a_planted_fault_is_found(
    kind: str, name: str, fault: Fault, count: int, tmp_path: Path, clean: Frames
) -> None:
    """Each kind of fault is found in its series, as often as it was planted."""
    finding = found_in(faulty(tmp_path, clean, name, fault), name)[kind]
    assert finding.count == count or (count == 0 and finding.count > 0)
    assert finding.first_us <= finding.last_us
    assert finding.example
    assert finding.consequence == KINDS[kind].consequence


def test_every_kind_has_a_planted_fault() -> None:
    """No kind of finding goes untested."""
    elsewhere = {"clock shift", "duplicates"}
    assert {kind for kind, *_ in FAULTS} | elsewhere == set(KINDS)


@pytest.mark.parametrize("hours", [8.0, -3.0])
@pytest.mark.parametrize(
    ("name", "only"),
    [
        ("open_interest", "oi_quote"),
        ("open_interest", None),
        ("mark_bars", None),
        ("liquidations", None),
        ("sums", None),
    ],
    ids=["value", "price in it", "mark", "orders", "sums"],
)
def test_a_clock_that_is_off_is_found(
    name: str, only: str | None, hours: float, tmp_path: Path, clean: Frames
) -> None:
    """A series that is stamped hours late or early is found, with by how much; a mark price in the bars."""

    def fault(frames: Frames) -> None:
        _shift(name, hours)(frames)
        if only is not None:
            frames[name] = frames[name][["ts", "available_at", only]]

    judged = "bars" if name == "mark_bars" else name
    finding = found_in(faulty(tmp_path, clean, name, fault), judged)["clock shift"]
    # Where the mark price is late, the bars seem early.
    late = hours > 0.0 if name != "mark_bars" else hours < 0.0
    assert f"{abs(hours):.0f} hours too {'late' if late else 'early'}" in finding.example
    assert finding.severity == "serious"


def test_rows_stored_twice_are_found(tmp_path: Path, clean: Frames) -> None:
    """A file that holds a key twice, which the lake never writes, is a serious finding."""
    lake = stored(tmp_path, {"funding": clean["funding"]})
    (file,) = lake.root.glob("funding/**/month=01.parquet")
    rows = pq.read_table(file, partitioning=None)
    pq.write_table(rows.take([0, 0, *range(1, rows.num_rows)]), file)
    finding = found_in(lake, "funding")["duplicates"]
    assert (finding.count, finding.severity) == (1, "serious")


@pytest.mark.parametrize(
    ("rows", "severity"), [(7, "minor"), (300, "serious")], ids=["35 minutes", "25 hours"]
)
def test_severity_follows_the_size(rows: int, severity: str, tmp_path: Path, clean: Frames) -> None:
    """A short gap is minor, one of more than a day is serious."""
    lake = faulty(tmp_path, clean, "bars", _drop("bars", 1000, rows))
    assert found_in(lake, "bars")["missing bars"].severity == severity


def test_a_leap_that_the_mark_price_shared_is_no_spike(tmp_path: Path, clean: Frames) -> None:
    """A crash that came back within a bar is no fault where the mark price went along."""

    def crash(frames: Frames) -> None:
        _leap(700, 0.8)(frames)
        frames["mark_bars"] = frames["bars"][["ts", "available_at", *PRICES]]

    assert "price spike" not in found_in(faulty(tmp_path, clean, "bars", crash), "bars")


def test_a_gap_over_new_year_is_one_gap(tmp_path: Path) -> None:
    """Series are read by calendar years; what lies across a boundary is seen, and once."""
    ts = pd.date_range("2023-12-01", "2024-02-01", freq="8h", tz="UTC")
    kept = ts[(ts < "2023-12-31 12:00") | (ts > "2024-01-01 20:00")]
    rows = pd.DataFrame({"ts": kept, "available_at": kept, "rate": 1e-4, "interval_hours": 8.0})
    finding = found_in(stored(tmp_path, {"funding": rows}), "funding")["missing funding"]
    assert finding.count == len(ts) - len(kept)
    assert finding.first_us == pd.Timestamp("2023-12-31 16:00", tz="UTC").value // 1000


def test_coverage_is_the_share_of_each_day(tmp_path: Path, clean: Frames) -> None:
    """A day's share is that of its rows; missing days are 0, and days before the first are not there."""

    def fault(frames: Frames) -> None:
        _drop("bars", 288 * 4 + 72, 216 + 288)(frames)

    (checked,) = [
        each for each in check_lake(faulty(tmp_path, clean, "bars", fault))
        if each.series.table == "bars"
    ]  # fmt: skip
    assert checked.coverage.first_day == 19_723  # 2024-01-01
    assert checked.coverage.share[3:7].tolist() == [1.0, 0.25, 0.0, 1.0]


def test_rows_stored_twice_are_taken_for_no_other_fault(tmp_path: Path, clean: Frames) -> None:
    """Bars of one key in a file that others wrote are told as such, and as nothing else."""
    lake = stored(tmp_path, {name: clean[name] for name in ("bars", "mark_bars", "coarse")})
    (file,) = lake.root.glob("bars/**/timeframe=5m/**/month=01.parquet")
    rows = pq.read_table(file, partitioning=None)
    pq.write_table(rows.take([*range(50), *range(40, rows.num_rows)]), file)
    assert set(found_in(lake, "bars")) == {"duplicates"}


def test_the_first_and_last_day_are_held_to_what_the_series_spans(
    tmp_path: Path, clean: Frames
) -> None:
    """A series that begins at noon and ends in the morning lacks nothing on these days."""

    def fault(frames: Frames) -> None:
        frames["bars"] = frames["bars"].iloc[144:-200]

    (checked,) = [
        each for each in check_lake(faulty(tmp_path, clean, "bars", fault))
        if each.series.table == "bars"
    ]  # fmt: skip
    assert checked.coverage.share.tolist() == pytest.approx([1.0] * 20)


def test_coverage_of_a_daily_and_then_hourly_series_is_whole(tmp_path: Path) -> None:
    """Where the step of a series changes, each day is held to the step of its own."""
    days = pd.date_range("2024-01-01", "2024-02-01", freq="1D", tz="UTC", inclusive="left")
    hours = pd.date_range("2024-02-01", "2024-03-01", freq="1h", tz="UTC", inclusive="left")
    ts = days.append(hours)
    level = np.exp(np.random.default_rng(2).normal(11.0, 0.01, len(ts)))
    rows = pd.DataFrame({"ts": ts, "available_at": ts, "oi_quote": level})
    (checked,) = check_lake(stored(tmp_path, {"open_interest": rows}))
    assert (checked.coverage.share == 1.0).all()
    assert checked.findings == ()


def test_only_what_was_asked_for_is_checked(tmp_path: Path, clean: Frames) -> None:
    """A venue or symbol picks series; what they are held against may be any."""
    lake = stored(tmp_path, {"funding": clean["funding"]})
    rows = pa.Table.from_pandas(clean["funding"], preserve_index=False)
    lake.write("funding", rows, venue="other", symbol="ETHUSDT")
    assert [c.series.venue for c in check_lake(lake, venue="other")] == ["other"]
    assert [c.series.symbol for c in check_lake(lake, symbol=SYMBOL)] == [SYMBOL]
