"""Contracts by venue, symbol and date: their kind, formula and maintenance-margin table."""

import numpy as np
import pandas as pd
import pytest

from liqtiers.datasets.brackets import Brackets
from liqtiers.datasets.errors import InputError
from liqtiers.datasets.instruments import (
    GENERIC_BRACKETS,
    Instrument,
    Kind,
    brackets_for,
    instrument_for,
)
from liqtiers.datasets.liquidation_price import Formula


@pytest.mark.parametrize(
    ("venue", "symbol", "kind", "formula"),
    [
        ("binance", "BTCUSDT", "linear", "linear"),
        ("binance", "BTCBUSD", "linear", "linear"),
        ("binance", "BTCUSD_PERP", "inverse", "inverse"),
        ("binance", "ETHUSD_240628", "inverse", "inverse"),
        ("binance-delivery", "BTCUSD_PERP", "inverse", "inverse"),
        ("bybit", "ETHUSDT", "linear", "linear"),
        ("bybit", "BTCUSD", "inverse", "inverse"),
        ("bybit", "BTCUSDZ25", "inverse", "inverse"),
        ("okx", "BTC-USDT-SWAP", "linear", "linear with fee"),
        ("okx", "BTC-USD-SWAP", "inverse", "inverse"),
        ("okex-swap", "ETH-USDT-SWAP", "linear", "linear with fee"),
        ("gate", "BTC_USDT", "linear", "linear with fee"),
        ("gate", "BTC_USD", "inverse", "inverse"),
        ("hyperliquid", "BTC", "linear", "linear"),
        ("nowhere", "BTCUSD_PERP", "linear", "linear"),
    ],
)
def test_a_symbol_tells_the_kind_and_the_venue_the_formula(
    venue: str, symbol: str, kind: Kind, formula: Formula
) -> None:
    """As each venue writes its contracts, and works out their liquidation prices today."""
    instrument = instrument_for(venue, symbol)
    assert (instrument.kind, instrument.formula) == (kind, formula)
    assert (instrument.venue, instrument.symbol) == (venue, symbol)


@pytest.mark.parametrize(
    ("at", "linear", "inverse"),
    [
        ("2025-09-01", "bybit linear until 2025-09", "bybit inverse until 2025-09"),
        ("2025-09-02", "linear", "inverse"),
        (pd.Timestamp("2025-09-02 05:00", tz="Asia/Singapore"), None, None),
        (None, "linear", "inverse"),
    ],
)
def test_bybit_changed_its_formula_on_2_september_2025(
    at: str | pd.Timestamp | None, linear: str | None, inverse: str | None
) -> None:
    """By the UTC day: five in the morning in Singapore is still the day before."""
    assert instrument_for("bybit", "BTCUSDT", at=at).formula == (
        linear or "bybit linear until 2025-09"
    )
    assert instrument_for("bybit", "BTCUSD", at=at).formula == (
        inverse or "bybit inverse until 2025-09"
    )


def test_a_formula_is_the_kinds_own_unless_given_and_must_fit_it() -> None:
    """An instrument made by hand needs no formula; a wrong one is refused."""

    def contract(kind: Kind, **given: Formula) -> Instrument:
        return Instrument(
            venue="x",
            symbol="Y",
            kind=kind,
            tick=0.1,
            lot=0.1,
            taker_fee=0.0,
            maker_fee=0.0,
            brackets=GENERIC_BRACKETS,
            **given,
        )

    assert contract("linear").formula == "linear"
    assert contract("inverse").formula == "inverse"
    assert contract("linear", formula="linear with fee").formula == "linear with fee"
    with pytest.raises(InputError, match="x Y is linear: formula 'inverse' does not fit"):
        contract("linear", formula="inverse")


@pytest.mark.parametrize("at", ["soon", "", "2025-13-01"])
def test_a_moment_must_be_a_date(at: str) -> None:
    """Anything else is the user's mistake."""
    with pytest.raises(InputError, match="is not a date"):
        instrument_for("bybit", "BTCUSDT", at=at)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC-USDT-SWAP", "BTC_USDT", "BTC-USDT"])
def test_a_table_is_found_however_the_symbol_is_written(symbol: str) -> None:
    """OKX's own spelling and the plain one; a dated future is another contract."""
    assert brackets_for("okx", symbol).max_leverage[0] == 100
    assert brackets_for("okx", symbol).source.startswith(f"okx {symbol}, in force by 2025-12-29")
    assert brackets_for("okx", "BTC-USDT-261225") is GENERIC_BRACKETS


@pytest.mark.parametrize(
    ("venue", "symbol", "at"),
    [("nowhere", "BTCUSDT", None), ("binance", "DOGEUSDT", None), ("binance", "BTCUSD_PERP", None)],
)
def test_what_is_not_known_is_generic_and_says_so(venue: str, symbol: str, at: str | None) -> None:
    """No venue's table is made up."""
    assert "not a venue's" in brackets_for(venue, symbol, at=at).source


@pytest.mark.parametrize(
    ("venue", "symbol", "at", "notional", "rate", "cap", "amount"),
    [
        # Rows as the venues' own answers printed them.
        ("binance", "BTCUSDT", "2024-10-15", 600_000, 0.0065, 75, 950),
        ("binance", "SOLUSDT", None, 5_000_000, 0.025, 20, 28_380),
        ("bybit", "BTCUSDT", "2025-12-29", 2_300_000, 0.0056, 90, 1_200),
        ("bybit", "BTCUSDT", None, 78_000_000, 0.045, 14, 1_482_000),
        ("bybit", "ETHUSDT", "2025-01-01", 49_000_000, 0.055, 11, 1_524_220),
        ("bybit", "SOLUSDT", None, 22_500_000, 0.0385, 13, 310_535),
    ],
)
def test_rows_are_the_venues(
    venue: str,
    symbol: str,
    at: str | None,
    notional: float,
    rate: float,
    cap: float,
    amount: float,
) -> None:
    """Spot checks of the tables against the printed tiers."""
    table = brackets_for(venue, symbol, at=at)
    row = int(table.row(notional))
    assert table.maintenance_rate[row] == rate
    assert table.max_leverage[row] == cap
    assert table.maintenance_amount[row] == amount


@pytest.mark.parametrize(
    ("symbol", "contracts", "worth", "rate", "cap"),
    [
        ("BTCUSDT", 1_000, 0.01, 0.004, 100),
        ("BTCUSDT", 19_999, 0.01, 0.0075, 50),
        ("BTCUSDT", 770_000, 0.01, 0.1975, 4.76),
        ("ETHUSDT", 24_000, 0.1, 0.0075, 50),
        ("ETHUSDT", 2_410_000, 0.1, 0.4875, 2),
    ],
)
def test_okx_goes_by_contracts(
    symbol: str, contracts: float, worth: float, rate: float, cap: float
) -> None:
    """A contract is 0.01 BTC or 0.1 ETH, whatever it costs; values need a price."""
    table = brackets_for("okx", symbol)
    with pytest.raises(InputError, match=r"go by quantity: take at_price\(price\)"):
        table.row(50_000.0)
    for price in (3_000.0, 100_000.0):
        by_value = table.at_price(price)
        row = int(by_value.row((contracts - 0.5) * worth * price))
        assert (by_value.maintenance_rate[row], by_value.max_leverage[row]) == (rate, cap)
        assert "at a price of" in by_value.source
    assert by_value.at_price(5.0) is by_value
    with pytest.raises(InputError, match="price 0 must be a positive number"):
        table.at_price(0.0)


def test_okx_charges_the_whole_position_at_its_rate() -> None:
    """A long of 20 BTC at 60,000 and 50x: tier 2, so 60,000 x 0.98 / (1 - 0.005 - 0.0005)."""
    instrument = instrument_for("okx", "BTC-USDT-SWAP")
    price = instrument.brackets.liquidation_price(
        60_000.0, 50.0, quantity=20.0, direction=1, formula=instrument.formula, taker_fee=0.0005
    )
    assert price == pytest.approx(60_000 * 0.98 / 0.9945)


def test_a_position_can_fall_through_several_brackets() -> None:
    """Bybit, 3 M at 2x: at half its value it is in the first bracket again, without an amount."""
    table = brackets_for("bybit", "BTCUSDT")
    price = table.liquidation_price(60_000.0, 2.0, quantity=50.0, direction=1)
    assert price == pytest.approx(30_000 / 0.995)
    # A short of the same size grows by half, to 4.48 M: the sixth bracket (0.77 %, 8,460).
    short = table.liquidation_price(60_000.0, 2.0, quantity=50.0, direction=-1)
    assert short == pytest.approx((90_000 + 8_460 / 50) / 1.0077)


def test_where_the_rate_jumps_a_short_can_die_at_the_bound() -> None:
    """Nine short at 100, 7x: 1 % lets it live to 113.15, but from 1,000 on 5 % wants it dead by 108.84.

    So it dies where it is worth 1,000, at 111.11; alone and among others.
    """
    table = Brackets(
        floor_notional=np.array([0.0, 1_000.0]),
        maintenance_rate=np.array([0.01, 0.05]),
        max_leverage=np.array([50.0, 10.0]),
        maintenance_amount=np.zeros(2),
        source="flat rates",
    )
    alone = table.liquidation_price(100.0, 7.0, quantity=9.0, direction=-1)
    assert alone == pytest.approx(1_000 / 9)
    found = table.liquidation_price(100.0, [7.0, 7.0], quantity=[9.0, 1.0], direction=-1)
    assert found == pytest.approx([1_000 / 9, 100 * (1 + 1 / 7) / 1.01])


def test_a_position_that_cannot_be_is_named() -> None:
    """Of many, the first wrong one by its index, with its figures and the cap that it breaks."""
    table = brackets_for("bybit", "BTCUSDT")
    with pytest.raises(
        InputError,
        match=r"^position 1, 0: leverage 100 is above the cap of 75 for a position of 3,600,000 "
        r"\(60 at 60000; bybit BTCUSDT, in force by 2024-12-25\)$",
    ):
        table.liquidation_price(60_000.0, [[90.0], [100.0]], quantity=[[1.0], [60.0]], direction=1)
    with pytest.raises(InputError, match=r"^leverage 101 is above the cap of 100 for a position"):
        table.liquidation_price(60_000.0, 101.0, quantity=1.0, direction=1)


@pytest.mark.parametrize(
    ("entry", "leverage", "quantity", "direction", "problem"),
    [
        (0.0, 10.0, 1.0, 1, "entry price 0 and quantity 1 must be positive"),
        (np.nan, 10.0, 1.0, 1, "entry price nan"),
        (100.0, 10.0, -1.0, -1, "entry price 100 and quantity -1 must be positive"),
        (100.0, 10.0, np.inf, -1, "entry price 100 and quantity inf must be positive"),
        (100.0, 0.5, 1.0, 1, "leverage 0.5 must be at least 1"),
        (100.0, np.nan, 1.0, 1, "leverage nan must be at least 1"),
        (100.0, 10.0, 1.0, 0, "direction 0 must be 1"),
    ],
)
def test_numbers_out_of_range_are_refused_alone_and_in_arrays(
    entry: float, leverage: float, quantity: float, direction: int, problem: str
) -> None:
    """Nothing comes out as a price that is none."""
    with pytest.raises(InputError, match=f"^{problem}"):
        GENERIC_BRACKETS.liquidation_price(entry, leverage, quantity=quantity, direction=direction)
    with pytest.raises(InputError, match=f"^position 0: {problem}"):
        GENERIC_BRACKETS.liquidation_price(
            [entry], [leverage], quantity=[quantity], direction=[direction]
        )


def test_a_cap_too_generous_for_the_maintenance_margin_is_no_licence() -> None:
    """A table of the user's that grants 300x at 0.5 %: the margin would be gone at once."""
    table = Brackets(
        floor_notional=np.array([0.0]),
        maintenance_rate=np.array([0.005]),
        max_leverage=np.array([300.0]),
        maintenance_amount=np.array([0.0]),
        source="mine",
    )
    with pytest.raises(InputError, match="leverage 250 leaves less than the maintenance margin"):
        table.liquidation_price(100.0, 250.0, quantity=1.0, direction=1)
    # The fee that OKX keeps back counts too: 1/190 is above 0.5 %, but not above 0.5 % and 0.06 %.
    table.liquidation_price(100.0, 190.0, quantity=1.0, direction=1)
    with pytest.raises(InputError, match="leaves less than the maintenance margin"):
        table.liquidation_price(
            100.0, 190.0, quantity=1.0, direction=1, formula="linear with fee", taker_fee=0.0006
        )


def test_no_positions_have_no_prices() -> None:
    """Empty in, empty out."""
    none = np.array([])
    found = GENERIC_BRACKETS.liquidation_price(none, 10.0, quantity=none, direction=1)
    assert found.shape == (0,)
