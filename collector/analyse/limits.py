"""Concurrency limits of queues as steps: from settings, else inferred from how their load behaves.

Enter: what the settings say, rows of `queue_limits`. Leave: rows of `queue_limits`, always with their source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from collector.analyse.frames import Frame, schema_of, shaped
from collector.analyse.slots import QUEUE

ALWAYS_NS = 0
"""Start of a limit that the settings give without a time."""


def from_settings(project: str, limits: Mapping[str, int | Sequence[tuple[datetime, int]]]) -> pl.DataFrame:
    """Return rows of `queue_limits` for `settings.queues.limits`; they hold in every environment."""
    rows = [
        {"project": project, "queue": queue, "from_ns": from_ns, "limit": limit, "source": "settings"}
        for queue, stated in limits.items()
        for from_ns, limit in _steps_of(stated)
    ]
    return shaped(pl.DataFrame(rows, schema=schema_of("queue_limits")), "queue_limits")


def _steps_of(stated: int | Sequence[tuple[datetime, int]]) -> list[tuple[int, int]]:
    if isinstance(stated, int):
        return [(ALWAYS_NS, stated)]
    return [(round(at.timestamp() * 1e6) * 1000, limit) for at, limit in stated]


def steps(limits: Frame, queues: Frame) -> pl.DataFrame:
    """Return rows of `queue_limits` with one series for each of *queues* (`QUEUE`) that has any, in time order.

    What the settings say replaces what was inferred, a row for the queue's own environment one for every environment.
    Left out: limits inferred with low confidence, which are no more than lower bounds, and those of a single
    concurrency key, because telemetry does not name the key of a run.
    """
    rows = limits.lazy().filter(pl.col("concurrency_key").is_null() & pl.col("confidence").ne_missing("low"))
    of_environment = rows.join(queues.lazy().select(QUEUE).unique(), on=QUEUE, how="semi", nulls_equal=True)
    shared = (
        rows.filter(pl.col("environment").is_null())
        .drop("environment")
        .join(
            queues.lazy().select(QUEUE).unique().filter(pl.col("environment").is_not_null()),
            on=["project", "queue"],
            nulls_equal=True,
        )
        .select(of_environment.collect_schema().names())
    )
    ranked = (
        pl.concat([of_environment.with_columns(precedence=pl.lit(0)), shared.with_columns(precedence=pl.lit(1))])
        .with_columns(precedence=pl.col("precedence") + 2 * (pl.col("source") != "settings").cast(pl.Int32))
        .filter(pl.col("precedence") == pl.col("precedence").min().over(QUEUE))
    )
    return shaped(ranked, "queue_limits", by=[*QUEUE, "from_ns"])


def noted(numbers: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """Say in the notes of inferred `limit` rows of *numbers* how sure *limits* (rows of `queue_limits`) are of them."""
    confidences = limits.filter(pl.col("source") == "inferred").unique(QUEUE).select(*QUEUE, "confidence")
    inferred = (pl.col("measure") == "limit") & (pl.col("provenance") == "inferred")
    sure = pl.concat_str("note", pl.lit(", confidence "), "confidence")
    annotated = numbers.join(confidences, on=QUEUE, how="left", nulls_equal=True, maintain_order="left")
    return annotated.with_columns(note=pl.coalesce(pl.when(inferred).then(sure), "note")).select(numbers.columns)
