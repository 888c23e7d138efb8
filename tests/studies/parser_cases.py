"""Small whole files in every shape that a parser reads, from which `fuzz_parsers` breeds its inputs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liqtiers.datasets.sources.parsed import ImportOptions

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from source_files import (
    FUNDING,
    HOUR_MS,
    HYPERLIQUID,
    KLINES,
    METRICS,
    OHLCV,
    SNAPSHOT,
    START_MS,
    STREAM,
    TARDIS,
    bar,
    kline,
)

HOURS: Final = tuple(START_MS + hour * HOUR_MS for hour in range(3))
SECOND: Final = START_MS // 1000


@dataclass(frozen=True, slots=True)
class Case:
    """A file's name, what the user says about it, and a whole content."""

    name: str
    content: bytes
    options: ImportOptions


def case(name: str, *lines: str, **said: Any) -> Case:
    """Return a case; symbol and venue are said unless it is told otherwise."""
    options = ImportOptions(**({"venue": "binance", "symbol": "BTCUSDT"} | said))
    return Case(name, ("\n".join(lines) + "\n").encode(), options)


def each_hour(values: str) -> list[str]:
    return [f"{moment},{values}" for moment in HOURS]


def document(value: Any) -> str:
    return json.dumps({"code": "0", "data": value})


ANYTHING: Final[Mapping[str, Any]] = {"venue": None, "symbol": None}

DAYS: Final = ("2024-01-01T00:00:00", "2024-01-02T00:00:00", "2024-01-03T00:00:00")
SNAPSHOT_ROW: Final = f"{START_MS},SELL,LIMIT,IOC,3,39900,40000,FILLED,2,2"
BYBIT_MESSAGE: Final = {
    "topic": "allLiquidation.BTCUSDT",
    "data": [{"T": START_MS, "s": "BTCUSDT", "S": "Buy", "v": "0.5", "p": "40000"}],
}

OKX_MESSAGE: Final = {
    "arg": {"channel": "liquidation-orders"},
    "data": [
        {
            "instId": "BTC-USDT-SWAP",
            "details": [{"bkPx": "40000", "side": "sell", "sz": "5", "ts": str(START_MS)}],
        }
    ],
}

BINANCE_MESSAGE: Final = {
    "e": "forceOrder",
    "o": {"s": "BTCUSDT", "S": "SELL", "p": "39900", "ap": "40000", "z": "2", "T": START_MS},
}

COINANK: Final = {
    "symbol": "BTCUSDT",
    "prices": [100.0, 110.0, 120.0, 130.0],
    "x25": [1.0, 0.0, 2.0, 0.0],
    "x50": [4.0, 0.0, 8.0, 0.0],
    "lastIndex": 2,
}

HEATMAP: Final = {
    "y_axis": ["90", "100", "110", "120"],
    "liquidation_leverage_data": [[0, 0, "5"], [1, 3, 7.5]],
    "price_candlesticks": [[SECOND + 300 * i, "100", "101", "99", "100", "1"] for i in range(2)],
}

LEVELS: Final = {"data": {"90": [[90, 5, 25, None], [90, 6.5, 50, None]], "110": [[110, 7, 25, 0]]}}

STATES: Final = {
    "hyperliquid_states": [
        {
            "address": "0x1",
            "state": {
                "time": START_MS,
                "assetPositions": [
                    {"position": {"coin": "BTC", "szi": size, "liquidationPx": price}}
                    for size, price in (("2", "50"), ("-1.5", "150"), ("1", None))
                ],
            },
        }
    ]
}

ANSWER_KLINES: Final = {
    "retCode": 0,
    "result": {"list": [[str(t), "100", "110", "90", "105", "2", "210"] for t in HOURS[::-1]]},
}

ANSWER_INTEREST: Final = {
    "retCode": 0,
    "result": {"list": [{"openInterest": "70", "timestamp": str(t)} for t in HOURS]},
}

ANSWER_FUNDING: Final = {
    "retCode": 0,
    "result": {
        "list": [
            {"symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingRateTimestamp": str(t)}
            for t in HOURS
        ]
    },
}

TRADES: Final = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,"
    "foreignNotional",
    f"{SECOND + 61.5},BTCUSDT,Sell,4,99,MinusTick,c,0,0,0",
    f"{SECOND + 30.25},BTCUSDT,Sell,2,101,PlusTick,b,0,0,0",
    f"{SECOND + 0.5},BTCUSDT,Buy,1,100,PlusTick,a,0,0,0",
)
CASES: Final[Mapping[str, tuple[Case, ...]]] = {
    "binance": (
        case("BTCUSDT-1h-2024-01.csv", KLINES, *map(kline, range(4))),
        case("BTCUSDT-1h-2024-01.csv", *map(kline, range(4)), timeframe="1h"),
        case("BTCUSDT.csv", *[kline(i, unit=1000) for i in range(4)], **ANYTHING),
        case(
            "BTCUSD_PERP-1h-2024-01.csv",
            KLINES,
            *[kline(i, volume=735) for i in range(3)],
            symbol="BTCUSD_PERP",
        ),
        case("x.csv", KLINES, *map(kline, range(3)), table="mark_bars"),
        case(
            "BTCUSDT-metrics-2024-01-01.csv",
            METRICS,
            *[f"2024-01-01 0{i}:05:00,BTCUSDT,70,7000,1,1.5,2,0.5" for i in range(3)],
        ),
        case(
            "metrics.csv",
            METRICS,
            "2020-09-01 00:05:00,ETHUSDT,70,7000,,,,",
            venue="binance",
            symbol=None,
        ),
        case("BTCUSDT-fundingRate-2024-01.csv", FUNDING, *each_hour("8,0.0001")),
        case("BTCUSDT-liquidationSnapshot-2024-01-01.csv", SNAPSHOT, SNAPSHOT_ROW, SNAPSHOT_ROW),
        case("x.csv", f"symbol,{SNAPSHOT}", f"BTCUSDT,{SNAPSHOT_ROW}", symbol=None),
        case("s.csv", STREAM, f"BTCUSDT,SELL,LIMIT,3,39900,40000,FILLED,2,{START_MS}", **ANYTHING),
        case("s.jsonl", *[json.dumps(BINANCE_MESSAGE)] * 2, **ANYTHING),
        case(
            "BTCUSDT-bookDepth-2024-01-01.csv",
            "timestamp,percentage,depth,notional",
            *[f"2024-01-01 00:00:0{i},{side}1,5,500" for i in range(2) for side in ("", "-")],
        ),
        case("oi.csv", "t,oi,oi_usd", *each_hour("70,7000")),
    ),
    "coinglass": (
        case("oi_1d.csv", "timestamp,open,high,low,close", *[f"{d},1,4,1,2" for d in DAYS]),
        case("funding_1d.csv", "timestamp,open,high,low,close", *each_hour("0,0,0,0.01")),
        case("l.csv", "time,long_usd,short_usd", *each_hour("10,20")),
        case(
            "l.csv",
            "time_ms,long_usd,short_usd,long_usd_first_seen,short_usd_first_seen",
            *each_hour("10,20,10,19"),
        ),
        case("o.csv", "ts_utc,symbol,oi_total_close", *[f"{d},BTC,7" for d in DAYS], symbol=None),
        case("o.csv", "timestamp,venue,coin,oi_usd", *each_hour("okx,BTC,5"), **ANYTHING),
        case(
            "f.csv", "ts_utc,symbol,funding_close", *[f"{d},BTC,-0.02" for d in DAYS], symbol=None
        ),
        case(
            "f.csv",
            "timestamp,coin,funding_rate",
            *each_hour("BTC,0.01"),
            percent=True,
            symbol="BTC",
        ),
        case("r.csv", "timestamp,long_percent,short_percent,ratio", *each_hour("60,40,1.5")),
        case("r.csv", "ts_utc,lsr_global,lsr_top_positions", *[f"{d},1,2" for d in DAYS]),
        case("t.csv", "time,buy_usd,sell_usd", *each_hour("3,2")),
        case(
            "oi.json",
            document(
                [{"time": t, "open": "1", "high": "2", "low": "1", "close": "2"} for t in HOURS]
            ),
        ),
        case("heatmap.json", document(HEATMAP), symbol="BTC", venue=None),
        case("m.json", document(LEVELS), symbol="BTC", at="2026-03-03", columns={"price": "100"}),
    ),
    "coinank": (
        case("m.json", document(COINANK), at="2026-03-03T12:02"),
        case("coinank_2026-03-03_12-02.json", document(COINANK), **ANYTHING),
    ),
    "coinalyze": (
        case(
            "c.json",
            json.dumps(
                [
                    {
                        "symbol": "BTCUSDT",
                        "history": [{"t": t // 1000, "l": 1, "s": 2} for t in HOURS],
                    },
                    {"symbol": "ETHUSDT", "history": []},
                ]
            ),
            venue=None,
            symbol=None,
            unit="usd",
        ),
    ),
    "hyperliquid": (
        case("s.json", json.dumps(STATES), symbol="BTC", venue=None),
        case("h.csv", HYPERLIQUID, *each_hour("BTC,100,long,90,500"), **ANYTHING),
    ),
    "bybit": (
        case("a.json", json.dumps(ANSWER_KLINES), venue="bybit"),
        case("a.json", json.dumps(ANSWER_INTEREST), venue="bybit"),
        case("a.json", json.dumps(ANSWER_FUNDING), venue="bybit"),
        case("BTCUSDT2024-01-01.csv", *TRADES, venue=None),
        case("b.jsonl", '{"success": true}', *[json.dumps(BYBIT_MESSAGE)] * 2, **ANYTHING),
        case("a.json", json.dumps(ANSWER_KLINES), venue="bybit", symbol="BTCUSD", timeframe="1h"),
    ),
    "okx": (
        case("o.json", json.dumps(OKX_MESSAGE), venue=None, symbol=None, contract_value=0.01),
        case("o.jsonl", *[json.dumps(OKX_MESSAGE)] * 2, **ANYTHING, unit="coins"),
        case(
            "o.csv",
            "instId,side,sz,bkPx,ts",
            f"BTC-USD-SWAP,buy,5,40000,{START_MS}",
            **ANYTHING,
            unit="usd",
        ),
    ),
    "tardis": (
        case(
            "BTCUSDT.csv",
            TARDIS,
            *[
                f"binance-futures,BTCUSDT,{t}000,{t}900,,{s},40000,2"
                for t in HOURS
                for s in ("buy", "sell")
            ],
            **ANYTHING,
        ),
        case(
            "x.csv",
            TARDIS,
            f"deribit,BTC-PERPETUAL,{HOURS[0]}000,{HOURS[0]}900,5,sell,40000,2",
            **ANYTHING,
            unit="usd",
        ),
    ),
    "generic": (
        case("BTCUSDT_1h.csv", OHLCV, *map(bar, range(4)), symbol=None),
        case("BTCUSDT_mark_1h.csv", OHLCV, *map(bar, range(4))),
        case(
            "x.csv",
            "date,open,high,low,close,volume,gap_filled",
            *each_hour("100,110,90,105,7,False"),
        ),
        case(
            "x.csv",
            "symbol,ts_utc,open,high,low,close,volume_usd",
            *[f"BTC,{t},100,110,90,100,5000" for t in HOURS],
            symbol=None,
        ),
        case(
            "x.csv",
            "timestamp,venue,coin,o,h,l,c,v",
            *each_hour("okx,BTC,100,110,90,105,7"),
            **ANYTHING,
        ),
        case("f.csv", "date,rate", *[f"{d},0.0001" for d in DAYS]),
        case(
            "n.csv",
            "when,a,b",
            *each_hour("0.5,8"),
            table="funding",
            columns={"ts": "when", "rate": "a", "interval_hours": "b"},
            percent=True,
        ),
        case(
            "n.csv",
            "t,w,p,x",
            *each_hour("long,100,7"),
            table="liquidations",
            columns={"ts": "t", "side": "w", "price": "p", "notional": "x"},
        ),
        case(
            "n.csv",
            "t,k,w,p,q,x,m",
            *each_hour(f"{HOURS[-1]},long,100,110,7,mine"),
            table="liquidation_map",
            columns={
                "ts": "t",
                "available_at": "k",
                "side": "w",
                "price_low": "p",
                "price_high": "q",
                "notional": "x",
                "model": "m",
            },
            time_unit="ms",
        ),
        case(
            "n.csv",
            "t,k,a,b",
            *each_hour(f"{HOURS[-1]},7,70"),
            table="open_interest",
            columns={"ts": "t", "available_at": "k", "oi_base": "a"},
        ),
        case(
            "n.csv",
            "t,a,b,c",
            *each_hour("1,2,3"),
            table="positioning",
            columns={"ts": "t", "taker_buy_sell": "a"},
        ),
        case(
            "n.csv",
            "t,O,H,L,C,V,N",
            *each_hour("100,110,90,105,7,12"),
            table="bars",
            columns={
                "ts": "t",
                "open": "O",
                "high": "H",
                "low": "L",
                "close": "C",
                "volume": "V",
                "trades": "N",
            },
        ),
        case(
            "x.jsonl",
            *[
                json.dumps({"time": t, "open": 1, "high": 4, "low": 1, "close": 2, "volume": 3})
                for t in HOURS
            ],
        ),
    ),
}
"""Whole files, by source."""
