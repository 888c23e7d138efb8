"""The study of evidence as one call: look at every market, judge all claims together, keep the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..datasets.errors import InputError
from ..datasets.instruments import Instrument
from ..datasets.liquidation_map import MODEL_OPEN_INTEREST, MODEL_VOLUME, LiquidationMap
from ..datasets.liquidation_map import parameter_rows as map_rows
from ..datasets.naming import DAY_US
from ..datasets.order_book import BookSeries
from ..datasets.panel import Panel
from ..strategies.parameters import parameter_rows
from ..strategies.slippage import DepthSlippage
from .evidence.headline import Headline
from .evidence.map_recipe import MapRecipe
from .evidence.market import EvidenceMarket
from .evidence.record import write_evidence
from .evidence.study import MarketStudy, StudySettings, evidence_of, market_study
from .evidence.study_about import claims_of, evidence_about
from .evidence.study_tables import evidence_tables
from .evidence.surrogates import null_note
from .evidence_page import write_evidence_page
from .provenance import data_of, instrument_of, versions

_NEARLY_ALL: Final = 0.95
"""A few holes in what was printed are not worth a line."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarketInput:
    """A market to be studied: its bars, its map, its contract, and order books where there are any."""

    panel: Panel
    liquidation_map: LiquidationMap
    instrument: Instrument
    books: BookSeries | None = None

    @property
    def imported(self) -> bool:
        """Whether the map is a vendor's, which cannot be made again."""
        return self.liquidation_map.model not in (MODEL_OPEN_INTEREST, MODEL_VOLUME)

    @property
    def recipe(self) -> MapRecipe | None:
        """How the map was made, or None for an imported one."""
        if self.imported:
            return None
        built = self.liquidation_map
        return MapRecipe(parameters=built.parameters, calibration=built.calibration)


@dataclass(frozen=True, slots=True, kw_only=True)
class Studied:
    """A study that was written.

    Attributes
    ----------
    folder, page : Path
    headline : Headline
    claims : list of dict
        Those that the headline is about, as the record holds them.
    """

    folder: Path
    page: Path
    headline: Headline
    claims: list[dict[str, Any]]


def study_and_record(
    workspace: Path,
    inputs: Sequence[MarketInput],
    *,
    settings: StudySettings,
    seed: int,
    command: str,
    created_at: datetime,
    progress: Callable[[str], None],
) -> Studied:
    """Study the markets, write ``evidence/<id>/`` with its page, and return where it is.

    Parameters
    ----------
    workspace : Path
    inputs : sequence of MarketInput
        Of different symbols.
    settings : StudySettings
    seed : int
        Of everything that is drawn.
    command : str
        What the user typed, for the record.
    created_at : datetime
        The present moment.
    progress : callable
        Is told each step as it begins.

    Raises
    ------
    InputError
        If two markets have one name, or there are too few bars to say anything.
    LakeError
        If the record cannot be written.
    """
    rng = np.random.default_rng(seed)
    studies = studies_of(inputs, settings=settings, rng=rng, progress=progress)
    progress("all claims together, and the page")
    about = {
        "command": command,
        "versions": versions(),
        "seed": seed,
        "surrogates": settings.surrogates,
        "parameters": parameter_rows(settings.parameters),
        "costs": parameter_rows(settings.costs),
        "depth": _depth(settings),
    }
    return record_studies(workspace, inputs, studies, about, rng=rng, created_at=created_at)


def studies_of(
    inputs: Sequence[MarketInput],
    *,
    settings: StudySettings,
    rng: np.random.Generator,
    progress: Callable[[str], None],
) -> dict[str, MarketStudy]:
    """Return what was found on each market, by its symbol; parameters are those of `study_and_record`."""
    names = [given.panel.symbol for given in inputs]
    if len(set(names)) < len(names):
        raise InputError(f"the markets are {', '.join(names)}: give each symbol once")
    found = {}
    for name, given in zip(names, inputs, strict=True):

        def told(step: str, name: str = name) -> None:
            progress(f"{name}: {step}" if len(names) > 1 else step)

        market = EvidenceMarket(
            panel=given.panel,
            features=given.liquidation_map.features,
            instrument=given.instrument,
            books=given.books,
            window=settings.parameters.imbalance_window,
        )
        found[name] = market_study(market, given.recipe, rng=rng, settings=settings, progress=told)
    return found


def record_studies(
    workspace: Path,
    inputs: Sequence[MarketInput],
    studies: Mapping[str, MarketStudy],
    about: dict[str, Any],
    *,
    rng: np.random.Generator,
    created_at: datetime,
) -> Studied:
    """Judge studies together, write them with their page, and return where that is.

    Parameters
    ----------
    workspace : Path
    inputs : sequence of MarketInput
        What the studies were made of.
    studies : mapping of str to MarketStudy
        By symbol.
    about : dict
        How they were made: command, versions, seed, parameters, costs.
    rng : numpy.random.Generator
    created_at : datetime
    """
    subject = subject_of([given.panel for given in inputs])
    evidence = evidence_of(studies, subject=subject, rng=rng)
    whole = {**evidence_about(evidence, rng=rng), "subject": subject, **about}
    for given in inputs:
        whole["markets"][given.panel.symbol] |= _origin(given)
    folder = write_evidence(workspace, whole, evidence_tables(evidence), created_at=created_at)
    return Studied(
        folder=folder,
        page=write_evidence_page(folder),
        headline=evidence.headline,
        claims=claims_of(whole),
    )


def subject_of(panels: Sequence[Panel]) -> str:
    """Return what a headline speaks of: symbols and period, as in "BTCUSDT, 2023-01-01 to 2026-02-19"."""
    names = [panel.symbol for panel in panels]
    told = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
    first = min(int(panel.ts[0]) for panel in panels)
    last = max(int(panel.close_ts[-1]) for panel in panels) - 1
    return f"{told}, {_day(first)} to {_day(last)}"


def _day(moment_us: int) -> str:
    return str(np.datetime64(moment_us, "us").astype("datetime64[D]"))


def _origin(given: MarketInput) -> dict[str, Any]:
    built = given.liquidation_map
    return {
        "instrument": instrument_of(given.panel, given.instrument),
        "data": data_of(given.panel),
        "map": {
            "model": built.model,
            "imported": given.imported,
            "calibrated": built.calibration is not None,
            "notes": list(built.notes),
            "parameters": map_rows(built.parameters),
        },
        "null_note": null_note(given.recipe),
        "missing": missing_words(given),
    }


def missing_words(given: MarketInput) -> list[str]:
    """Return what a market lacks, and what therefore is not said; a sentence each.

    Missing open interest is told by the map's own notes.
    """
    panel = given.panel
    found = []
    prints = np.isfinite(panel.short_liquidations) & np.isfinite(panel.long_liquidations)
    if not prints.any():
        found.append(
            "No printed liquidations: whether the map shows where liquidations happen cannot be said."
        )
    elif prints.mean() < 0.95:  # a few holes are not worth a line
        days = len(np.unique(panel.ts[prints] // DAY_US))
        found.append(
            f"Printed liquidations are known on {days:,} of {len(np.unique(panel.ts // DAY_US)):,} days; "
            "where liquidations happen is judged on these alone."
        )
    if given.imported:
        found.append(
            "An imported map cannot be made again: only its own windows are compared, and two of the four "
            "placebo maps are missing."
        )
    if not np.isfinite(panel.funding_rate).any():
        found.append(
            "No funding rates: results leave out what funding would have cost, and it is no control."
        )
    return found


def _depth(settings: StudySettings) -> list[list[float]] | None:
    law = settings.slippage
    return [list(level) for level in law.levels] if isinstance(law, DepthSlippage) else None
