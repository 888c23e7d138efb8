"""The one place where numba is asked to compile.

numba ships no type stubs; this wrapper keeps the compiled functions' own annotations visible to
the type checker, and the compiler's options the same everywhere. ``fastmath`` stays off: results
must be equal to the last bit between the backtrader run, the replay and a truncated history.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with numba in nopython mode, cached on disk; division follows IEEE 754."""
    wrapped: Callable[P, R] = numba.njit(cache=True, error_model="numpy")(function)
    return wrapped
