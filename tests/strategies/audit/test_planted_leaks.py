"""Every planted kind of look-ahead is found: the line that does it, and the bar."""

from __future__ import annotations

from dataclasses import replace

import pytest
from audit_cases import PLANTED, Audit, late_open_interest, marked

from builders import random_panel
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.panel import Panel
from liqtiers.strategies.audit import (
    AuditResult,
    MapSource,
    PanelMarket,
    Stage,
    lake_market,
    parse_target,
)

FEATURES, STRATEGIES = "leaky_features.py", "leaky_strategies.py"
OURS = "liqtiers.strategies.tier_breakout:TierBreakout"


def first(result: AuditResult) -> tuple[str, int, str]:
    """Return the first change's name, bar and place."""
    change = result.changes[0]
    return change.name, change.bar, change.where


def test_centred_window(audited: Audit) -> None:
    """Eleven bars around each: the last five before a cut have lost theirs."""
    result = audited(f"{FEATURES}:centred_window")
    where = first(result)[2]
    assert first(result) == ("centred_window", min(result.cuts) - 5, where)
    assert where.startswith(f"{FEATURES}:")


def test_whole_sample_zscore(audited: Audit) -> None:
    """Mean and spread of all bars change the very first; the return beside it is left in peace."""
    result = audited(f"{FEATURES}:whole_sample_zscore")
    assert first(result) == ("zscore", 0, marked(FEATURES, "LEAK zscore"))
    assert len(result.changes) == 1


def test_backward_fill(audited: Audit) -> None:
    """Open interest seen every seven bars: what follows the last one seen was filled from later."""
    market = PanelMarket(panel=random_panel(400, seed=5, every=7))
    result = audited(f"{FEATURES}:backward_fill", market=market)
    bar = min((cut - 1) // 7 * 7 + 1 for cut in result.cuts if (cut - 1) % 7)
    assert first(result) == ("filled", bar, marked(FEATURES, "LEAK bfill"))
    assert len(result.changes) == 1


def test_shifted_resample(audited: Audit) -> None:
    """An hour's close given to all of its bars: those of the hour that was cut in two change."""
    result = audited(f"{FEATURES}:shifted_resample")
    bar = min((cut - 1) // 12 * 12 for cut in result.cuts if cut % 12)
    assert first(result)[:2] == ("shifted_resample", bar)


def test_join_on_event_time(audited: Audit, panel: Panel) -> None:
    """Rows that become known 7 minutes late were used at once: the last two bars before a cut."""
    market = PanelMarket(panel=panel, tables={"open_interest": late_open_interest(panel)})
    result = audited(f"{FEATURES}:event_time_join", market=market)
    assert first(result)[:2] == ("event_time_join", min(result.cuts) - 2)


def test_loader_that_joins_on_event_time(audited: Audit, lake: Lake) -> None:
    """The same in a loader of panels from the lake: its column is named before what follows from it."""
    loader = parse_target(f"{PLANTED / STRATEGIES}:event_time_loader")
    asked = {"venue": "own", "symbol": "COIN", "timeframe": "5m"}
    result = audited(OURS, market=lake_market(lake, loader=loader, **asked), cuts=2)
    assert first(result)[:2] == ("data.oi_base", min(result.cuts) - 2)
    assert result.changes[0].stage == Stage.DATA


def test_map_with_later_open_interest(audited: Audit) -> None:
    """Open interest of the next bar: the last bar before a cut has another map."""
    hook = parse_target(f"{PLANTED / STRATEGIES}:later_open_interest")
    result = audited(OURS, map_source=MapSource(hook=hook))
    assert result.changes[0].stage == Stage.MAP
    assert result.changes[0].bar == min(result.cuts) - 1
    assert not audited(
        OURS, map_source=MapSource(hook=replace(hook, name="honest_map"))
    ).looks_ahead


def test_next_close(audited: Audit) -> None:
    """``data.close[1]`` has nothing to read at the last bar before any cut."""
    result = audited(f"{STRATEGIES}:NextClose")
    assert first(result) == (
        "exception",
        min(result.cuts) - 1,
        marked(STRATEGIES, "LEAK next close"),
    )
    assert "IndexError" in result.changes[0].cut_off


def test_next_close_that_asks_whether_there_is_one(audited: Audit) -> None:
    """Nothing is raised; the order at the last bar before a cut is another one."""
    result = audited(f"{STRATEGIES}:GuardedNextClose", cuts=12)
    change = result.changes[0]
    assert (change.name, change.cut) == ("orders", change.bar + 1)
    assert change.where in (marked(STRATEGIES, "ENTRY"), marked(STRATEGIES, "LEAVE"))


def test_peek_at_few_bars(audited: Audit) -> None:
    """What looks ahead only while it holds something is found right after its orders."""
    result = audited(f"{STRATEGIES}:PeeksWhenLong")
    name, bar, where = first(result)
    assert (name, where) == ("exception", marked(STRATEGIES, "LEAK when long"))
    assert bar + 1 in result.cuts


def test_centred_indicator(audited: Audit) -> None:
    """A backtrader indicator that is computed at once from three bars around; the one beside it is not."""
    result = audited(f"{STRATEGIES}:CentredIndicator")
    assert first(result) == ("smooth", min(result.cuts) - 3, marked(STRATEGIES, "LEAK indicator"))
    assert "plain" not in {change.name for change in result.changes}


def test_line_from_the_future(audited: Audit) -> None:
    """``data.close(1)`` is named by the attribute of the comparison that it is a part of."""
    result = audited(f"{STRATEGIES}:ForwardLine", cuts=12)
    name, bar, where = first(result)
    assert (name, where) == ("rises > _LineForward", marked(STRATEGIES, "LEAK forward"))
    assert bar == min(result.cuts) - 1
    assert "rises" in {change.name for change in result.changes}


def test_array_made_of_all_bars(audited: Audit) -> None:
    """An array among the strategy's attributes is compared like a line, and comes before its orders."""
    result = audited(f"{STRATEGIES}:ZScore")
    assert first(result) == ("zscore", 0, marked(STRATEGIES, "LEAK strategy zscore"))
    assert "orders" in {change.name for change in result.changes}


def test_lookback_beyond_the_first_bar(audited: Audit) -> None:
    """Before bar 20 ``close[-20]`` reads the array's end."""
    result = audited(f"{STRATEGIES}:WrapsAround", cuts=6)
    assert first(result) == ("change", 0, marked(STRATEGIES, "LEAK wrap"))


def test_global_filled_by_the_first_bar(audited: Audit) -> None:
    """Orders change, and the global that carried the future is named."""
    result = audited(f"{STRATEGIES}:GlobalMean")
    assert result.changes[0].name == "orders"
    assert result.globals == (f"MEANS ({marked(STRATEGIES, 'LEAK global')})",)


def test_global_that_would_hide_the_leak(audited: Audit) -> None:
    """Each run finds the cache empty, else a cut run would read what the whole run had put there."""
    result = audited(f"{STRATEGIES}:CachedSignals", cuts=12)
    assert result.changes[0].name == "orders"
    assert result.globals == (f"SIGNALS ({marked(STRATEGIES, 'LEAK cache')})",)


def test_knowledge_of_an_earlier_run(audited: Audit) -> None:
    """Fair in fresh processes; a second run in the same one trades on where the first one ended."""
    result = audited(f"{STRATEGIES}:RemembersItsLastRun")
    assert result.changes == ()
    assert result.looks_ahead
    assert result.kept[0].name == "orders"
    where = marked(STRATEGIES, "LEAK class attribute")
    assert result.globals == (f"RemembersItsLastRun.seen ({where})",)


def test_what_fits_only_the_whole(audited: Audit) -> None:
    """A feature that can be made of no fewer bars needs the last one."""
    result = audited(f"{FEATURES}:wants_all")
    assert first(result) == ("exception", 0, marked(FEATURES, "LEAK all"))


@pytest.mark.parametrize("cuts", [1, 12])
def test_more_cuts_find_what_acts_seldom(audited: Audit, cuts: int) -> None:
    """The number of cuts is the number tried, and the stated power grows with it."""
    result = audited(f"{FEATURES}:causal", cuts=cuts)
    assert len(result.cuts) == cuts
    assert 1.0 - (1.0 - result.share_found) ** cuts == pytest.approx(0.95)
