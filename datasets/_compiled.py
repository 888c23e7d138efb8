"""The one place where numba is asked to compile.

numba ships no type stubs; this wrapper keeps the compiled functions' own annotations visible to
the type checker, and the compiler's options the same everywhere. ``fastmath`` stays off: results
must be equal to the last bit between the backtrader run, the replay and a truncated history. Only
`compiled_sum` lets additions be reordered; how depends on the number of terms alone.

numba counts the references to every array that it takes out of a tuple, even for one element, and in a
loop over bars that costs as much as the work. `compiled_in_place` leaves the counting out; the compiler
then refuses a function that makes an array.

numba's disk cache looks at the file in which a function stands and not at the compiled functions that
it calls from other files; here the stamp covers all of the package's sources, so that an edited
helper is never run stale.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound=NamedTuple)

_UNCOUNTED: Final[dict[str, Any]] = {"_nrt": False}  # Any: the stubs do not know the option


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with numba in nopython mode, cached on disk; division follows IEEE 754."""
    return _stamped(numba.njit(cache=True, error_model="numpy", forceinline=True)(function))


def compiled_in_place(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that makes and returns no array: it works on those that it is given."""
    return _stamped(
        numba.njit(cache=True, error_model="numpy", forceinline=True, **_UNCOUNTED)(function)
    )


def compiled_sum(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a sum whose terms may be added in parallel, an order of magnitude quicker."""
    options = {"reassoc", "nsz"}
    return _stamped(
        numba.njit(cache=True, error_model="numpy", fastmath=options, **_UNCOUNTED)(function)
    )


def frozen(arrays: T) -> T:
    """Return views that cannot be written to: compiled code tells them apart from those that can."""
    views = []
    for array in arrays:
        view = array.view()
        view.flags.writeable = False
        views.append(view)
    return type(arrays)(*views)


def _stamped(dispatcher: Callable[P, R]) -> Callable[P, R]:
    cache_file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if cache_file is not None and hasattr(cache_file, "_source_stamp"):
        cache_file._source_stamp = (cache_file._source_stamp, sources_stamp())
    return dispatcher


@cache
def sources_stamp() -> str:
    """Return a hash of the package's sources: what one version of the code made, another may not."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for folder in (here, here.parent / "strategies"):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
