"""Made-up effects and claims, whose verdict is known by construction."""

from __future__ import annotations

from typing import Any

from scipy.stats import norm

from liqtiers.reports.evidence.claims import Claim, claim_of
from liqtiers.reports.evidence.inference import Effect
from liqtiers.reports.evidence.robustness import Robustness


def effect(value: float, error: float = 0.01, *, n: int = 5000, clusters: int = 400) -> Effect:
    """An effect with normal interval and p-value."""
    return Effect(
        value=value,
        low=value - 1.96 * error,
        high=value + 1.96 * error,
        p=float(2.0 * norm.sf(abs(value) / error)),
        n=n,
        clusters=clusters,
        mde=2.8 * error,
    )


def parts(first: float, second: float, without_best: float, error: float = 0.014) -> Robustness:
    """An effect in the halves of its data and without its best days."""
    return Robustness(
        first_half=effect(first, error),
        second_half=effect(second, error),
        without_best=effect(without_best, error),
    )


def claim(name: str = "flow", value: float = 0.08, error: float = 0.01, **changes: Any) -> Claim:
    """A claim that stands in all parts of its data; a placebo varies as the claim does, on its own."""
    options = {"horizon_hours": 1.0, "robust": parts(value, value, 0.9 * value)} | changes
    options.setdefault(
        "beyond",
        {
            kind: effect(value - other.value, 1.4 * error)
            for kind, other in options.get("placebo", {}).items()
        },
    )
    return claim_of(name, effect=options.pop("effect", effect(value, error)), **options)
