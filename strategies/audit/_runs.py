"""One run of a target in a process of its own: over how many bars, from which on, how often."""

from __future__ import annotations

import inspect
import os
import pickle
import site
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

import backtrader as bt
import numpy as np
import pandas as pd

from ...datasets.calibration import CalibrationParameters
from ...datasets.errors import InputError
from ...datasets.imported_map import build_imported_map
from ...datasets.instruments import Instrument, instrument_for
from ...datasets.liquidation_map import build_map
from ...datasets.map_features import MapFeatures
from ...datasets.panel import PRICE_COLUMNS, Panel, panel_from_frame
from ..backtest import perpetual_cerebro
from ..parameters import CostParameters, TierBreakoutParameters
from ..tier_breakout import TierBreakout
from .columns import map_columns, numbers_of, panel_columns
from .markets import IMPORTED_MAP, Market, Scene
from .record import Column, Failure, Record, Stage
from .recorder import Recorder
from .target import SourceLines, Target, load_target, module_of, user_line

Kind = Literal["strategy", "feature"]
_NO_DATA: Final = frozenset({".py", ".pyc", ".so", ".pyd", ".nbi", ".nbc", ".pth"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSource:
    """How the map is built over the bars that are left.

    Attributes
    ----------
    calibration : CalibrationParameters or None
        Of our own map.
    imported : bool
        Whether to follow the market's table ``liquidation_map`` instead.
    hook : Target or None
        A function ``(panel, instrument) -> MapFeatures`` of the user's, instead of both.
    """

    calibration: CalibrationParameters | None = None
    imported: bool = False
    hook: Target | None = None

    def build(self, scene: Scene, instrument: Instrument) -> MapFeatures:
        """Return the map's features over a scene's bars."""
        if self.hook is not None:
            features: MapFeatures = load_target(self.hook)(scene.panel, instrument)
            return features
        if self.imported:
            rows = scene.tables[IMPORTED_MAP]
            return build_imported_map(scene.panel, rows, instrument=instrument).features
        return build_map(scene.panel, instrument, calibration=self.calibration).features


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is run and what it is given.

    Attributes
    ----------
    target : Target
    market : Market
    instrument : Instrument
    map_source : MapSource
    parameters : dict of str to str
        The strategy's parameters, or the feature's keyword arguments, as the user wrote them.
    costs : CostParameters
    cash : float
        Starting equity, quote.
    """

    target: Target
    market: Market
    instrument: Instrument
    map_source: MapSource = field(default_factory=MapSource)
    parameters: dict[str, str] = field(default_factory=dict)
    costs: CostParameters = field(default_factory=CostParameters)
    cash: float = 100_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a setup.

    Attributes
    ----------
    setup : Setup
    stop : int
        How many bars the market has.
    start : int
        How many of them are left out at the beginning.
    times : int
        How often it is run in this process; the last run is recorded.
    """

    setup: Setup
    stop: int
    start: int = 0
    times: int = 1


def kind_of(target: Target) -> Kind:
    """Return what a target is.

    Raises
    ------
    InputError
        If it is neither a strategy nor a function.
    """
    found = load_target(target)
    if isinstance(found, type) and issubclass(found, bt.Strategy):
        return "strategy"
    if callable(found) and not isinstance(found, type):
        return "feature"
    raise InputError(f"{target} is neither a backtrader strategy nor a function of a DataFrame")


def warm_up() -> None:
    """Load the compiled functions that build a map and its signals, which takes seconds."""
    close = np.linspace(100.0, 101.0, 400)
    index = pd.date_range("2024-01-01", periods=len(close), freq="1h", tz="UTC")
    frame = pd.DataFrame(dict.fromkeys(PRICE_COLUMNS, close), index=index)
    frame["volume"], frame["oi_base"] = 1.0, np.abs(np.sin(close * 40.0)) + 10.0
    panel = panel_from_frame(frame, timeframe="1h")
    instrument = instrument_for(panel.venue, panel.symbol)
    features = build_map(panel, instrument, calibration=CalibrationParameters()).features
    cerebro = perpetual_cerebro(panel, features, instrument, TierBreakoutParameters(), cash=1.0)
    cerebro.addstrategy(TierBreakout)
    cerebro.run()


def record(run: Run) -> Record:
    """Carry out a run and return what it left behind."""
    setup = run.setup
    scene = setup.market.until(run.stop)
    scene = scene._replace(panel=scene.panel.slice(run.start, len(scene.panel)))
    carry_out = _strategy_record if kind_of(setup.target) == "strategy" else _feature_record
    with _files_read(setup.target) as files:
        before = _state_of(setup.target)
        found = carry_out(setup, scene)
        for _ in range(run.times - 1):
            found = carry_out(setup, scene)
        changed = sorted(n for n, v in _state_of(setup.target).items() if before.get(n) != v)
    source = SourceLines(setup.target)
    kept = tuple(f"{n} ({w})" if (w := source.of_global(n)) else n for n in changed)
    return replace(found, kept=kept, files=tuple(sorted(files)))


def _strategy_record(setup: Setup, scene: Scene) -> Record:
    try:
        features = setup.map_source.build(scene, setup.instrument)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a hook of the user's raises
        return _failed(scene.panel, error, setup.map_source.hook or setup.target)
    strategy = load_target(setup.target)
    cerebro = perpetual_cerebro(
        scene.panel,
        features,
        setup.instrument,
        TierBreakoutParameters(),
        setup.costs,
        cash=setup.cash,
    )
    recorder = Recorder(cerebro, scene.panel, setup.target)
    found = recorder.run(strategy, _typed(strategy.params._getpairs(), setup))
    given = {**panel_columns(scene.panel), **map_columns(features)}
    return replace(found, columns={**given, **found.columns})


def _feature_record(setup: Setup, scene: Scene) -> Record:
    feature = load_target(setup.target)
    frame = scene.panel.to_frame()
    accepted = inspect.signature(feature).parameters
    defaults = {n: p.default for n, p in accepted.items() if p.default is not p.empty}
    options = _typed(defaults, setup)
    positional = len(accepted) - len(defaults)
    tables = {name: rows.to_pandas() for name, rows in scene.tables.items()}
    given = (frame.copy(), tables)[: max(positional, 1)]
    try:
        result = feature(*given, **options)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever the user's code raises
        return _failed(scene.panel, error, setup.target)
    return Record(
        ts=scene.panel.ts,
        bars=len(scene.panel),
        columns=dict(_feature_columns(setup.target, result, frame.index)),
    )


def _feature_columns(
    target: Target, result: object, index: pd.Index
) -> Iterator[tuple[str, Column]]:
    source = SourceLines(target)
    where = source.of_function(target.name)
    if isinstance(result, np.ndarray) and len(result) == len(index):
        result = pd.Series(result, index=index) if result.ndim == 1 else pd.DataFrame(result, index)
    if not isinstance(result, (pd.Series, pd.DataFrame)):
        raise InputError(f"{target} must return a Series or DataFrame with one value a bar")
    if not result.index.isin(index).all() or result.index.has_duplicates:
        raise InputError(
            f"{target} must return one value a bar, indexed as the frame it is given: "
            "reindex its result to frame.index"
        )
    columns = {target.name: result} if isinstance(result, pd.Series) else dict(result.items())
    for name, values in columns.items():
        numbers = numbers_of(pd.to_numeric(values.reindex(index)))
        yield str(name), Column(Stage.LINE, numbers, source.of_text(str(name)) or where)


def _failed(panel: Panel, error: BaseException, target: Target) -> Record:
    told = f"{type(error).__name__}: {error}".removesuffix(": ")
    where = user_line(traceback.walk_tb(error.__traceback__), target)
    return Record(ts=panel.ts, bars=0, failure=Failure(-1, told, where))


def _typed(defaults: Mapping[str, Any] | Any, setup: Setup) -> dict[str, Any]:
    """Return the user's parameters as what the target's defaults are."""
    known = dict(defaults)
    unknown = [name for name in setup.parameters if name not in known]
    if unknown:
        raise InputError(
            f"{setup.target} has no parameter {unknown[0]}: it has {', '.join(known) or 'none'}"
        )
    return {name: _value(name, text, known[name]) for name, text in setup.parameters.items()}


def _value(name: str, text: str, default: object) -> object:
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, int):
            return int(text)
        if isinstance(default, float):
            return float(text)
    except (KeyError, ValueError):
        raise InputError(
            f"parameter {name} is {text!r}, it must be like its default, {default!r}"
        ) from None
    return text


def _state_of(target: Target) -> dict[str, bytes]:
    """Return a fingerprint of each global of the target's module and each attribute of its class."""
    held = dict(vars(module_of(target)))
    cls = held.get(target.name)
    if isinstance(cls, type):
        held |= {f"{target.name}.{name}": value for name, value in vars(cls).items()}
    return {
        name: _fingerprint(value)
        for name, value in held.items()
        if not name.split(".")[-1].startswith("__")
        and not callable(value)
        and not isinstance(value, (ModuleType, property, classmethod, staticmethod))
    }


def _fingerprint(value: object) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception:  # noqa: BLE001  # a value may raise anything
        return repr(value).encode()


@contextmanager
def _files_read(target: Target) -> Iterator[set[str]]:
    """Gather which files of data Python opens for reading; an audit hook stays, but falls silent."""
    found: set[str] = set()
    ours = [sys.prefix, sys.base_prefix, *site.getsitepackages(), *sysconfig.get_paths().values()]
    ours += [str(Path(__file__).parents[2]), "/proc", "/sys", "/dev", "/etc", "/usr/share"]
    listening = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if listening and event == "open" and isinstance(arguments[0], str):
            mode = arguments[1] or "r"
            path = os.path.realpath(arguments[0])
            if set(mode).isdisjoint("wax+") and Path(path).suffix not in _NO_DATA:
                found.add(path)

    sys.addaudithook(hook)
    try:
        yield found
    finally:
        listening = False
        source = os.path.realpath(target.source)
        found -= {f for f in found if f == source or any(f.startswith(o) for o in ours)}
