"""One claim over many instruments: each one's estimate, and the pooled one.

Coins fall on the same days. Observations of all instruments that fall on one day are one cluster, so that
ten coins that crashed together are one witness and not ten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ...datasets.errors import InputError
from ...datasets.panel import Float64Array1D, Int64Array1D
from .inference import Effect, clustered_mean


class Scores(NamedTuple):
    """One number an observation, whose mean is the effect, and the cluster (day or block) of each."""

    value: Float64Array1D
    cluster: Int64Array1D


class Forest(NamedTuple):
    """What each instrument says, in the order given, and all together."""

    each: dict[str, Effect]
    pooled: Effect
    spread: float
    """Standard deviation of the instruments' effects; NaN for one."""


def forest(scores: Mapping[str, Scores], *, rng: np.random.Generator) -> Forest:
    """Return the effect of each instrument and the pooled one.

    Parameters
    ----------
    scores : mapping of str to Scores
        By instrument. Clusters must be counted alike, for example in UTC days since 1970.
    rng : numpy.random.Generator

    Returns
    -------
    Forest
        In the pooled mean each observation counts once: an instrument with more of them weighs more.

    Raises
    ------
    InputError
        If there is no instrument.
    """
    if not scores:
        raise InputError("there is no instrument to pool")
    each = {name: clustered_mean(s.value, s.cluster, rng=rng) for name, s in scores.items()}
    pooled = clustered_mean(
        np.concatenate([s.value for s in scores.values()]),
        np.concatenate([s.cluster for s in scores.values()]),
        rng=rng,
    )
    values = [effect.value for effect in each.values()]
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return Forest(each, pooled, spread)
