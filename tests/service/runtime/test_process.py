"""Freed memory goes back to the system where the C library can do that, and nothing breaks where
it cannot.
"""

import ctypes
import sys
from pathlib import Path

import pytest

from service.runtime import process

MANY = 200_000
SIZE = 1000


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.skipif(
    sys.platform != "linux" or process._trim() is None, reason="needs glibc's malloc_trim"
)
def test_freed_memory_below_what_is_still_used_goes_back_to_the_system() -> None:
    malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
    malloc.restype, free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
    blocks = [malloc(SIZE) for _ in range(MANY)]
    for block in blocks:
        ctypes.memset(block, 1, SIZE)
    for block in blocks[:-1]:
        free(block)
    before = resident()
    process.trim_heap()
    assert before - resident() > MANY * SIZE / 2
    free(blocks[-1])


def test_without_it_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert process._trim() is None
    monkeypatch.setattr(process, "_TRIM", None)
    process.trim_heap()
