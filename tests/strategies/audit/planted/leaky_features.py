"""Features that look ahead, each in another way; the line that does is marked."""

from __future__ import annotations

import pandas as pd


def centred_window(frame: pd.DataFrame) -> pd.Series:
    return frame["close"].rolling(11, center=True).mean()


def whole_sample_zscore(frame: pd.DataFrame) -> pd.DataFrame:
    out = pd.DataFrame(index=frame.index)
    out["return"] = frame["close"].pct_change()
    out["zscore"] = (frame["close"] - frame["close"].mean()) / frame["close"].std()  # LEAK zscore
    return out


def backward_fill(frame: pd.DataFrame) -> pd.DataFrame:
    sparse = frame["oi_base"].where(frame["oi_observed"])
    return pd.DataFrame({"known": sparse.ffill(), "filled": sparse.bfill()})  # LEAK bfill


def shifted_resample(frame: pd.DataFrame) -> pd.Series:
    hourly = frame["close"].resample("1h").last()
    return hourly.reindex(frame.index, method="ffill")


def event_time_join(frame: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> pd.Series:
    closes = pd.DataFrame({"at": frame.index + pd.Timedelta("5min")})
    rows = tables["open_interest"][["ts", "oi_base"]]
    joined = pd.merge_asof(closes, rows, left_on="at", right_on="ts")
    return pd.Series(joined["oi_base"].to_numpy(), index=frame.index)


def availability_join(frame: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> pd.Series:
    """As it should be done: no look-ahead."""
    closes = pd.DataFrame({"at": frame.index + pd.Timedelta("5min")})
    rows = tables["open_interest"][["available_at", "oi_base"]]
    joined = pd.merge_asof(closes, rows, left_on="at", right_on="available_at")
    return pd.Series(joined["oi_base"].to_numpy(), index=frame.index)


def causal(frame: pd.DataFrame, span: int = 20) -> pd.DataFrame:
    """Recursive, rolling, resampled and ranked, all from the past alone."""
    hourly = frame["close"].resample("1h", label="right", closed="left").last()
    expanding = frame["close"].expanding()
    return pd.DataFrame(
        {
            "ema": frame["close"].ewm(span=span).mean(),
            "rolling": frame["close"].rolling(15).std(),
            "zscore": (frame["close"] - expanding.mean()) / expanding.std(),
            "hourly": hourly.shift(1).reindex(frame.index, method="ffill"),
        }
    )


def cumulative(frame: pd.DataFrame) -> pd.DataFrame:
    """Never forgets where its history began."""
    signed = frame["volume"] * frame["close"].diff().gt(0).map({True: 1.0, False: -1.0})
    return pd.DataFrame({"obv": signed.cumsum(), "sma": frame["close"].rolling(10).mean()})


def wants_history(frame: pd.DataFrame) -> pd.Series:
    """Refuses to work on little, which is no look-ahead."""
    if len(frame) < 200:
        raise ValueError("too short")
    return frame["close"].rolling(200).mean()


def wants_all(frame: pd.DataFrame) -> pd.Series:
    """Fits only the number of bars it was made for."""
    weights = pd.Series(range(400), index=frame.index)  # LEAK all
    return frame["close"] * weights


def fails(frame: pd.DataFrame) -> pd.Series:
    return frame["nothing"]  # LEAK fails


def hourly_only(frame: pd.DataFrame) -> pd.Series:
    return frame["close"].resample("1D").last().shift(freq="7min")


def unseeded(frame: pd.DataFrame) -> pd.Series:
    import numpy as np

    return pd.Series(np.random.default_rng().normal(size=len(frame)), index=frame.index)


def exits(frame: pd.DataFrame) -> pd.Series:
    raise SystemExit(4)


def never_known(frame: pd.DataFrame) -> pd.Series:
    return frame.close * float("nan")
