"""Well-known samples, written from their public description with backtrader's own indicators."""

from __future__ import annotations

import backtrader as bt


class MacdAtrStop(bt.Strategy):
    """The MACD settings sample: enter on a cross against a falling average, leave at an ATR stop."""

    params = (
        ("macd1", 12),
        ("macd2", 26),
        ("macdsig", 9),
        ("atrperiod", 14),
        ("atrdist", 3.0),
        ("smaperiod", 30),
        ("dirperiod", 10),
    )

    def __init__(self) -> None:
        self.macd = bt.indicators.MACD(
            self.data,
            period_me1=self.p.macd1,
            period_me2=self.p.macd2,
            period_signal=self.p.macdsig,
        )
        self.mcross = bt.indicators.CrossOver(self.macd.macd, self.macd.signal)
        self.atr = bt.indicators.ATR(self.data, period=self.p.atrperiod)
        self.sma = bt.indicators.SMA(self.data, period=self.p.smaperiod)
        self.smadir = self.sma - self.sma(-self.p.dirperiod)

    def start(self) -> None:
        self.order = None

    def notify_order(self, order: bt.Order) -> None:
        if order.status == order.Completed:
            pass
        if not order.alive():
            self.order = None

    def next(self) -> None:
        if self.order:
            return
        if not self.position:
            if self.mcross[0] > 0.0 and self.smadir < 0.0:
                self.order = self.buy(size=0.1)
                self.pstop = self.data.close[0] - self.atr[0] * self.p.atrdist
        elif self.data.close[0] < self.pstop:
            self.close()
        else:
            self.pstop = max(self.pstop, self.data.close[0] - self.atr[0] * self.p.atrdist)


class BollingerRsi(bt.Strategy):
    """Mean reversion: buy below the lower band when oversold, sell at a limit in the middle."""

    params = (("period", 20), ("devfactor", 1.5), ("rsiperiod", 14), ("oversold", 40.0))

    def __init__(self) -> None:
        self.band = bt.indicators.BollingerBands(period=self.p.period, devfactor=self.p.devfactor)
        self.rsi = bt.indicators.RSI(period=self.p.rsiperiod, safediv=True)
        self.exit = None

    def next(self) -> None:
        if not self.position:
            self.exit = None
            if self.data.close < self.band.lines.bot and self.rsi < self.p.oversold:
                self.buy(size=0.1)
            return
        if self.exit is not None:
            self.cancel(self.exit)
        self.exit = self.sell(exectype=bt.Order.Limit, size=0.1, price=self.band.lines.mid[0])
