"""The page of a run: its figures are the run's, and whatever is missing or hostile, it renders."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liqtiers.datasets.errors import InputError, LakeError
from liqtiers.reports.backtest_report import write_report
from liqtiers.reports.formatting import money, number, percent

MakeRun = Callable[..., Path]
BOKEH_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
HOSTILE = "<script>alert(1)</script>\"'&</style>{{ 7 * 7 }}"


class Page(HTMLParser):
    """Texts by element id and by figure, rows of each table, and every address in the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self.addresses: list[str] = []
        self.scripts = 0
        self._open: list[str] = []
        self._table: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.addresses += [v for n, v in attrs if n in ("src", "href", "srcset", "action") and v]
        self.scripts += tag == "script"
        if tag == "table":
            self._table = self.tables.setdefault(found.get("id") or f"{len(self.tables)}", [])
        if tag == "tr":
            self._table.append([])
        if tag in ("td", "th"):
            self._table[-1].append("")
        if tag == "br" and self._table:
            self._table[-1][-1] += " "
        if tag not in ("meta", "link", "br"):
            self._open.append(found.get("id") or found.get("data-figure") or "")

    def handle_endtag(self, tag: str) -> None:
        if key := self._open.pop():
            self.texts[key] = self.texts.get(key, "").strip()
        if tag == "table":
            self._table[:] = [[cell.strip() for cell in row] for row in self._table]
            self._table = []

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1]:
            key = self._open[-1]
            self.texts[key] = self.texts.get(key, "") + data
        if self._table and self._table[-1]:
            self._table[-1][-1] += data


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def test_figures_equal_those_of_the_runs_files(make_run: MakeRun) -> None:
    """What stands at the top is what the trades and the equity say, computed anew from them."""
    folder = make_run(trades=35, bars=4000)
    texts = page_of(folder).texts
    trades = pq.read_table(folder / "trades.parquet").to_pandas()
    equity = pq.read_table(folder / "equity.parquet").to_pandas()["equity"]
    bars = pq.read_table(folder / "bars.parquet").to_pandas()
    assert texts["net_return"] == percent(equity.iloc[-1] / 100_000.0 - 1.0)
    assert texts["trades"] == "35"
    assert texts["hit_rate"] == f"{(trades['net_pnl'] > 0).mean():.1%}"
    assert texts["mean_net_pnl"].lstrip("+") == money(trades["net_pnl"].mean())
    costs = trades["fees"].sum() + trades["slippage"].sum() - trades["funding"].sum()
    assert texts["costs"] == money(costs)
    peaks = equity.cummax().clip(lower=100_000.0)
    assert texts["max_drawdown"] == percent((equity / peaks - 1.0).min())
    kept = (1.0 - bars["funding_settled"]).prod() * (1.0 - 0.0005) ** 2
    ratio = bars["close"].iloc[-1] / bars["open"].iloc[0]
    assert texts["buy_and_hold_return"] == percent(ratio * kept - 1.0)


def test_random_entries_are_told_with_their_bars(make_run: MakeRun) -> None:
    """The page says over which bars was drawn; a run whose map was never known has no such part."""
    folder = make_run(trades=12)
    drawn = json.loads((folder / "run.json").read_text())["summary"]["random_entry"]
    known = np.flatnonzero(pq.read_table(folder / "bars.parquet")["imbalance"].to_numpy() >= 0.0)
    assert drawn["bars_before"] == known[0] + 1
    assert (
        f"drawn over all {1500 - known[0] - 1:,} bars after the first"
        in (page_of(folder).texts["chance"])
    )
    assert "chance" not in page_of(make_run(trades=12, imbalance=False, seed=8)).texts


def test_every_trade_is_in_the_table_as_it_was_logged(make_run: MakeRun) -> None:
    """One row a trade with its prices, tier, exit reason and the split of its result."""
    folder = make_run(trades=12)
    head, *rows = page_of(folder).tables["trades"]
    logged = pq.read_table(folder / "trades.parquet").to_pylist()
    assert len(rows) == len(logged) == 12
    for cells, trade in zip(rows, logged, strict=True):
        row = dict(zip(head, cells, strict=True))
        assert row["#"] == str(trade["trade_id"])
        assert row["side"] == ("long" if trade["direction"] > 0 else "short")
        assert row["entry"] == f"{trade['entry_ts']:%Y-%m-%d %H:%M} at {trade['entry_price']:,.1f}"
        assert row["exit"] == f"{trade['exit_ts']:%Y-%m-%d %H:%M} at {trade['exit_price']:,.1f}"
        assert row["tier"].startswith(f"{trade['tier_lower']:,.1f} to {trade['tier_upper']:,.1f}")
        worth = f"worth {money(trade['tier_notional'])}, fuel {number(trade['tier_fuel'])} h"
        assert row["tier"].endswith(worth)
        assert row["stop target"] == f"{trade['stop_price']:,.1f} {trade['target_price']:,.1f}"
        assert row["size (coins) bars held"] == f"{trade['size']:.3f} {trade['bars_held']}"
        assert row["armed"] == f"{trade['armed_ts']:%Y-%m-%d %H:%M}"
        assert row["exit reason"] == trade["exit_reason"]
        for name in ("gross", "net"):
            assert row[name] == number(trade[f"{name}_pnl"])
        for name in ("fees", "slippage", "funding", "imbalance"):
            assert row[name] == number(trade[name])


def test_trades_by_exit_sum_to_all_trades(make_run: MakeRun) -> None:
    """The table by exit reason loses no trade and no money."""
    folder = make_run(trades=20)
    _, *rows = page_of(folder).tables["by-exit"]
    logged = pq.read_table(folder / "trades.parquet").to_pandas()
    assert sum(int(row[1]) for row in rows) == 20
    total = sum(float(row[4].replace(",", "")) for row in rows)
    assert total == pytest.approx(logged["net_pnl"].sum(), abs=0.05)


def test_page_names_its_origin(make_run: MakeRun) -> None:
    """Fingerprint, versions, command, costs and the benchmark's terms are all on the page."""
    folder = make_run()
    about = json.loads((folder / "run.json").read_text())
    text = write_report(folder).read_text(encoding="utf-8")
    assert about["data"]["fingerprint"] in text
    assert "liqtiers 0.1.0, python 3.11.0" in text
    assert "liqtiers backtest --venue binance --symbol BTCUSDT" in text
    basis = Page(text).texts["basis"]
    assert "taker fee 0.05%, maker fee 0.02%, spread 1 bp" in basis
    assert "without leverage" in basis
    assert "funding paid" in basis


def test_page_asks_for_nothing(make_run: MakeRun) -> None:
    """No address leaves the file: no font, no script, no picture from elsewhere."""
    page = page_of(make_run())
    assert page.addresses == ["data:,", "#verdict"]


def test_changed_parameter_is_marked(make_run: MakeRun) -> None:
    """A parameter that differs from its default stands out in the table."""
    text = write_report(make_run()).read_text(encoding="utf-8")
    changed = re.findall(r'<tr[^>]* class="changed"><td[^>]*>(\w+)</td>', text)
    assert changed == ["max_hold"]


def test_hostile_names_stay_text(make_run: MakeRun) -> None:
    """A symbol, venue, note or reason that looks like markup or a template is shown as it is."""
    plain = page_of(make_run(seed=1))
    folder = make_run(symbol=HOSTILE, venue=HOSTILE, notes=(HOSTILE,), reason=HOSTILE)
    text = write_report(folder).read_text(encoding="utf-8")
    page = Page(text)
    assert page.scripts == plain.scripts
    assert "<script>alert" not in text
    assert page.tables["trades"][1][3] == HOSTILE
    assert HOSTILE in page.tables["by-exit"][1][0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trades": 0}, "There was no trade"),
        ({"trades": 1}, "1 trade is too few to say anything."),
        ({"losses_only": True, "trades": 31}, "The trades lose, beyond chance"),
        ({"funding": False}, "No funding rates over this span"),
        ({"open_interest": False}, "No open interest over this span"),
        ({"imbalance": False}, "The imbalance is unknown over the whole span"),
        ({"heatmap": False}, "No liquidation map to draw"),
        ({"dropped": slice(100, 160)}, "Missing data: 60 bars missing in 1 stretch"),
        ({"notes": ("Built from volume.",)}, '<p class="warning note">Built from volume.</p>'),
        ({"bars": 1, "trades": 0}, "There was no trade"),
        ({"bars": 2, "trades": 0}, "There was no trade"),
        ({"start_price": 0.00002, "tick": 1e-9}, "0.0000"),
        ({"start_price": 0.00002, "tick": None}, "0.0000"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_page_renders_whatever_is_missing_and_says_so(
    make_run: MakeRun, options: dict[str, object], said: str
) -> None:
    """Missing series, few trades, holes and odd prices each give a page that tells of it."""
    text = write_report(make_run(**options)).read_text(encoding="utf-8")
    assert said in text
    assert not re.search(r">\s*(nan|None|inf)\s*<", text)


def test_long_run_stays_small(make_run: MakeRun) -> None:
    """Six figures of bars stay far under eight megabytes."""
    size = write_report(make_run(bars=100_000, columns=1200)).stat().st_size
    assert size < 3_000_000


def test_report_is_the_same_each_time_but_for_bokehs_ids(make_run: MakeRun) -> None:
    """Writing twice changes nothing that a reader sees, and leaves one file."""
    folder = make_run()
    first, second = (page_of(folder) for _ in range(2))
    assert first.tables == second.tables
    kept = [
        {k: v for k, v in page.texts.items() if not BOKEH_ID.match(k)} for page in (first, second)
    ]
    assert kept[0] == kept[1]
    assert [p.name for p in folder.glob("*.html")] + list(folder.glob(".*")) == ["report.html"]


def test_record_that_lacks_something_is_one_clear_line(make_run: MakeRun) -> None:
    """A record without a part of what is shown is an input error that names it."""
    folder = make_run()
    about = json.loads((folder / "run.json").read_text())
    del about["verdict"]
    (folder / "run.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="lacks.*verdict"):
        write_report(folder)


@pytest.mark.parametrize(
    ("part", "value"),
    [("summary", None), ("instrument", []), ("data", {"gaps": 3}), ("costs", [{}]), ("map", "x"),
     ("versions", None), ("parameters", 7), ("window", "wide"), ("created_at", None)],
)  # fmt: skip
def test_record_changed_by_hand_is_one_clear_line(
    make_run: MakeRun, part: str, value: object
) -> None:
    """A part of another kind than expected is an input error that names the run."""
    folder = make_run()
    about = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**about, part: value}))
    with pytest.raises(InputError, match=f"{folder.name}: the run's record lacks"):
        write_report(folder)


def test_hostile_text_anywhere_in_the_record_stays_text(make_run: MakeRun) -> None:
    """Every text of run.json that reaches the page is shown as it is, never as markup."""
    folder = make_run()
    about = json.loads((folder / "run.json").read_text())
    clean = page_of(folder)
    spoilt = spoil(about)
    kept = {"schema": about["schema"], "summary": about["summary"]}
    (folder / "run.json").write_text(json.dumps({**spoilt, **kept}))
    text = write_report(folder).read_text(encoding="utf-8")
    assert text.count("&lt;script&gt;alert(1)") > 50
    assert "<script>alert" not in text
    assert "<img" not in text
    assert Page(text).scripts == clean.scripts


def spoil(value: object) -> object:
    """The same record with markup at the end of each text, names included where they are shown."""
    if isinstance(value, dict):
        return {k: spoil(v) for k, v in value.items()}
    if isinstance(value, list):
        return [spoil(v) for v in value]
    return f"{value}{HOSTILE}<img src=x onerror=alert(1)>" if isinstance(value, str) else value


def test_settings_keep_the_digits_that_were_given(make_run: MakeRun) -> None:
    """A parameter is shown in full, not rounded to six digits or as a power of ten."""
    folder = make_run()
    about = json.loads((folder / "run.json").read_text())
    values = {"a": 0.0123456789, "b": 12_345_678.9, "c": 1e6, "d": None, "e": [0.1, 2.0], "f": True}
    about["parameters"] = [{"name": n, "value": v, "default": v} for n, v in values.items()]
    (folder / "run.json").write_text(json.dumps(about))
    text = write_report(folder).read_text(encoding="utf-8")
    for shown in ("0.0123456789", "12,345,678.9", "1,000,000", "n/a", "0.1, 2", "True"):
        assert f">{shown}</td>" in text


def test_trades_without_a_tier_say_so(make_run: MakeRun) -> None:
    """A trade whose tier, imbalance or arming is not known has n/a there and is drawn all the same."""
    folder = make_run(trades=3)
    path = folder / "trades.parquet"
    frame = pq.read_table(path)
    for name in ("armed_ts", "tier_lower", "tier_upper", "tier_notional", "tier_fuel", "imbalance"):
        at = frame.schema.get_field_index(name)
        frame = frame.set_column(at, name, pa.nulls(3, frame.schema.field(name).type))
    pq.write_table(frame, path)
    head, *rows = page_of(folder).tables["trades"]
    for cells in rows:
        row = dict(zip(head, cells, strict=True))
        assert row["tier"] == "n/a worth n/a, fuel n/a h"
        assert row["armed"] == row["imbalance"] == "n/a"


def test_folder_that_cannot_be_written_is_one_clear_line(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is told with the file's name, and leaves no half page."""
    folder = make_run()

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(LakeError, match=r"cannot write .*report\.html: No space left"):
        write_report(folder)
    assert not list(folder.glob("*.html*")) + list(folder.glob(".*"))
