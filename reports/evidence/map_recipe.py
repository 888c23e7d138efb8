"""How a market's map was made, so that it can be made again: on another path, or by another convention."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...datasets.calibration import Calibration
from ...datasets.liquidation_map import MapParameters, rebuild_features
from ...datasets.panel import Panel
from .market import EvidenceMarket


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapRecipe:
    """How a market's map can be rebuilt.

    Attributes
    ----------
    parameters : MapParameters
    calibration : Calibration or None
        The fitted mix over time, which surrogates keep.
    """

    parameters: MapParameters
    calibration: Calibration | None = None

    def build(self, market: EvidenceMarket, panel: Panel) -> EvidenceMarket:
        """Return the market with another panel and the map rebuilt on it."""
        features = rebuild_features(
            panel,
            market.instrument,
            parameters=self.parameters,
            calibration=self.calibration,
        )
        return replace(market, panel=panel, features=features)

    def lean(self, window: float) -> MapRecipe:
        """Return the recipe that measures one window and the nearest tier only, which is quicker."""
        return replace(self, parameters=replace(self.parameters, windows=(window,), tiers_kept=1))
