"""Memory that was let go of, given back to the system.

A request that failed lies in a cycle of its error and the frames that it passed, body and all, until the interpreter
looks for such cycles, which it does by count and not by size.
"""

from __future__ import annotations

import gc

from collector.model.resident import give_back

LARGE = 2**20
"""Bytes of a message after which it is worth the while."""


def settle() -> None:
    """Have what is there now, at the end of a start, not be looked at again: it stays."""
    gc.collect()
    gc.freeze()


def trim() -> None:
    """Look for cycles, and give back whole pages that are free."""
    gc.collect()
    give_back()
