"""Memory that was freed, given back to the system: glibc keeps what lies between pieces that are still in use."""

from __future__ import annotations

import ctypes

_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""None where the C library has no such thing."""


def trim() -> None:
    """Give back whole pages that are free."""
    if _malloc_trim is not None:
        _malloc_trim(0)
