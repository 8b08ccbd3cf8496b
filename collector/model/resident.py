"""What this process has in memory; and memory that was freed, given back: allocators keep what lies between pieces that
are still in use.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""glibc's alone; None where the C library has no such thing."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Return what this process has in memory; 0 where that cannot be told."""
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def give_back() -> None:
    """Give back whole pages that are free."""
    if _malloc_trim is not None:
        _malloc_trim(0)
