"""How often the evidence claims something: in worlds where there is nothing, and where there is.

Each world is a simulated market of leveraged traders; its map is rebuilt from what the venue published, and
the whole study is run on it. Without impact liquidations move nothing, so that any claim about price is
false: in worlds in which the map's assumptions hold, in those in which they do not, with volatility that
clusters and with returns that are autocorrelated. That the map shows where liquidations happen is true in
all of them; for that claim the prints are turned round by some weeks, so that the map cannot know them.
With impact forced orders move price, and an oracle who knows them all says whether it could be found.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binom

from liqtiers.datasets.instruments import instrument_for
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.liquidation_map import MapParameters, build_map
from liqtiers.datasets.panel import Panel
from liqtiers.datasets.panel_query import load_panel
from liqtiers.datasets.sources.simulator import (
    LIQUIDATED,
    SYMBOL,
    VENUE,
    SimulatedMarket,
    simulate,
    worlds,
    write_to_lake,
)
from liqtiers.reports.evidence.flow import way_scores
from liqtiers.reports.evidence.inference import LEVEL, blocks_of, clustered_mean
from liqtiers.reports.evidence.map_recipe import MapRecipe
from liqtiers.reports.evidence.market import EvidenceMarket, day_of
from liqtiers.reports.evidence.market_claims import where_claims
from liqtiers.reports.evidence.study import (
    StudySettings,
    claim_key,
    evidence_of,
    market_study,
)
from liqtiers.reports.evidence.verdicts import AGAINST, EVIDENCE

IMPACT = "impact"
NULL_WORLDS = [name for name in worlds() if name != IMPACT]
SURE = 0.99


class Task(NamedTuple):
    """One world."""

    kind: str
    seed: int
    bar: str
    days: int
    impact: float
    surrogates: int


def judged(task: Task) -> dict[str, Any]:
    """Simulate a world, study it and return what was claimed."""
    began = time.process_time()
    chosen = replace(worlds()[task.kind], bar=task.bar, days=task.days, seed=task.seed)
    if task.kind == IMPACT:
        chosen = replace(chosen, impact=task.impact)
    simulated = simulate(chosen)
    panel = panel_of(simulated)
    instrument = instrument_for(VENUE, SYMBOL)
    market = EvidenceMarket(
        panel=panel, features=build_map(panel, instrument).features, instrument=instrument
    )
    rng = np.random.default_rng(task.seed)
    study = market_study(
        market,
        MapRecipe(parameters=MapParameters()),
        rng=rng,
        settings=StudySettings(scope="claims", surrogates=task.surrogates),
    )
    found = evidence_of({SYMBOL: study}, subject=SYMBOL, rng=rng)
    verdicts = found.verdicts[SYMBOL]
    return {
        "kind": task.kind,
        "seed": task.seed,
        "predicts": found.headline.predicts_price,
        "claimed": [claim_key(v.claim) for v in verdicts if v.outcome == EVIDENCE],
        "against": [claim_key(v.claim) for v in verdicts if v.outcome == AGAINST],
        "alone": {claim_key(v.claim): round(v.claim.effect.p, 4) for v in verdicts},
        "turned_where": turned_where(market, rng),
        "oracle": oracle(market, simulated, rng) if task.kind == IMPACT else None,
        "seconds": round(time.process_time() - began, 2),
    }


def panel_of(market: SimulatedMarket) -> Panel:
    """Return what the venue published as a panel."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        write_to_lake(market, lake)
        return load_panel(lake, venue=VENUE, symbol=SYMBOL, timeframe=market.parameters.bar)


def turned_where(market: EvidenceMarket, rng: np.random.Generator) -> list[str]:
    """Return the claims on where liquidations happen of prints turned round by a third of the days."""
    panel = market.panel
    turn = len(np.unique(day_of(panel))) // 3 * round(86_400_000_000 / panel.bar_us)
    turned = replace(
        panel,
        short_liquidations=np.roll(panel.short_liquidations, turn),
        long_liquidations=np.roll(panel.long_liquidations, turn),
    )
    claims = where_claims(replace(market, panel=turned), {}, rng=rng)
    # Corrected for the two sides, as if nothing else had been looked at: harder on us than the report.
    return [
        claim_key(s.claim)
        for s in claims
        if s.claim.effect.value > 0.0 and s.claim.effect.p < LEVEL / len(claims)
    ]


def oracle(market: EvidenceMarket, truth: SimulatedMarket, rng: np.random.Generator) -> bool:
    """Return whether who knows every forced order of a bar finds that price goes on for an hour."""
    positions = truth.positions
    forced = (positions.reason == LIQUIDATED) & (positions.closed_bar >= 0)
    value = positions.quantity * positions.liquidation_price
    sums = [
        np.bincount(
            positions.closed_bar[forced & (positions.direction == way)],
            weights=value[forced & (positions.direction == way)],
            minlength=len(market.panel),
        )
        for way in (-1, 1)
    ]
    features = replace(
        market.features,
        predicted_short_liquidations=sums[0],
        predicted_long_liquidations=sums[1],
    )
    scores = way_scores(replace(market, features=features), 1)
    cluster = blocks_of(day_of(market.panel)[scores.rows], 1 / 24)
    effect = clustered_mean(scores.value, cluster, rng=rng)
    return bool(effect.value > 0.0 and effect.p < LEVEL)


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the rates of a run."""
    null = [r for r in results if r["kind"] != IMPACT]
    effect = [r for r in results if r["kind"] == IMPACT]
    claims = Counter(key for r in null for key in r["claimed"] if not key.startswith("where"))
    against = Counter(key for r in null for key in r["against"])
    alone = Counter(key for r in null for key, p in r["alone"].items() if p < LEVEL)
    return {
        "null_worlds": len(null),
        "null_claims": sum(r["predicts"] for r in null),
        "most_allowed": int(binom.ppf(SURE, len(null), LEVEL)),
        "null_claims_by_verdict": dict(sorted(claims.items())),
        "null_against_by_verdict": dict(sorted(against.items())),
        "null_worlds_against": sum(bool(r["against"]) for r in null),
        "null_claims_where": sum(bool(r["turned_where"]) for r in null),
        "null_significant_alone": {
            key: count for key, count in sorted(alone.items()) if not key.startswith("where")
        },
        "null_claims_by_world": {
            name: f"{sum(r['predicts'] for r in null if r['kind'] == name)} of "
            f"{sum(r['kind'] == name for r in null)}"
            for name in NULL_WORLDS
        },
        "effect_worlds": len(effect),
        "effect_found": sum(r["predicts"] for r in effect),
        "oracle_found": sum(bool(r["oracle"]) for r in effect),
        "effect_found_by_verdict": dict(
            sorted(Counter(key for r in effect for key in r["claimed"]).items())
        ),
        "where_found": sum({"where short", "where long"} <= set(r["claimed"]) for r in results),
        "seconds_a_world": round(sum(r["seconds"] for r in results) / max(len(results), 1), 2),
    }


def main() -> None:
    """Print a line a world, the last line as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=60, help="without impact, and with, each")
    parser.add_argument("--effect-worlds", type=int, help="with impact, instead")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bar", default="5m", help="length of a bar")
    parser.add_argument("--days", type=int, default=180, help="length of each world")
    parser.add_argument("--impact", type=float, default=0.04, help="see the simulator's parameters")
    parser.add_argument("--surrogates", type=int, default=30)
    parser.add_argument(
        "--only", choices=NULL_WORLDS, help="this world alone instead of all in turn"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    kinds = [options.only] if options.only else NULL_WORLDS
    effects = options.worlds if options.effect_worlds is None else options.effect_worlds

    def task(kind: str, place: int) -> Task:
        return Task(
            kind,
            options.seed + place,
            options.bar,
            options.days,
            options.impact,
            options.surrogates,
        )

    tasks = [task(kinds[k % len(kinds)], k) for k in range(options.worlds)]
    tasks += [task(IMPACT, 100_000 + k) for k in range(effects)]
    # A process a core: what starts now reads these before it loads its libraries.
    for variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    results = []
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for result in pool.imap_unordered(judged, tasks):
            results.append(result)
            print(json.dumps(result), flush=True)
    print(json.dumps(summary(results)))


if __name__ == "__main__":
    main()
