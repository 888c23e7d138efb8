"""Whether a strategy or a feature looks ahead: the future is cut off, and everything compared."""

from ._fresh import FreshProcesses
from ._runs import MapSource, Setup
from .audit import AuditResult, AuditSettings, Settling, audit
from .comparison import Change
from .markets import LakeMarket, PanelMarket, known_tables, lake_market
from .record import Stage
from .target import Target, parse_target

__all__ = [
    "AuditResult",
    "AuditSettings",
    "Change",
    "FreshProcesses",
    "LakeMarket",
    "MapSource",
    "PanelMarket",
    "Settling",
    "Setup",
    "Stage",
    "Target",
    "audit",
    "known_tables",
    "lake_market",
    "parse_target",
]
