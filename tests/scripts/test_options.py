"""What verbs share: which contract a stretch of bars is traded as."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from builders import random_panel
from liqtiers.scripts._options import contract_of


def test_a_backtest_uses_the_contract_of_its_first_bar() -> None:
    """A table or formula that a venue brought in later is not known to an earlier backtest."""
    panel = replace(random_panel(48, seed=1), venue="bybit", symbol="BTCUSDT")
    later = replace(panel, ts=panel.ts + np.int64(3 * 365 * 86_400_000_000))
    assert contract_of(panel).formula == "bybit linear until 2025-09"
    assert contract_of(later).formula != contract_of(panel).formula
