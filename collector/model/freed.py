"""Memory that was freed, given back to the system: allocators keep what lies between pieces that are still in use."""

from __future__ import annotations

import ctypes

_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""glibc's alone; None where the C library has no such thing."""


def give_back() -> None:
    """Give back whole pages that are free."""
    if _malloc_trim is not None:
        _malloc_trim(0)
