"""What a symbol or a file's name says about the instrument, to keep one out of another's series.

A folder often holds several coins' files; with one ``--symbol`` for all of them, those of another coin
must be refused and not stored under the wrong name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from ..errors import InputError

_QUOTES: Final = "USDT|USDC|FDUSD|BUSD|USD"
_SPLIT: Final = re.compile(rf"(?P<base>[A-Z0-9]{{2,12}}?)(?P<quote>{_QUOTES})?")
_PAIR_IN_NAME: Final = re.compile(
    rf"(?<![A-Za-z0-9])([A-Z0-9]{{2,10}}?(?:{_QUOTES})(?:_PERP)?)(?![A-Za-z0-9])", re.IGNORECASE
)
# Words such as LINK or OP mean something else in a lower case name, so those must be upper case.
_COIN_IN_NAME: Final = re.compile(
    r"(?<![A-Za-z0-9])(BTC|btc|ETH|eth|SOL|BNB|XRP|DOGE|ADA|AVAX|LINK|LTC|TRX|DOT|SUI|BCH|HYPE)"
    r"(?![A-Za-z0-9])"
)


def same_instrument(one: str, other: str) -> bool:
    """Return whether two symbols can be of one instrument: same base, and same quote if both say it.

    Examples
    --------
    >>> same_instrument("BTCUSDT", "BTC-USDT-SWAP"), same_instrument("BTC", "BTCUSDT")
    (True, True)
    >>> same_instrument("BTCUSDT", "BTCUSDC"), same_instrument("BTCUSDT", "ETHUSDT")
    (False, False)
    """
    (base, quote), (other_base, other_quote) = _parts(one), _parts(other)
    return base == other_base and (quote == other_quote or not quote or not other_quote)


def check_file_symbol(path: Path, symbol: str) -> None:
    """Refuse a file whose name carries another symbol than the one asked for.

    Raises
    ------
    InputError
        If it does.
    """
    carried = [*_pairs(path.name), *_COIN_IN_NAME.findall(path.name)]
    if carried and not any(same_instrument(symbol, name) for name in carried):
        raise InputError(
            f"{path}: its name says {carried[0]}, not {symbol}; import it by itself with its own "
            "--symbol, or rename it"
        )


def check_own_symbol(path: Path, symbol: str, own: str) -> None:
    """Refuse a file whose content names another symbol than the one asked for.

    Raises
    ------
    InputError
        If it does.
    """
    if not same_instrument(symbol, own):
        raise InputError(f"{path}: has no {symbol}, only {own[:80]!r}")


def symbol_in_name(path: Path) -> str | None:
    """Return the one symbol in a file's name, or None where there is none or more than one.

    A coin alone (``BTC_binance_5m.csv``) is no symbol: its quote currency is not said.
    """
    found = set(_pairs(path.name))
    return found.pop() if len(found) == 1 else None


def quote_of(symbol: str) -> str:
    """Return the quote currency that a symbol says, or nothing.

    Examples
    --------
    >>> quote_of("BTCUSDT"), quote_of("BTC-USD-SWAP"), quote_of("BTC")
    ('USDT', 'USD', '')
    """
    return _parts(symbol)[1]


def _pairs(name: str) -> list[str]:
    return [match.upper() for match in _PAIR_IN_NAME.findall(name)]


def _parts(symbol: str) -> tuple[str, str]:
    words = [word for word in re.split(r"[^A-Z0-9]+", symbol.upper()) if word]
    if not words:
        return symbol, ""
    match = _SPLIT.fullmatch(words[0])
    if match is None:
        return words[0], ""
    second = words[1] if len(words) > 1 and re.fullmatch(_QUOTES, words[1]) else ""
    return match["base"], match["quote"] or second
