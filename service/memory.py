"""Memory that was freed goes back to the system: the C library keeps it for the process otherwise."""

import ctypes
from collections.abc import Callable


def give_back() -> None:
    """Return free memory, also from the middle of the heap, as glibc's `malloc_trim` does; elsewhere nothing is done.

    Reading a model leaves several times its size behind. It takes some milliseconds.
    """
    if _TRIM is not None:
        _TRIM(0)


def _trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return found


_TRIM = _trim()
