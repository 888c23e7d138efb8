"""A study on disk: JSON and parquet that say the same, whole or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from liqtiers.datasets.errors import InputError, LakeError
from liqtiers.reports.evidence.record import (
    EVIDENCE_FILE,
    TABLES,
    EvidenceRecord,
    find_evidence,
    known_evidence,
    read_evidence,
    write_evidence,
)
from made_up_evidence import (
    BARE,
    CREATED_AT,
    FULL,
    LEVEL,
    market_input,
    market_study_of,
)


@pytest.fixture(scope="module")
def folder(evidence_of_two: Path) -> Path:
    """A study of both markets."""
    return evidence_of_two.parent


@pytest.fixture(scope="module")
def record(folder: Path) -> EvidenceRecord:
    """The same, read back."""
    return read_evidence(folder)


def test_json_has_a_version_and_no_nan(folder: Path) -> None:
    """Any JSON reader can read it: it says its version, and what is unknown is null."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = (folder / EVIDENCE_FILE).read_text(encoding="utf-8")
    about = json.loads(text, parse_constant=refuse)
    assert about["schema"] == 1
    assert about["id"] == folder.name
    assert about["created_at"] == CREATED_AT.isoformat()
    assert set(about["markets"]) == {FULL, BARE}


def test_claims_are_those_of_the_study_in_their_units(record: EvidenceRecord) -> None:
    """Effects are written in the unit beside them: a daily return of a fraction in basis points."""
    study = market_study_of(FULL)
    written = {c["key"]: c for c in record.about["markets"][FULL]["claims"]}
    assert len(written) == len(study.scored)
    rule = study.runs.mapped - study.runs.twin
    assert written["rule"]["unit"] == "basis points a day"
    assert written["rule"]["effect"]["value"] == pytest.approx(1e4 * rule.mean())
    assert written["rule"]["matters"] == pytest.approx(5.0)
    looks = {c["looks"] for m in record.about["markets"].values() for c in m["claims"]}
    assert len(looks) == 1, "all claims of all markets are corrected together"


def test_outcomes_in_json_are_counted_out_of_the_parquet(record: EvidenceRecord) -> None:
    """The counts of a horizon are those of the rows, and so is the mean difference to like levels."""
    for market in (FULL, BARE):
        rows = record.rows("encounters", market)
        for at in record.about["markets"][market]["encounters"]["horizons"]:
            own = rows.filter(pc.equal(rows["horizon_hours"], float(at["hours"])))
            counted = {
                name: pc.sum(pc.equal(own["outcome"], name)).as_py() or 0 for name in at["outcomes"]
            }
            assert counted == at["outcomes"]
            differences = own["signed_move_difference"].drop_null().to_numpy()
            assert len(differences) == at["matched"]
            assert differences.mean() == pytest.approx(at["differences"]["signed_move"]["value"])


def test_result_of_the_rule_follows_from_its_days(record: EvidenceRecord) -> None:
    """What rule and twin earned in the JSON is what their daily returns compound to."""
    for market in (FULL, BARE):
        days = record.rows("daily", market)
        for name in ("mapped", "twin"):
            earned = np.prod(1.0 + days[name].to_numpy()) - 1.0
            assert record.about["markets"][market]["rule"][name] == pytest.approx(earned)


def test_levels_are_logged_where_they_were_named(record: EvidenceRecord) -> None:
    """Each approach has a row at each horizon; a market without named levels has the columns alone."""
    named = record.about["markets"][FULL]["levels"]
    rows = record.rows("levels", FULL)
    assert named["named"] == [LEVEL]
    assert rows.num_rows == named["approaches"] * len(named["horizons"])
    assert set(rows["near"].to_pylist()) == {LEVEL}
    panel = market_input(FULL).panel
    crossed = (panel.low[1:] <= LEVEL) & (panel.high[1:] >= LEVEL)
    assert 0 < named["approaches"] <= crossed.sum()
    assert record.about["markets"][BARE]["levels"] is None
    assert record.rows("levels", BARE).num_rows == 0


def test_parquet_says_what_its_columns_are(folder: Path) -> None:
    """Every table has each market's name first, and units in the field metadata."""
    for name in TABLES:
        schema = pq.read_schema(folder / f"{name}.parquet")
        assert schema.names[0] == "market"
        assert b"unit" in schema.field(1).metadata


def test_a_counterexample_went_against_the_map(record: EvidenceRecord) -> None:
    """A move against the imbalance has the sign opposite to where the map pointed, by the prices shown."""
    for row in record.rows("counterexamples", FULL).to_pylist():
        assert row["side"] * row["move"] < 0.0 or row["kind"] == "rejected tier"
        assert len(row["around_us"]) == len(row["around_price"]) > 1
        assert row["around_us"][0] < row["moment_us"] < row["around_us"][-1]


@pytest.mark.parametrize("name", ["evidence.json", "encounters.parquet", "daily.parquet"])
def test_damaged_study_is_refused_by_name(folder: Path, tmp_path: Path, name: str) -> None:
    """A study one of whose files is gone is not read in part."""
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    (damaged / name).unlink()
    with pytest.raises(InputError, match="is not a whole study of evidence"):
        read_evidence(damaged)


def test_other_version_is_refused(tmp_path: Path) -> None:
    """A study of another version says so, and what to do."""
    (tmp_path / EVIDENCE_FILE).write_text('{"schema": 99}')
    with pytest.raises(InputError, match="schema 99, this version reads 1: make the study again"):
        read_evidence(tmp_path)


def test_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    """A study that cannot be written whole is not there at all."""
    (tmp_path / "evidence").write_text("in the way")
    with pytest.raises(LakeError, match="cannot write the study"):
        write_evidence(tmp_path, {"markets": {}}, {}, created_at=CREATED_AT)
    assert [p.name for p in tmp_path.iterdir()] == ["evidence"]


def test_study_is_found_by_id_and_by_folder(tmp_path: Path) -> None:
    """An id or a path finds it, anything else does not; an unfinished one is not known."""
    folder = write_evidence(tmp_path, {"markets": {}}, {}, created_at=CREATED_AT)
    (tmp_path / "evidence" / f".{folder.name}.1").mkdir()
    assert find_evidence(tmp_path, folder.name) == folder
    assert find_evidence(Path("elsewhere"), str(folder)) == folder
    assert find_evidence(tmp_path, "latest") is None
    assert find_evidence(tmp_path, "") is None
    assert known_evidence(tmp_path) == [folder.name]
