"""How a run is identified across records, and a resource or scope by what it says."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

_SHORT = 256
"""Characters of an id that is remembered with its environment; longer ones would be memory that no limit knows of."""


def run_key(project: str, dialect: str, environment: str | None, scope: str, run_id: str) -> str:
    """Return the 32 hex digits that identify a run.

    *scope* is whatever else a run id is unique in (a queue, for BullMQ); empty otherwise.
    """
    short = len(run_id) + len(environment or "") <= _SHORT
    return (_remembered if short else _key)(project, dialect, environment, scope, run_id)


def _key(project: str, dialect: str, environment: str | None, scope: str, run_id: str) -> str:
    parts = (project, dialect, environment or "", scope, run_id)
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


_remembered = lru_cache(maxsize=16_384)(_key)


def content_id(*parts: str | None) -> str:
    """Return 32 hex digits that identify what *parts* say; None differs from an empty text."""
    h = blake2b(digest_size=16)
    for part in parts:
        raw = b"-" if part is None else part.encode("utf-8", "surrogatepass")
        h.update(b"%d:" % (len(raw) if part is not None else -1))
        h.update(raw)
    return h.hexdigest()
