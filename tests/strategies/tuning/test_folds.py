"""Which bars are scored, learnt from and held out: shapes by hand, purging by brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuning_worlds import hourly_panel, tiers_overhead

from builders import random_panel
from liqtiers.datasets.errors import InputError
from liqtiers.strategies.tuning import Segment, make_folds, tuning_features, tuning_panel

DAY = 86_400_000_000
HOUR = DAY // 24


def test_folds_by_hand() -> None:
    """1,000 days, 3 folds, a fifth held out, 10 days of gap: every stretch is 187 days long."""
    folds = make_folds(1000, folds=3, holdout=0.2, gap_bars=10, bar_us=DAY)
    assert folds.holdout == Segment(800, 1000)
    assert folds.tuning_stop == 790
    assert folds.segments == (
        Segment(10, 197),
        Segment(207, 394),
        Segment(404, 591),
        Segment(601, 788),
    )
    assert folds.tests == folds.segments[1:]
    assert Segment(10, 197).bars == 187


def test_anchored_folds_learn_from_all_before_them_and_rolling_ones_from_the_last() -> None:
    """The scheme decides which stretches a fold may learn from."""
    given_ = {"folds": 3, "holdout": 0.2, "gap_bars": 10, "bar_us": DAY}
    anchored = make_folds(1000, **given_, scheme="anchored")  # type: ignore[arg-type]
    rolling = make_folds(1000, **given_, scheme="rolling")  # type: ignore[arg-type]
    assert [anchored.train(fold) for fold in range(3)] == [(0,), (0, 1), (0, 1, 2)]
    assert [rolling.train(fold) for fold in range(3)] == [(0,), (1,), (2,)]


@given(
    bars=st.integers(600, 5000),
    count=st.integers(2, 8),
    holdout=st.floats(0.05, 0.5),
    gap=st.integers(0, 40),
    scheme=st.sampled_from(["anchored", "rolling"]),
)
def test_no_label_reaches_over_a_border(
    bars: int, count: int, holdout: float, gap: int, scheme: str
) -> None:
    """A trade begun on any bar of a stretch has ended before any later stretch and the holdout begins,
    and nobody's warm-up reaches into a stretch before it.
    """
    try:
        folds = make_folds(
            bars, folds=count, holdout=holdout, gap_bars=gap, bar_us=DAY, scheme=scheme
        )
    except InputError:
        return
    stretches = [*folds.segments, folds.holdout]
    for before, after in itertools.pairwise(stretches):
        last_label_ends = before.stop - 1 + gap
        assert last_label_ends < after.start
        assert after.start - gap >= before.stop
    assert folds.segments[0].start >= gap
    assert folds.segments[-1].stop <= folds.tuning_stop
    for fold, test in enumerate(folds.tests):
        assert all(folds.segments[place].stop + gap <= test.start for place in folds.train(fold))


def test_a_planted_label_over_the_border_is_purged() -> None:
    """A label that takes 30 bars and is planted on the last bars of training tells nothing of the fold:
    without the gap it would give its first bars away.
    """
    horizon, values = 30, np.random.default_rng(1).normal(size=600)

    def leaked(gap: int) -> int:
        folds = make_folds(600, folds=2, holdout=0.2, gap_bars=gap, bar_us=DAY)
        trained, test = folds.segments[0], folds.tests[0]
        # The label of bar t is the sum of what follows it; whoever knows it knows these bars.
        seen = {t + k for t in range(trained.start, trained.stop) for k in range(1, horizon + 1)}
        assert len(values) >= max(seen)
        return len(seen & set(range(test.start, test.stop)))

    assert leaked(0) == horizon
    assert leaked(horizon) == 0


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"folds": 1}, "there are 1 folds"),
        ({"holdout": 0.6}, "the holdout is 0.6"),
        ({"holdout": 0.0}, "the holdout is 0 "),
        ({"scheme": "expanding"}, "'expanding', it must be anchored or rolling"),
        ({"gap_bars": 100}, "take more bars or fewer folds"),
    ],
)
def test_what_cannot_be_cut_is_told(changed: dict[str, object], told: str) -> None:
    """Options out of bounds and folds that are too short are the user's mistake, said in one line."""
    options = {"folds": 5, "holdout": 0.2, "gap_bars": 10, "bar_us": DAY, **changed}
    with pytest.raises(InputError, match=told):
        make_folds(500, **options)  # type: ignore[arg-type]


def test_the_tuner_holds_no_later_bar() -> None:
    """What the tuner is given ends before the holdout's gap, and no array behind it reaches further."""
    panel = hourly_panel()
    folds = make_folds(len(panel), folds=4, holdout=0.2, gap_bars=48, bar_us=HOUR)
    cut = tuning_panel(panel, folds)
    features = tuning_features(tiers_overhead(panel), folds)
    assert len(cut) == len(features) == folds.tuning_stop == folds.holdout.start - 48
    assert cut.close_ts[-1] <= panel.ts[folds.holdout.start] - 48 * HOUR
    arrays = [cut.close, cut.ts, features.imbalance, features.above.lower, features.book_long]
    assert all(array.base is None for array in arrays)


def test_a_cut_keeps_the_gaps_that_lie_inside() -> None:
    """Gaps before the holdout stay known, those in it are gone."""
    panel = random_panel(900, seed=1, timeframe="1h")
    folds = make_folds(900, folds=2, holdout=0.2, gap_bars=0, bar_us=HOUR)
    assert tuning_panel(panel, folds).gaps == panel.slice(0, folds.tuning_stop).gaps
