"""All runs in parts, for a job that starts from nothing."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from collector.store.ddl import BEFORE, BUILT
from collector.store.handle import Handle
from collector.store.recent import Version

_RUNS = 8_000


def keys(h: Handle, since_ns: int) -> pl.DataFrame:
    """Return every run seen after *since_ns*, `project` and `run_key`, in the order they were written."""
    return h.frame(
        "SELECT project, run_key FROM runs WHERE held_until_ns >= $since ORDER BY built_seq", {"since": since_ns}
    )


def parts(h: Handle) -> Iterator[Version]:
    """Return every run once, about 8,000 at a time, with some that were written beside them."""
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
                for name in BUILT
            }
        )
