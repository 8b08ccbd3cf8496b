"""All runs in parts, for a job that starts from nothing."""

from __future__ import annotations

from collections.abc import Iterator

from collector.store.database import Handle
from collector.store.ddl import BEFORE, BUILT
from collector.store.recent import Version

_RUNS = 20_000


def parts(h: Handle, since_ns: int = 0) -> Iterator[Version]:
    """Return every run seen after *since_ns* once, about 20,000 at a time, with some that were written beside them."""
    written = h.frame(
        "SELECT built_seq, count(*) AS n FROM runs WHERE held_until_ns >= $since GROUP BY built_seq ORDER BY built_seq",
        {"since": since_ns},
    )
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
