"""What is wrong with stored data, and what a backtest does about it."""

from .check import CheckedSeries, check_lake, check_series
from .coverage import Coverage
from .finding import Finding, Severity

__all__ = ["CheckedSeries", "Coverage", "Finding", "Severity", "check_lake", "check_series"]
