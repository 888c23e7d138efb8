"""The run itself: goals, resuming, repeatability, workers that die, and what a trial keeps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import optuna
import pytest
import tuning_worlds
from optuna.trial import TrialState
from tuning_worlds import (
    fixed_clock,
    hill,
    run_small,
    small_plan,
    small_space,
    tuning_market,
    whole_market,
)

from liqtiers.datasets.errors import InputError, LakeError
from liqtiers.strategies.parameters import TierBreakoutParameters
from liqtiers.strategies.tuning import (
    Market,
    ObjectiveParameters,
    Run,
    Segment,
    Session,
    find_winner,
    finished,
    identity_of,
    open_storage,
    open_study,
    run_night,
    trial_table,
)
from liqtiers.strategies.tuning.samplers import SAMPLERS, check_sampler
from liqtiers.strategies.tuning.storage import quiet

AVAILABLE = ["tpe", "random", "qmc", "nsgaii", *(["cmaes"] if find_spec("cmaes") else [])]


@pytest.fixture(scope="module")
def market() -> Market:
    return whole_market()


def suggestions(study: optuna.Study) -> list[dict[str, object]]:
    return [t.params for t in finished(study)]


def test_a_run_ends_at_its_number_of_trials(tmp_path: Path, market: Market) -> None:
    """The goal counts all trials of the study: the same command again has nothing to do."""
    study, progress, _, _ = run_small(tmp_path, trials=12, market=market)
    assert len(finished(study)) == progress.done == progress.this_session == 12
    _, again, _, _ = run_small(tmp_path, trials=12, market=market)
    assert (again.done, again.this_session) == (12, 0)
    assert again.best == progress.best


def test_defaults_are_tried_first(tmp_path: Path, market: Market) -> None:
    """The first trial is the default parameters, so that the best is never worse than they are."""
    study, _, _, _ = run_small(tmp_path, trials=1, market=market)
    plain = TierBreakoutParameters()
    assert suggestions(study) == [
        {"min_fuel": plain.min_fuel, "stop_atr": plain.stop_atr, "patience": plain.patience}
    ]


@pytest.mark.parametrize("sampler", AVAILABLE)
def test_one_worker_and_a_seed_repeat_the_run(tmp_path: Path, market: Market, sampler: str) -> None:
    """The same seed suggests the same, another seed something else."""
    found = [
        suggestions(
            run_small(tmp_path / name, trials=30, market=market, sampler=sampler, seed=seed)[0]
        )
        for name, seed in (("a", 5), ("b", 5), ("c", 6))
    ]
    assert found[0] == found[1]
    assert found[0] != found[2]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_an_interrupted_run_suggests_the_same(
    tmp_path: Path, market: Market, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped twice and resumed, once just before and once after the memory was renewed, a run is the
    same as one that was not.
    """
    monkeypatch.setattr("liqtiers.strategies.tuning.samplers.RENEW_EVERY", 40)
    monkeypatch.setattr("liqtiers.strategies.tuning.samplers.CARRIED", 10)
    total = 60
    whole, *_ = run_small(tmp_path / "a", trials=total, market=market, sampler=sampler)
    for goal in (35, 45, total):
        parts, *_ = run_small(tmp_path / "b", trials=goal, market=market, sampler=sampler)
    assert suggestions(whole) == suggestions(parts)


def test_sampler_learns(tmp_path: Path, market: Market) -> None:
    """TPE finds the hill that random search only comes near to."""
    best = [
        run_small(tmp_path / name, trials=80, market=market, sampler=name)[1].best
        for name in ("tpe", "random")
    ]
    assert best[0] is not None
    assert best[1] is not None
    assert best[0] > best[1]


def test_unknown_samplers_and_missing_packages_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sampler that is not there, cannot do two goals, or lacks its package is the user's mistake."""
    with pytest.raises(InputError, match="there is no sampler 'grid'; they are tpe, cmaes"):
        check_sampler("grid", goals=1)
    with pytest.raises(InputError, match="cmaes knows one goal only"):
        check_sampler("cmaes", goals=2)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match="pip install cmaes"):
        check_sampler("cmaes", goals=1)
    assert set(SAMPLERS) == {"tpe", "cmaes", "nsgaii", "qmc", "random"}


def test_a_trial_keeps_its_folds_and_blocks(tmp_path: Path, market: Market) -> None:
    """What is stored of a trial gives back its daily returns' sums, by fold and by block."""
    study, _, plan, _ = run_small(tmp_path, trials=3, market=market)
    table = trial_table(finished(study))
    assert table.sharpe.shape == (3, 4)
    assert table.block_sums.shape == (3, 16)
    parameters = plan.space.parameters(finished(study)[2].params)
    tuned, daily = tuning_market(market, plan), []
    for segment in plan.folds.tests:
        equity = hill(tuned, parameters, "default", segment).equity
        opens = tuned.panel.ts[segment.start : segment.stop] // 86_400_000_000
        last = [equity[opens == day][-1] for day in np.unique(opens)]
        daily += list(np.array(last) / np.array([100_000.0, *last[:-1]]) - 1.0)
    assert table.block_sums[2].sum() == pytest.approx(sum(daily))
    assert table.block_squares[2].sum() == pytest.approx(sum(np.square(daily)))
    assert table.trades.tolist() == [40, 40, 40]
    assert np.isfinite(table.first_sharpe).all()


def test_value_is_the_score_of_the_folds(tmp_path: Path, market: Market) -> None:
    """The stored value is the mean of the folds' Sharpe ratios less half their deviation."""
    study, _, _, _ = run_small(tmp_path, trials=2, market=market)
    table = trial_table(finished(study))
    wanted = table.sharpe.mean(axis=1) - 0.5 * table.sharpe.std(axis=1, ddof=1)
    assert table.value[:, 0] == pytest.approx(wanted)


def test_too_few_trades_cannot_win(tmp_path: Path, market: Market) -> None:
    """With more trades asked for than any trial makes, every trial is kept and none wins."""
    plan = small_plan(market, objective=ObjectiveParameters(min_trades=41))
    study, progress, _, _ = run_small(tmp_path, trials=12, plan=plan, market=market)
    assert not trial_table(finished(study)).feasible.any()
    assert progress.best is None
    assert find_winner(plan, finished(study)) is None


def test_hopeless_trials_stop_early(tmp_path: Path, market: Market) -> None:
    """With a pruner, trials that are behind the best one fold after fold are stopped; without, none."""
    plan = small_plan(market, pruner="median")
    study, progress, _, _ = run_small(tmp_path / "a", trials=60, plan=plan, market=market)
    pruned = [t for t in finished(study) if t.state == TrialState.PRUNED]
    assert len(pruned) == progress.pruned > 0
    assert all(len(t.user_attrs["fold_sharpe"]) < 4 for t in pruned)
    best = [trial_table(finished(study)).value.max()]
    assert best[0] == progress.best
    _, without, _, _ = run_small(tmp_path / "b", trials=60, market=market)
    assert without.pruned == 0


def test_inner_grid_keeps_the_best_and_counts_all(tmp_path: Path, market: Market) -> None:
    """Each suggestion is evaluated with every inner value; the best one is kept, all are counted."""
    plan = small_plan(market, space=small_space(inner={"stop_atr": ["0.5", "2", "6"]}))
    study, progress, _, _ = run_small(tmp_path, trials=5, plan=plan, market=market)
    assert progress.evaluations == 15
    assert {t.params["stop_atr"] for t in finished(study)} == {2.0}
    assert {t.user_attrs["evaluations"] for t in finished(study)} == {3}


def test_two_goals(tmp_path: Path, market: Market) -> None:
    """Return against drawdown gives two values; the winner has the highest return for its drawdown."""
    plan = small_plan(
        market, objective=ObjectiveParameters(goal="return-drawdown", min_trades=1), pruner="median"
    )
    study, progress, _, _ = run_small(
        tmp_path, trials=25, plan=plan, market=market, sampler="nsgaii"
    )
    trials = finished(study)
    assert progress.pruned == 0
    assert all(len(t.values) == 2 for t in trials)
    ratios = [t.values[0] / t.values[1] for t in trials]
    winner = find_winner(plan, trials)
    assert winner is not None
    assert winner.number == int(np.argmax(ratios))


def failing(market: Market, parameters: TierBreakoutParameters, name: str, segment: Segment) -> Run:
    if parameters.stop_atr > 4.0:
        raise InputError("the position is too large")
    return hill(market, parameters, name, segment)


def test_a_failing_trial_is_kept_with_its_reason(tmp_path: Path, market: Market) -> None:
    """A run that is refused fails its trial and no other."""
    study, progress, _, _ = run_small(
        tmp_path, trials=20, market=market, evaluate=failing, sampler="random"
    )
    failed = [t for t in finished(study) if t.state == TrialState.FAIL]
    assert 0 < len(failed) == progress.failed < 20
    assert {t.user_attrs["reason"] for t in failed} == {"the position is too large"}


def always_failing(
    market: Market, parameters: TierBreakoutParameters, name: str, segment: Segment
) -> Run:
    raise InputError("the venue never grants this")


def test_when_all_fails_the_run_ends(tmp_path: Path, market: Market) -> None:
    """After ten failures and nothing else the reason is told instead of failing all night."""
    with pytest.raises(InputError, match="first 10 trials failed.*never grants this"):
        run_small(tmp_path, trials=500, market=market, evaluate=always_failing)


def test_stop_ends_after_the_trial_at_hand(tmp_path: Path, market: Market) -> None:
    """Told to stop, the run finishes the trial that it is at, and the study goes on from there."""
    plan = small_plan(market)
    tuned = tuning_market(market, plan)
    address = str(tmp_path / "journal.log")
    study = open_study(open_storage(address), plan, identity_of(plan, tuned))
    answers = iter([False] * 7 + [True])
    progress = run_night(
        plan,
        Session(storage=address, evaluate=hill, clock=fixed_clock),
        tuned,
        study,
        workers=1,
        scratch=tmp_path / "scratch",
        stop=lambda: next(answers),
    )
    assert progress.done == len(finished(study)) == 7
    assert run_small(tmp_path, trials=9, market=market)[1].done == 9


def test_trials_do_not_depend_on_the_holdout(tmp_path: Path, market: Market) -> None:
    """With everything after the holdout's start replaced, every trial is the same: none of it is read."""
    plan = small_plan(market)
    start = plan.folds.tuning_stop
    other_close = np.array(market.panel.close)
    other_close[start:] *= np.linspace(1.0, 40.0, len(other_close) - start)
    changed = {"close": other_close, "high": other_close * 1.01, "low": other_close * 0.99}
    other = whole_market(replace(market.panel, **changed))
    evaluate = tuning_worlds.closes
    found = []
    for name, world in (("a", market), ("b", other)):
        study, *_ = run_small(
            tmp_path / name, trials=15, plan=plan, market=world, evaluate=evaluate
        )
        found.append([(t.params, t.values) for t in finished(study)])
    assert found[0] == found[1]


def test_what_works_in_the_holdout_alone_is_not_found(tmp_path: Path, market: Market) -> None:
    """A parameter that earns in the holdout and nowhere else is chosen no more often than by chance."""
    plan = small_plan(market)
    planted_from = int(market.panel.ts[plan.folds.tuning_stop])
    evaluate = tuning_worlds.Planted(planted_from)
    study, *_ = run_small(tmp_path, trials=90, plan=plan, market=market, evaluate=evaluate)
    stops = np.array([t.params["stop_atr"] for t in finished(study)])
    low, high = tuning_worlds.PLANTED_STOPS
    share = np.mean((stops > low) & (stops < high))
    # The planted region is a ninth of the range; a search that saw it would go there.
    assert share < 0.2
    # The same plant one day into the tuner's bars is found: the test can see what it looks for.
    early = tuning_worlds.Planted(int(market.panel.ts[0]))
    study, *_ = run_small(tmp_path / "seen", trials=90, plan=plan, market=market, evaluate=early)
    stops = np.array([t.params["stop_atr"] for t in finished(study)])
    assert np.mean((stops > low) & (stops < high)) > 0.3


def test_a_strangers_unfinished_trial_is_no_trial(tmp_path: Path, market: Market) -> None:
    """What another program began in the study and never finished neither counts nor stops anybody."""
    study, *_ = run_small(tmp_path, trials=3, market=market)
    with quiet():
        study.ask()
    study, progress, _, _ = run_small(tmp_path, trials=6, market=market)
    assert progress.done == 6
    assert [t.number for t in finished(study)] == [0, 1, 2, 4, 5, 6]


def test_full_disk_is_told_and_nothing_is_lost(tmp_path: Path, market: Market) -> None:
    """When the disk is full the run ends with how many trials are safe; with room it goes on."""
    import resource

    run_small(tmp_path, trials=5, market=market)
    size = (tmp_path / "journal.log").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5000, hard))
    try:
        with pytest.raises(
            LakeError, match=r"File too large. The \d+ before it are safe"
        ) as caught:
            run_small(tmp_path, trials=50, market=market)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    safe = int(str(caught.value).split("The ")[1].split()[0])
    study, progress, _, _ = run_small(tmp_path, trials=20, market=market)
    assert 5 <= safe < 20
    assert progress.this_session == 20 - safe
    assert [t.number for t in finished(study)] == list(range(20))


def start(folder: Path, *, trials: int, workers: int) -> subprocess.Popen[str]:
    paths = os.pathsep.join(p for p in sys.path if p)
    return subprocess.Popen(
        [
            sys.executable,
            tuning_worlds.__file__,
            str(folder),
            f"--trials={trials}",
            f"--workers={workers}",
        ],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def whole_lines(folder: Path) -> int:
    path = folder / "journal.log"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for_lines(folder: Path, lines: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60.0
    while whole_lines(folder) < lines and process.poll() is None:
        assert time.monotonic() < deadline, "the study does not get on"
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    found = [int(word) for word in text.split()]
    return [p for p in found if "worker" in Path(f"/proc/{p}/cmdline").read_text() or _spawned(p)]


def _spawned(pid: int) -> bool:
    return "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()


def unheard(pid: int) -> set[int]:
    """Return the signals that do not reach a process before it asks for them."""
    (line,) = [
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("SigBlk:")
    ]
    mask = int(line.split()[1], 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def kept(folder: Path) -> dict[int, dict[str, object]]:
    with quiet():
        study = optuna.load_study(
            study_name="small", storage=open_storage(str(folder / "journal.log"))
        )
    return {t.number: t.params for t in finished(study)}


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc to find workers in")
def test_killed_worker_and_killed_parent(tmp_path: Path) -> None:
    """A worker that is killed is replaced and the goal reached to the trial; a killed parent leaves no
    process behind, and the same command goes on. No finished trial is lost or counted twice. A terminal's
    interruption is the parent's alone.
    """
    process = start(tmp_path, trials=400, workers=2)
    wait_for_lines(tmp_path, 20, process)
    workers = children(process.pid)
    assert all({signal.SIGINT, signal.SIGTERM} <= unheard(pid) for pid in workers)
    assert not unheard(process.pid)
    os.kill(workers[0], signal.SIGKILL)
    reached = whole_lines(tmp_path)
    wait_for_lines(tmp_path, reached + 30, process)
    orphans = children(process.pid)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 20.0
    while any(Path(f"/proc/{pid}").exists() for pid in orphans):
        assert time.monotonic() < deadline, "a worker outlives its parent"
        time.sleep(0.05)
    before = kept(tmp_path)
    assert sorted(before) == list(range(len(before)))
    assert 40 <= len(before) < 400
    goal = len(before) + 25
    again = start(tmp_path, trials=goal, workers=1)
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert out == f"{goal} trials, 0 deaths\n"
    after = kept(tmp_path)
    assert sorted(after) == list(range(goal))
    assert {number: after[number] for number in before} == before
