"""Fair code is not accused, its warm-up is told, and what cannot be audited is refused in one line."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from audit_cases import Audit, late_open_interest, marked

from builders import random_panel
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.panel import Panel
from liqtiers.strategies.audit import PanelMarket, lake_market

OURS = "liqtiers.strategies.tier_breakout:TierBreakout"
BUSY = {"side": "both", "min_imbalance": "0.1", "min_fuel": "0.001", "max_hold": "30"}


@pytest.mark.parametrize(
    "name",
    [
        "backtrader.strategies.sma_crossover:MA_CrossOver",
        "samples.py:MacdAtrStop",
        "samples.py:BollingerRsi",
    ],
)
def test_samples_of_backtrader_pass(audited: Audit, name: str) -> None:
    """Orders, recursive indicators and crossings, at cuts right after orders too."""
    result = audited(name)
    assert not result.looks_ahead
    assert result.orders > 5
    assert result.order_bars_cut > 0
    assert result.lines > 5


def test_our_own_strategy_passes(audited: Audit) -> None:
    """Map, signals, orders and equity, the map rebuilt at each cut."""
    market = PanelMarket(panel=random_panel(700, seed=5))
    result = audited(OURS, market=market, parameters=BUSY)
    assert not result.looks_ahead
    assert result.orders > 5
    assert result.inputs > 30


@pytest.mark.parametrize(("timeframe", "bars"), [("5m", 600), ("15m", 200)])
def test_our_own_chain_passes_from_the_lake_on(
    audited: Audit, lake: Lake, timeframe: str, bars: int
) -> None:
    """Rows that became known after a cut are taken out of the lake; the panel is joined anew."""
    market = lake_market(lake, venue="own", symbol="COIN", timeframe=timeframe)
    result = audited(OURS, market=market, parameters=BUSY, cuts=4)
    assert not result.looks_ahead
    assert len(result.ts) == bars
    assert result.orders > 5


def test_features_of_the_past_pass(audited: Audit, panel: Panel) -> None:
    """Recursive, rolling and expanding ones; an hour that has ended; a join on availability."""
    assert not audited("leaky_features.py:causal").looks_ahead
    market = PanelMarket(panel=panel, tables={"open_interest": late_open_interest(panel)})
    assert not audited("leaky_features.py:availability_join", market=market).looks_ahead


def test_need_of_a_history_is_no_look_ahead(audited: Audit) -> None:
    """A feature that refuses 200 bars or fewer is cut behind them only, and that is told."""
    result = audited("leaky_features.py:wants_history", cuts=12)
    assert not result.looks_ahead
    assert 0 < result.too_short < 200 <= min(result.cuts)


def test_warm_up_by_closed_form(audited: Audit) -> None:
    """A mean of 10 bars settles at its tenth; a running sum never does."""
    result = audited("leaky_features.py:cumulative")
    settled = {s.name: s.bars for s in result.settlings}
    assert settled == {"sma": 9, "obv": None}
    assert result.settlings[0].name == "obv"


def test_recursive_average_settles_as_its_weights_fade(audited: Audit) -> None:
    """The first values of an average over `span` bars keep (1 - 2 / (span + 1))^k of their weight: the
    bound is where that is 0.1 %.
    """
    for span in (5, 20):
        result = audited("leaky_features.py:causal", parameters={"span": str(span)})
        (bars,) = [s.bars for s in result.settlings if s.name == "ema"]
        assert bars is not None
        assert 0 < bars <= math.ceil(math.log(1e-3) / math.log(1.0 - 2.0 / (span + 1)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("leaky_features.py:fails", "fails (leaky_features.py:"),
        ("leaky_features.py:hourly_only", "must return one value a bar"),
        ("leaky_features.py:unseeded", "does not repeat itself"),
        ("leaky_features.py:nowhere", "leaky_features.py has no nowhere: it has centred_window"),
        ("leaky_features.py:pd", "is neither a backtrader strategy nor a function"),
        ("leaky_features.py:exits", "fails (leaky_features.py:"),
        ("leaky_features.py:never_known", "leaves nothing to compare on these bars"),
        ("leaky_strategies.py:Idle", "leaves nothing to compare on these bars"),
        ("leaky_strategies.py:Exits", "SystemExit: 4"),
        ("leaky_strategies.py:FailsByItself", "fails at bar 49 (leaky_strategies.py:"),
        ("leaky_strategies.py:Unseeded", "differ in luck at bar 0"),
        ("nowhere.py:Any", "there is no such file"),
        ("samples.py", "write FILE.py:Name"),
    ],
)
def test_what_cannot_be_audited_is_refused(audited: Audit, name: str, message: str) -> None:
    """One line says what is wrong, and where in the user's file."""
    with pytest.raises(InputError) as raised:
        audited(name)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"spam": "1"}, "has no parameter spam"),
        ({"fast": "soon"}, "it must be like its default, 10"),
    ],
)
def test_wrong_parameters_are_refused(audited: Audit, given: dict[str, str], message: str) -> None:
    """An unknown one, and one that is no number."""
    with pytest.raises(InputError, match=message):
        audited("backtrader.strategies.sma_crossover:MA_CrossOver", parameters=given)


def test_parameters_reach_the_strategy(audited: Audit) -> None:
    """Slower averages cross less often."""
    name = "backtrader.strategies.sma_crossover:MA_CrossOver"
    slow = audited(name, parameters={"fast": "30", "slow": "90"}, cuts=1)
    assert slow.orders < audited(name, cuts=1).orders


def test_file_that_is_read_is_named(audited: Audit, tmp_path: Path) -> None:
    """What stands in a file is not cut off, so it is said that there is one."""
    table = tmp_path / "levels.txt"
    table.write_text("48000")
    result = audited("leaky_strategies.py:ReadsATable", parameters={"table": str(table)})
    assert not result.looks_ahead
    assert result.files == (str(table.resolve()),)


def test_too_few_bars_are_refused(audited: Audit, panel: Panel) -> None:
    """A strategy that acts at the last bar leaves nothing to cut."""
    with pytest.raises(InputError, match="nothing can be cut off behind it"):
        audited(
            "backtrader.strategies.sma_crossover:MA_CrossOver",
            market=PanelMarket(panel=panel.slice(0, 31)),
        )


def test_rounding_is_no_look_ahead_but_more_is(panel: Panel) -> None:
    """A relative difference of 1e-12 passes, one of 1e-6 does not, and none passes at tolerance 0."""
    from liqtiers.strategies.audit.comparison import changes_between
    from liqtiers.strategies.audit.record import Column, Record, Stage

    def made(factor: float) -> Record:
        values = panel.close * np.where(np.arange(len(panel)) == 50, factor, 1.0)
        column = {"line": Column(Stage.LINE, values, "")}
        return Record(ts=panel.ts, bars=len(panel), columns=column)

    whole = made(1.0)
    assert changes_between(whole, made(1.0 + 1e-12), tolerance=1e-9) == []
    for factor, tolerance in ((1.0 + 1e-6, 1e-9), (1.0 + 1e-12, 0.0)):
        (change,) = changes_between(whole, made(factor), tolerance=tolerance)
        assert (change.name, change.bar) == ("line", 50)


def test_marks_are_where_they_are_said_to_be() -> None:
    """The helper that finds marks does not find nothing."""
    assert marked("leaky_features.py", "LEAK zscore").startswith("leaky_features.py:")
