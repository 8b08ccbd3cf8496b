"""How the allocators of child processes give back what was freed, as environment variables."""

from __future__ import annotations

import os

_GIVING_BACK = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(2**20),
    "_RJEM_MALLOC_CONF": "narenas:2,dirty_decay_ms:0,muzzy_decay_ms:0",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""glibc's from 1 MiB on, polars' at once, both with few arenas. Arrow's own reserves a GiB, of which a process that may
have less, the decode process, gets a part by chance: it uses glibc's.
"""
_KEEPING = {"MALLOC_MMAP_THRESHOLD_": str(64 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(128 * 2**20)}
"""The gate copies whole messages while its callers wait, half of the time for new pages; it gives back by itself."""


def environment(role: str) -> dict[str, str]:
    """Return the environment of the process of *role*: this one's, and what it does not say of allocators."""
    return {**_GIVING_BACK, **(_KEEPING if role == "gate" else {}), **os.environ}
