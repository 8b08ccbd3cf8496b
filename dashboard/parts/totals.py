"""The cards on top of the Overview: pure functions of totals now, totals before and the buckets between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from collector.model.statistics import ENOUGH, share
from dashboard import strings
from dashboard.parts import provenance
from dashboard.parts.kpis import Kpi
from dashboard.parts.text import count, duration, percent

POINTS = 48
"""Points of a sparkline."""


@dataclass(frozen=True)
class Full:
    """Time at the limit: *share* of the time of the queues whose limit is known, None if none is; per bucket too."""

    share: float | None
    series: list[float | None]


def at_limit(levels: pl.DataFrame, window: tuple[int, int, int], now_ns: int) -> Full:
    """Return how much of the time queues with a known limit had all slots held; *levels*: rows of page_queue_levels.

    *window* is from, to, width in ns. A bucket without a row had no slot held, from when anything is known at all.
    """
    begin, end, width = window
    start = max(begin, levels["since_ns"][0]) if levels.height else begin
    limited = levels.filter(pl.col("limit") > 0)
    queues = limited.select("queue", "environment", "platform_project").unique().height
    until = min(end, now_ns)
    if not queues or until <= start:
        return Full(None, [])
    per = dict(limited.group_by("bucket_ns").agg(pl.col("at_limit_ns").sum()).rows())
    series: list[float | None] = [
        None if at + width <= start else per.get(at, 0) / (queues * (min(at + width, until) - max(at, start)))
        for at in range(begin, until, width)
    ]
    return Full(sum(per.values()) / (queues * (until - start)), series)


def kpis(
    now: dict[str, Any], then: dict[str, Any], buckets: pl.DataFrame, full: tuple[Full, Full], broken: Broken, span: str
) -> list[Kpi]:
    """Return the cards of a range of length *span* (in words); every share says what it is a share of.

    *full*: time at the limit now and before.
    """
    against = strings.AGAINST.format(span=span)

    def card(
        name: str,
        value: float | None,
        value_then: float | None,
        shown: str,
        *,
        source: str,
        points: bool,
        up_is: str,
        series: list[float | None],
    ) -> Kpi:
        change, tone = changed(value, value_then, points=points, up_is=up_is)
        label, definition = strings.KPIS[name]
        return Kpi(
            name,
            label,
            shown,
            value,
            definition,
            source if value is not None else "unknown",
            change,
            against if change else strings.NO_BEFORE,
            tone,
            series,
        )

    trend = coarse(buckets)

    def rates(hits: str, n: str) -> list[float | None]:
        return [share(h, k) for h, k in trend.select(hits, n).rows()]

    def enough(row: dict[str, Any], which: str) -> float | None:
        return row[f"{which}_p95_ns"] if row[f"{which}_n"] >= ENOUGH else None

    def success(row: dict[str, Any]) -> float | None:
        return share(row["completed"], row["completed"] + row["failed"])

    took = enough(now, "took")
    return [
        card(
            "runs",
            now["runs"],
            then["runs"] or None,
            count(now["runs"]),
            source="measured",
            points=False,
            up_is="neutral",
            series=trend["runs"].to_list(),
        ),
        card(
            "success",
            success(now),
            success(then),
            percent(success(now)),
            source="derived",
            points=True,
            up_is="good",
            series=rates("completed", "ended"),
        ),
        card(
            "retry",
            share(now["retried"], now["counted"]),
            share(then["retried"], then["counted"]),
            percent(share(now["retried"], now["counted"])),
            source="derived",
            points=True,
            up_is="bad",
            series=rates("retried", "counted"),
        ),
        card(
            "p95",
            took,
            enough(then, "took"),
            duration(took),
            points=False,
            up_is="bad",
            source=provenance.overall(now["took_measured"], now["took_n"]),
            series=trend["took_p95_ns"].to_list(),
        ),
        card(
            "at_limit",
            full[0].share,
            full[1].share,
            percent(full[0].share),
            source="derived",
            points=True,
            up_is="bad",
            series=full[0].series,
        ),
        violations(broken),
    ]


@dataclass(frozen=True)
class Broken:
    """Violations of the conventions: in the range, findings new since a day, and per day of ten."""

    records: int
    new: int
    per_day: list[float | None]


def violations(broken: Broken) -> Kpi:
    """Return the card of violations."""
    label, definition = strings.KPIS["violations"]
    change = f"{count(broken.new)} new" if broken.new else ""
    against = strings.NEW_SINCE if broken.new else strings.NOTHING_NEW
    return Kpi(
        "violations",
        label,
        count(broken.records),
        broken.records,
        definition,
        "derived",
        change,
        against,
        "bad" if broken.new else "flat",
        broken.per_day,
    )


def changed(now: float | None, then: float | None, *, points: bool, up_is: str) -> tuple[str, str]:
    """Return the change against the period before and its tone; empty when one of them is unknown.

    *points* tells a difference of shares from a ratio.
    """
    if now is None or then is None or (not points and not then):
        return "", "flat"
    difference = now - then if points else now / then - 1
    text = f"{difference * 100:+.1f} {'pp' if points else '%'}"
    if up_is == "neutral" or abs(difference) < (0.0005 if points else 0.01):
        return text, "flat"
    return text, "good" if (difference > 0) == (up_is == "good") else "bad"


def coarse(buckets: pl.DataFrame) -> pl.DataFrame:
    """Return at most about `POINTS` buckets: counts added up, percentiles by their highest."""
    every = max(1, buckets.height // POINTS)
    percentiles = pl.col("^.*_p95_ns$")
    return (
        buckets.with_row_index("i")
        .group_by(pl.col("i") // every, maintain_order=True)
        .agg(pl.exclude("i", "bucket_ns", "took_p95_ns", "wait_p95_ns").sum(), percentiles.max())
        .with_columns(completed=pl.col("first_try") + pl.col("recovered"))
        .with_columns(ended=pl.col("completed") + pl.col("failed"))
    )
