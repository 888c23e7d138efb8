"""The peak memory of this process."""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_mb() -> float:
    """Return the most memory that this process has held at once, MB.

    Not by `resource`: what it tells of a process that was just started counts its parent's memory, too.
    """
    for line in _STATUS.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) / 1024
    raise RuntimeError(f"{_STATUS} has no VmHWM: the peak memory can be told on Linux only")
