"""Concurrency limits of queues as steps: from settings, else inferred from how their load behaves.

Enter: what the settings say, rows of `queue_limits`. Leave: rows of `queue_limits`, always with their source.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import polars as pl

from collector.analyse.frames import Frame, schema_of, shaped
from collector.analyse.slots import QUEUE

_WHOSE = ["environment", "platform_project"]
"""What a limit of the settings may leave open, the weaker first."""
ALWAYS_NS = 0
"""Start of a limit that the settings give without a time."""


Stated = tuple[str, str | None, str | None, int | Sequence[tuple[datetime, int]]]
"""A queue, the environment and platform project that its limit holds in (None: every one), and that limit."""


def from_settings(project: str, limits: Iterable[Stated]) -> pl.DataFrame:
    """Return rows of `queue_limits` for `settings.queues.stated()`."""
    names = ("project", "queue", "environment", "platform_project", "from_ns", "limit", "source")
    rows = [
        dict(zip(names, (project, queue, environment, platform_project, from_ns, limit, "settings"), strict=True))
        for queue, environment, platform_project, stated in limits
        for from_ns, limit in _steps_of(stated)
    ]
    return shaped(pl.DataFrame(rows, schema=schema_of("queue_limits")), "queue_limits")


def _steps_of(stated: int | Sequence[tuple[datetime, int]]) -> list[tuple[int, int]]:
    if isinstance(stated, int):
        return [(ALWAYS_NS, stated)]
    return [(round(at.timestamp() * 1e6) * 1000, limit) for at, limit in stated]


def steps(limits: Frame, queues: Frame) -> pl.DataFrame:
    """Return rows of `queue_limits` with one series for each of *queues* (`QUEUE`) that has any, in time order.

    What the settings say replaces what was inferred, and of that what is of the queue's own platform project goes
    before what is of its own environment, and either before what holds in all. An inferred limit is of one queue.
    Left out: limits inferred with low confidence, which are no more than lower bounds, and those of a single
    concurrency key, because telemetry does not name the key of a run.
    """
    rows = limits.lazy().filter(pl.col("concurrency_key").is_null() & pl.col("confidence").ne_missing("low"))
    named = queues.lazy().select(QUEUE).unique()
    columns = rows.collect_schema().names()
    stated = rows.filter(pl.col("source") == "settings")
    own = [
        named.join(stated, on=["project", "queue"], suffix="_stated", nulls_equal=True)
        .filter(*(pl.col(f"{c}_stated").is_null() | (pl.col(f"{c}_stated") == pl.col(c)) for c in _WHOSE))
        .with_columns(
            precedence=sum(2**i * pl.col(f"{c}_stated").is_null().cast(pl.Int32) for i, c in enumerate(_WHOSE))
        )
        .select(*columns, "precedence"),
        rows.filter(pl.col("source") != "settings")
        .join(named, on=QUEUE, how="semi", nulls_equal=True)
        .with_columns(precedence=pl.lit(2 ** len(_WHOSE), pl.Int32)),
    ]
    ranked = pl.concat(own).filter(pl.col("precedence") == pl.col("precedence").min().over(QUEUE))
    return shaped(ranked, "queue_limits", by=[*QUEUE, "from_ns"])


def noted(numbers: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """Say in the notes of inferred `limit` rows of *numbers* how sure *limits* (rows of `queue_limits`) are of them."""
    confidences = limits.filter(pl.col("source") == "inferred").unique(QUEUE).select(*QUEUE, "confidence")
    inferred = (pl.col("measure") == "limit") & (pl.col("provenance") == "inferred")
    sure = pl.concat_str("note", pl.lit(", confidence "), "confidence")
    annotated = numbers.join(confidences, on=QUEUE, how="left", nulls_equal=True, maintain_order="left")
    return annotated.with_columns(note=pl.coalesce(pl.when(inferred).then(sure), "note")).select(numbers.columns)
