"""Recorded liquidation streams: whose side it is, what an amount is, and what a recorder leaves."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqtiers.datasets.errors import InputError
from liqtiers.datasets.lake import Lake
from liqtiers.datasets.sources.parsed import ImportOptions
from liqtiers.datasets.sources.registry import parse_file
from source_files import START_MS, load, micro, parse_one, put, store, values

START = START_MS * 1000
ANSWER = {"success": True, "op": "subscribe"}


def bybit(side: str, size: str, *, symbol: str = "BTCUSDT", late: int = 0) -> dict[str, Any]:
    """One message of Bybit's stream."""
    entry = {"T": START_MS + late, "s": symbol, "S": side, "v": size, "p": "40000"}
    return {"topic": f"allLiquidation.{symbol}", "ts": START_MS + late + 500, "data": [entry]}


def okx(side: str, size: str, *, symbol: str = "BTC-USDT-SWAP") -> dict[str, Any]:
    """One message of OKX' stream."""
    detail = {"bkPx": "40000", "posSide": "net", "side": side, "sz": size, "ts": str(START_MS)}
    return {
        "arg": {"channel": "liquidation-orders"},
        "data": [{"instId": symbol, "details": [detail]}],
    }


def binance(side: str, *, wrapped: bool) -> dict[str, Any]:
    """One message of Binance's stream, from a plain or a combined one."""
    order = {"s": "BTCUSDT", "S": side, "q": "3", "p": "39900", "ap": "40000", "X": "FILLED"}
    message = {"e": "forceOrder", "E": START_MS + 9, "o": {**order, "z": "2", "T": START_MS}}
    return {"stream": "btcusdt@forceOrder", "data": message} if wrapped else message


def test_bybit_side_is_the_positions(tmp_path: Path) -> None:
    """Bybit's Buy is a liquidated long; linear amounts are coins, equal orders are told apart."""
    lines = [ANSWER, bybit("Buy", "0.5"), bybit("Buy", "0.5"), bybit("Sell", "2", late=7)]
    path = put(tmp_path, "b.jsonl", *map(json.dumps, lines))
    parsed = parse_one(path)
    assert (parsed.table, parsed.venue) == ("liquidations", "bybit")
    assert (parsed.symbol, parsed.timeframe) == ("BTCUSDT", "events")
    assert values(parsed.rows, "side") == ["long", "long", "short"]
    assert values(parsed.rows, "notional") == [20_000.0, 20_000.0, 80_000.0]
    assert values(parsed.rows, "seq") == [0, 1, 0]
    assert micro(parsed.rows, "ts") == [START, START, START + 7000]
    assert values(parsed.rows, "_line") == [2, 3, 4]
    assert parsed.notes == ("1 messages hold no liquidation",)
    assert load(tmp_path, path).inserted == 3


def test_bybit_inverse_amounts_are_dollars(tmp_path: Path) -> None:
    """An inverse contract of Bybit is one dollar: 80,000 of them at 40,000 are two coins."""
    path = put(tmp_path, "b.json", json.dumps([bybit("Sell", "80000", symbol="BTCUSD")]))
    rows = parse_one(path).rows
    assert values(rows, "notional") == [80_000.0]
    assert values(rows, "quantity") == [2.0]


@pytest.mark.parametrize(
    ("symbol", "value", "quantity", "notional"),
    [("BTC-USDT-SWAP", 0.01, 0.05, 2000.0), ("BTC-USD-SWAP", 100.0, 0.0125, 500.0)],
)
def test_okx_needs_the_contracts_value(
    tmp_path: Path, symbol: str, value: float, quantity: float, notional: float
) -> None:
    """OKX counts in contracts: refused until their value is told; side sell closes a long."""
    path = put(tmp_path, "o.json", json.dumps(okx("sell", "5", symbol=symbol)))
    with pytest.raises(InputError, match="give --contract-value"):
        parse_file(path, options=ImportOptions())
    parsed = parse_one(path, ImportOptions(contract_value=value))
    assert (parsed.venue, parsed.symbol) == ("okx", symbol)
    assert values(parsed.rows, "side") == ["long"]
    assert values(parsed.rows, "quantity") == pytest.approx([quantity], rel=1e-15)
    assert values(parsed.rows, "notional") == pytest.approx([notional], rel=1e-15)


@pytest.mark.parametrize("wrapped", [False, True])
def test_binance_messages(tmp_path: Path, *, wrapped: bool) -> None:
    """Binance's side is the order's; the filled quantity at the average price is what counts."""
    messages = [binance(side, wrapped=wrapped) for side in ("SELL", "BUY")]
    rows = parse_one(put(tmp_path, "f.jsonl", *map(json.dumps, messages))).rows
    assert values(rows, "side") == ["long", "short"]
    assert values(rows, "price") == [39_900.0, 39_900.0]
    assert values(rows, "notional") == [80_000.0, 80_000.0]


def test_side_of_no_meaning_is_set_aside(tmp_path: Path) -> None:
    """A side that is neither of the two words is quarantined and not taken for the other."""
    path = put(tmp_path, "b.json", json.dumps([bybit("None", "1"), bybit("Buy", "1")]))
    report = load(tmp_path, path)
    assert report.reasons == {"side 'none' is neither buy nor sell": 1}
    assert report.inserted == 1


def test_line_of_a_killed_recorder_is_set_aside(tmp_path: Path) -> None:
    """A line that was cut off is quarantined with its number; the lines before it are stored."""
    whole = json.dumps(bybit("Buy", "1"))
    report = load(tmp_path, put(tmp_path, "b.jsonl", whole, whole[:40]))
    assert (report.inserted, report.quarantined) == (1, 1)
    bad = Lake(tmp_path / "lake").quarantined_rows("liquidations")
    assert values(bad, "line") == [2]
    assert "not whole JSON" in values(bad, "reason")[0]


def test_lines_of_flat_objects_are_a_table(tmp_path: Path) -> None:
    """One JSON object a line is a table like any other, recognised by its names."""
    lines = [json.dumps({"t": START_MS + i * 300_000, "oi": 5 + i, "oi_usd": 7}) for i in range(2)]
    parsed = parse_one(put(tmp_path, "BTCUSDT.jsonl", *lines))
    assert parsed.table == "open_interest"
    assert values(parsed.rows, "oi_base") == [5.0, 6.0]


@pytest.mark.parametrize(
    "lines",
    [
        [json.dumps(ANSWER), json.dumps(ANSWER)],
        ["[1, 2]", "[3]"],
        [json.dumps({"data": {"data": {"data": {"data": {"data": {"o": 1}}}}}}), "{}"],
        [json.dumps(okx("sell", "1") | {"data": [{"details": [{"side": "sell"}]}]}), "{}"],
    ],
)
def test_messages_of_another_kind_are_refused(tmp_path: Path, lines: list[str]) -> None:
    """A recording without a liquidation is one clear line."""
    with pytest.raises(InputError, match="no known shape|no response or map"):
        parse_file(put(tmp_path, "x.jsonl", *lines), options=ImportOptions(venue="v", symbol="S"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["T", "s", "S", "v", "p", "ap", "z", "o", "data", "details", "instId"])
            | st.sampled_from(["side", "sz", "bkPx", "ts", "time", "long_usd", "short_usd"]),
            inner,
            max_size=8,
        )
    ),
    max_leaves=12,
)


@given(
    st.lists(JSON, min_size=1, max_size=4),
    st.fixed_dictionaries(dict.fromkeys(("T", "s", "S", "v", "p"), JSON)),
)
def test_any_messages_end_well(messages: list[Any], event: dict[str, Any]) -> None:
    """Whatever stands in a recording, it is imported or refused; no other error comes out."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [json.dumps(bybit("Buy", "1")), json.dumps(event), *map(json.dumps, messages)]
        path = put(Path(folder), "x.jsonl", *lines)
        try:
            found = parse_file(path, options=ImportOptions(contract_value=1.0))
            reports = store(Lake(Path(folder) / "lake"), found)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert sum(report.rows for report in reports) >= 1
