"""A study as tables: what lies behind its figures, for parquet."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, Final

import numpy as np
import pyarrow as pa

from ...datasets.naming import DAY_US
from ._columns import TIME, field, table_of
from .counterexamples import Counterexample, counterexample_table
from .differences import MatchedDifferences
from .encounters import Encounters
from .imbalance import QuantileReturn
from .levels import LevelApproaches
from .outcomes import Outcomes
from .study import Evidence, MarketStudy

WORST: Final = "worst"
OF_MONTH: Final = "worst of the month"
_NUMBER: Final = pa.float64()
_MARKET: Final = field("market", pa.string(), "name", "market of the row")


def evidence_tables(evidence: Evidence) -> dict[str, pa.Table]:
    """Return the tables of a study, all markets in each, a column ``market`` first."""
    makers: dict[str, Callable[[MarketStudy], pa.Table]] = {
        "encounters": _encounters,
        "levels": _levels,
        "counterexamples": _counterexamples,
        "daily": _daily,
        "quantiles": _quantiles,
        "conventions": _conventions,
    }
    return {
        name: pa.concat_tables(
            [_of_market(make(study), market) for market, study in evidence.markets.items()]
        )
        for name, make in makers.items()
    }


def _of_market(table: pa.Table, market: str) -> pa.Table:
    return table.add_column(0, _MARKET, pa.array([market] * table.num_rows, pa.string()))


def _encounters(study: MarketStudy) -> pa.Table:
    tiers = study.tiers
    return _followed(tiers.encounters.to_table(), tiers.outcomes, tiers.differences)


def _levels(study: MarketStudy) -> pa.Table:
    levels = study.levels
    if levels is None:
        # The same columns as of a study with levels.
        tiers = study.tiers
        none = _no_approach(tiers.encounters).to_table()
        return _joined(none, tiers.outcomes[0].to_table()[:0], tiers.differences[0].to_table()[:0])
    return _followed(levels.approaches.to_table(), levels.outcomes, levels.differences)


def _no_approach(encounters: Encounters) -> LevelApproaches:
    nothing = np.zeros(0)
    return LevelApproaches(
        approaches=encounters.where(np.zeros(0, np.int64)),
        in_tier=np.zeros(0, np.bool_),
        notional_nearby=nothing,
        notional_towards=nothing,
        notional_behind=nothing,
    )


def _followed(
    reached: pa.Table,
    outcomes: tuple[Outcomes, ...],
    differences: tuple[MatchedDifferences, ...],
) -> pa.Table:
    """Return a row for each level reached and horizon."""
    parts = [
        _joined(reached, came.to_table(), found.to_table())
        for came, found in zip(outcomes, differences, strict=True)
    ]
    return pa.concat_tables(parts)


def _joined(reached: pa.Table, came: pa.Table, found: pa.Table) -> pa.Table:
    """Return what was reached, what came of it, and how it differed from its controls, null for none."""
    for name in came.column_names:
        if name not in reached.column_names:
            reached = reached.append_column(came.schema.field(name), came[name])
    place = np.full(reached.num_rows, -1, dtype=np.int64)
    place[found["encounter"].to_numpy()] = np.arange(found.num_rows)
    index = pa.array(place, mask=place < 0)
    for name in found.column_names:
        if name not in reached.column_names:
            reached = reached.append_column(found.schema.field(name), found[name].take(index))
    return reached


def _counterexamples(study: MarketStudy) -> pa.Table:
    chosen = {
        WORST: (*study.against, *study.rejected),
        OF_MONTH: (*study.against_monthly, *study.rejected_monthly),
    }
    examples: tuple[Counterexample, ...] = tuple(chain(*chosen.values()))
    choice = [name for name, of in chosen.items() for _ in of]
    table = counterexample_table(examples)
    moments = [pa.array(e.around_us).cast(TIME) for e in examples]
    prices = [e.around_price.tolist() for e in examples]
    return (
        table.add_column(
            0,
            field("choice", pa.string(), "name", "among which it is the worst"),
            pa.array(choice, pa.string()),
        )
        .append_column(
            field("around_us", pa.list_(TIME), "UTC", "moments of the prices around it"),
            pa.array([m.to_pylist() for m in moments], pa.list_(TIME)),
        )
        .append_column(
            field("around_price", pa.list_(_NUMBER), "quote per base", "hourly closes around it"),
            pa.array(prices, pa.list_(_NUMBER)),
        )
    )


def _daily(study: MarketStudy) -> pa.Table:
    runs = study.runs
    return table_of(_DAILY, [runs.day * DAY_US, runs.mapped, runs.twin])


def _quantiles(study: MarketStudy) -> pa.Table:
    def row(found: QuantileReturn) -> list[Any]:
        mean = found.mean
        limits = [found.lowest, found.highest]
        return [found.hours, found.quantile, *limits, mean.value, mean.low, mean.high, mean.n]

    rows = [row(found) for found in study.imbalance.quantiles]
    return table_of(_QUANTILES, list(zip(*rows, strict=True)) if rows else [[]] * len(_QUANTILES))


def _conventions(study: MarketStudy) -> pa.Table:
    found = study.conventions
    if found is None:
        return table_of(_CONVENTIONS, [[]] * len(_CONVENTIONS))
    return table_of(
        _CONVENTIONS, [found.ts, found.lowest, found.middle, found.highest, found.divided]
    )


_DAILY: Final = (
    field("day", TIME, "UTC", "begin of the day"),
    field("mapped", _NUMBER, "fraction", "net return of the rule on the map"),
    field("twin", _NUMBER, "fraction", "net return of the same rule on price alone"),
)
_QUANTILES: Final = (
    field("hours", _NUMBER, "hours", "horizon of the return"),
    field("quantile", pa.int64(), "1 to 5", "from most below to most above"),
    field("lowest", _NUMBER, "log ratio", "smallest imbalance in it"),
    field("highest", _NUMBER, "log ratio", "largest imbalance in it"),
    field("mean", _NUMBER, "log return", "mean return after it"),
    field("low", _NUMBER, "log return", "lower end of the mean's 95 % interval"),
    field("high", _NUMBER, "log return", "upper end of the mean's 95 % interval"),
    field("n", pa.int64(), "count", "hours in it"),
)
_CONVENTIONS: Final = (
    field("ts", TIME, "UTC", "close of the day's last bar"),
    field("lowest", _NUMBER, "log ratio", "least imbalance of all conventions"),
    field("middle", _NUMBER, "log ratio", "their median"),
    field("highest", _NUMBER, "log ratio", "the largest"),
    field("divided", _NUMBER, "share", "of the conventions whose sign is the rarer one"),
)
