"""A backtrader feed that loads a panel's columns in bulk.

backtrader's own feeds append one bar at a time; here each line's array is filled at once, which loads
hundreds of times faster and runs the same. A bar's datetime in backtrader is its **open**, as
everywhere in liqtiers. Cut the panel, not the feed: ``fromdate`` and ``todate`` are refused. With a
filter of backtrader's the bars pass through it one at a time.
"""

from __future__ import annotations

from array import array
from typing import Any, Final

import backtrader as bt
import numpy as np

from ..datasets.errors import InputError
from ..datasets.map_features import MapFeatures
from ..datasets.panel import Float64Array1D, Panel

_DAY_US: Final = 86_400_000_000.0
_EPOCH_ORDINAL: Final = 719_163.0
"""backtrader counts days from 0001-01-01, which is day 1."""

_COLUMNS: Final = {
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "volume": "volume",
    "openinterest": "oi_base",
}
EXTRA_LINES: Final = ("quote_volume", "funding_rate", "funding_settled", "mark_high", "mark_low")


def backtrader_days(panel: Panel) -> Float64Array1D:
    """Return the bars' opens as backtrader counts time: days, UTC."""
    return panel.ts / _DAY_US + _EPOCH_ORDINAL


class PanelFeed(bt.feed.DataBase):  # type: ignore[misc]  # backtrader has no stubs
    """A panel as a backtrader data feed.

    Besides backtrader's own lines it has ``quote_volume``, ``funding_rate``, ``funding_settled``,
    ``mark_high`` and ``mark_low`` (see `Panel` for units), so that the broker and any strategy of
    yours can use them. ``panel`` and ``features`` carry what does not fit into lines.

    Parameters
    ----------
    panel : Panel
    features : MapFeatures, optional
        The liquidation map over the same bars; `TierBreakout` needs it.
    """

    lines = EXTRA_LINES
    params = (("panel", None), ("features", None))

    def __init__(self, **_: Any) -> None:  # backtrader has taken the params out already
        super().__init__()
        self.panel: Panel = self.p.panel
        self.features: MapFeatures | None = self.p.features
        self._columns: list[Float64Array1D] = []
        self._row = 0

    @classmethod
    def from_panel(cls, panel: Panel, features: MapFeatures | None = None) -> PanelFeed:
        """Return a feed over a panel's bars.

        Raises
        ------
        ValueError
            If the features are not over as many bars.
        """
        if features is not None and len(features) != len(panel):
            raise ValueError(f"{len(features)} rows of features for {len(panel)} bars")
        minutes = max(panel.bar_us // 60_000_000, 1)
        return cls(
            panel=panel,
            features=features,
            timeframe=bt.TimeFrame.Minutes,
            compression=minutes,
            name=panel.symbol,
        )

    def start(self) -> None:
        """Prepare the columns in the order of backtrader's lines.

        Raises
        ------
        InputError
            If the feed was given dates: the panel and what goes with it by index would not be cut.
        """
        super().start()
        if self.p.fromdate is not None or self.p.todate is not None:
            raise InputError("a PanelFeed takes no fromdate and todate: use panel.slice instead")
        self._row = 0
        self._columns = [self._column(name) for name in self.getlinealiases()]

    def _column(self, name: str) -> Float64Array1D:
        if name == "datetime":
            return backtrader_days(self.panel)
        column: Float64Array1D = getattr(self.panel, _COLUMNS.get(name, name))
        return np.ascontiguousarray(column)

    def preload(self) -> None:
        """Fill all lines at once."""
        if self._filters:
            super().preload()
            return
        for line, column in zip(self._own_lines(), self._columns, strict=True):
            line.array = array("d")
            line.array.frombytes(column.tobytes())
        # Without this a run that is not vectorised would load every bar a second time.
        self._row = len(self.panel)
        self.home()

    def _own_lines(self) -> Any:
        # The class attribute is a tuple of names; backtrader makes the instance's an object of lines.
        return self.lines

    def _load(self) -> bool:
        if self._row >= len(self.panel):
            return False
        for line, column in zip(self._own_lines(), self._columns, strict=True):
            line[0] = column[self._row]
        self._row += 1
        return True

    def __reduce__(self) -> Any:
        return (PanelFeed.from_panel, (self.panel, self.features))
