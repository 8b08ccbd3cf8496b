"""How a run is identified across records, and a resource or scope by what it says."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b

BARE = "[0-9]{1,15}"
"""Pattern of an id that is nothing but a number, which queues and services give anew; longer ones are made to be
unique."""
_SHORT = 256
"""Characters of an id that is remembered with its environment; longer ones would be memory that no limit knows of."""


def run_key(project: str, dialect: str, environment: str | None, scope: str, run_id: str) -> str:
    """Return the 32 hex digits that identify what a record states of its run: the key of that run, as a rule.

    *scope* is whatever else the dialect's run ids are unique in, where its records state it; empty otherwise.
    """
    short = len(run_id) + len(environment or "") <= _SHORT
    return (_remembered if short else _key)(project, dialect, environment, scope, run_id)


def _key(project: str, dialect: str, environment: str | None, scope: str, run_id: str) -> str:
    parts = (project, dialect, environment or "", scope, run_id)
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


_remembered = lru_cache(maxsize=16_384)(_key)


def is_bare(run_id: str) -> bool:
    """Tell whether *run_id* is a bare number."""
    return re.fullmatch(BARE, run_id) is not None


def numbered_key(key: str, service: str | None, queue: str | None) -> str:
    """Return the key of a run with a bare number for an id: that of `run_key`, told apart by *service* and *queue*."""
    return key if service is None and queue is None else content_id(key, service, queue)


def again_key(key: str, from_ns: int) -> str:
    """Return the key of the run that a bare number was given to again from *from_ns* on: *key* is the first one's."""
    return content_id(key, str(from_ns))


def common_key(project: str, dialect: str, run_id: str) -> int:
    """Return 60 bits that the records of one run id share, whatever else they state."""
    return int(run_key(project, dialect, None, "", run_id)[:15], 16)


def content_id(*parts: str | None) -> str:
    """Return 32 hex digits that identify what *parts* say; None differs from an empty text."""
    h = blake2b(digest_size=16)
    for part in parts:
        raw = b"-" if part is None else part.encode("utf-8", "surrogatepass")
        h.update(b"%d:" % (len(raw) if part is not None else -1))
        h.update(raw)
    return h.hexdigest()
