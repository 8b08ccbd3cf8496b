"""All runs in parts, for a job that starts from nothing."""

from __future__ import annotations

from collections.abc import Iterator

from collector.store.changes import RUN_TABLES, Version
from collector.store.database import Handle
from collector.store.ddl import BEFORE

_RUNS = 50_000


def parts(h: Handle) -> Iterator[Version]:
    """Return every run once, about 50,000 at a time; runs that were written together stay together."""
    written = h.frame("SELECT built_seq, count(*) AS n FROM runs GROUP BY built_seq ORDER BY built_seq")
    group = (written["n"].cum_sum() - 1) // _RUNS
    for _, rows in written.group_by(group.alias("part"), maintain_order=True):
        window = {"low": rows["built_seq"].min(), "high": rows["built_seq"].max()}
        yield Version(
            **{
                name: h.frame(
                    f"SELECT {', '.join(BEFORE[name])} FROM {name} WHERE built_seq BETWEEN $low AND $high",  # noqa: S608 -- our own names
                    window,
                )
                for name in RUN_TABLES
            }
        )
