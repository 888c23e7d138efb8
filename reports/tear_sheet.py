"""A run's daily returns as a quantstats tear sheet, for who is used to one: one file without a network."""

from __future__ import annotations

import logging
import re
import tempfile
import warnings
from pathlib import Path
from typing import Final

import pandas as pd

from ..datasets.errors import InputError
from ._page import write_whole
from .performance import DAYS_A_YEAR
from .run_record import RunRecord

_FEWEST_DAYS: Final = 30
_REMOTE: Final = re.compile(
    r"<(link|script|img)\b[^>]*\bhttps?://[^>]*>(\s*</script>)?", re.IGNORECASE
)


def write_tear_sheet(record: RunRecord, path: Path) -> None:
    """Write the tear sheet of a run, against buy-and-hold; its folder must exist.

    Parameters
    ----------
    record : RunRecord
    path : Path

    Raises
    ------
    InputError
        If quantstats is not installed, or the run has too few days.
    LakeError
        If the file cannot be written.

    Notes
    -----
    A year has 365 days, as everywhere here; quantstats' own default is 252.
    """
    daily = record.daily.to_pandas()
    if len(daily) < _FEWEST_DAYS:
        raise InputError(
            f"run {record.about['id']} has returns of {len(daily)} days: a tear sheet needs "
            f"{_FEWEST_DAYS}, and a run made by this version"
        )
    try:
        import quantstats  # heavy, and an extra
    except ImportError:
        raise InputError(
            "a tear sheet needs quantstats: pip install 'liqtiers[tear-sheet]'"
        ) from None
    index = pd.DatetimeIndex(daily["day"]).tz_localize(None)
    account, hold = (pd.Series(daily[n].to_numpy(), index=index) for n in ("account", "hold"))
    instrument = record.about["instrument"]
    # It asks for a font that many machines lack, once a label.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a library that we do not mend
        file = Path(folder) / "sheet.html"
        quantstats.reports.html(  # type: ignore[no-untyped-call]  # it has no annotations
            account.rename("run"),
            benchmark=hold.rename("buy-and-hold"),
            output=str(file),
            title=f"{instrument['venue']} {instrument['symbol']}, run {record.about['id']}",
            periods_per_year=DAYS_A_YEAR,
            match_dates=False,
        )
        sheet = file.read_text(encoding="utf-8")
    write_whole(path, _REMOTE.sub("", sheet).encode("utf-8"))
