"""The leverage mix that was in force at a map's last bar, and where it comes from."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ..datasets.liquidation_map import LiquidationMap
from ..datasets.panel import Panel

_PRIOR: Final = (
    "The leverage mix is a prior: nothing in this market's past has checked it, though it decides how "
    "far from price the levels lie."
)
_NOT_YET: Final = (
    "The leverage mix is still the prior: by then too little of {target} was known to fit it."
)
_FITTED: Final = (
    "The mix in force at this moment was fitted to {target} up to {day} and nothing later ({periods:,} "
    "periods); how much of the open interest has a liquidation price at all stays a prior."
)


class MixInForce(NamedTuple):
    """The mix of the last bar.

    Attributes
    ----------
    shares : tuple of (float, float, float)
        Leverage, and shares of the shorts' and of the longs' openings, of each class.
    origin : str
        Where it comes from, in words.
    fitted : bool
        Whether it was fitted to this market.
    """

    shares: tuple[tuple[float, float, float], ...]
    origin: str
    fitted: bool


def mix_in_force(liquidation_map: LiquidationMap, panel: Panel) -> MixInForce:
    """Return the leverage mix that holds for openings at the panel's last bar.

    Parameters
    ----------
    liquidation_map : LiquidationMap
        Our own.
    panel : Panel
        The bars that it was built over.
    """
    parameters = liquidation_map.parameters
    calibration = liquidation_map.calibration
    if calibration is None:
        mix = tuple(float(part) for part in parameters.mix)
        return MixInForce(
            tuple(zip(parameters.leverages, mix, mix, strict=True)), _PRIOR, fitted=False
        )
    row = max(int(np.searchsorted(calibration.fitted_us, panel.ts[-1], side="right")) - 1, 0)
    sides = [[float(part) for part in side] for side in calibration.mix[row]]
    shares = tuple(zip(calibration.leverages, *sides, strict=True))
    if row == 0:
        return MixInForce(shares, _NOT_YET.format(target=calibration.target), fitted=False)
    day = np.datetime_as_string(np.datetime64(int(calibration.fitted_us[row]), "us"), unit="D")
    periods = int(calibration.periods[row])
    origin = _FITTED.format(target=calibration.target, periods=periods, day=day)
    return MixInForce(shares, origin, fitted=True)
