"""How a run is identified across records: one key from what makes a run id unique."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b


@lru_cache(maxsize=65_536)
def run_key(project: str, dialect: str, environment: str | None, scope: str, run_id: str) -> str:
    """Return the 32 hex digits that identify a run.

    *scope* is whatever else a run id is unique in (a queue, for BullMQ); empty otherwise.
    """
    parts = (project, dialect, environment or "", scope, run_id)
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
