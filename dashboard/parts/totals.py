"""The cards on top of the Overview: pure functions of statistics now and before, and of the buckets between."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from collector.model.statistics import share
from dashboard import strings
from dashboard.parts import figures
from dashboard.parts.kpis import Kpi
from dashboard.parts.text import count, duration, percent

POINTS = 48
"""Points of a sparkline."""


NUMBERS = {
    "runs": ("runs", "count"),
    "success": ("run_success_rate", "share"),
    "retry": ("run_retry_rate", "share"),
    "p95": ("execution", "p95"),
    "at_limit": ("time_at_limit", "share"),
}
"""Which number of which statistic a card shows: of `tasks` or `queues`, of all together."""
_UP_IS = {"runs": "neutral", "success": "good"}


def at_limit(levels: pl.DataFrame, window: tuple[int, int, int], now_ns: int) -> list[float | None]:
    """Return by bucket how much of the time queues with a known limit had all slots held.

    *levels*: rows of page_queue_levels; *window* is from, to, width in ns. A bucket without a row had no slot held,
    from when anything is known at all.
    """
    begin, end, width = window
    start = max(begin, levels["since_ns"][0]) if levels.height else begin
    limited = levels.filter(pl.col("limit") > 0)
    queues = limited.select("queue", "environment", "platform_project").unique().height
    until = min(end, now_ns)
    if not queues or until <= start:
        return []
    per = dict(limited.group_by("bucket_ns").agg(pl.col("at_limit_ns").sum()).rows())
    return [
        None if at + width <= start else per.get(at, 0) / (queues * (min(at + width, until) - max(at, start)))
        for at in range(begin, until, width)
    ]


def kpis(
    now: pl.DataFrame, then: pl.DataFrame, buckets: pl.DataFrame, full: list[float | None], broken: Broken, span: str
) -> list[Kpi]:
    """Return the cards of a range of length *span* (in words); every share says what it is a share of.

    *now*, *then*: rows of the statistics `tasks` and `queues` of all together, of the range and of the equal one
    before; *buckets*: rows of page_outcomes; *full*: time at the limit by bucket.
    """
    trend = coarse(buckets)

    def rates(hits: str, n: str) -> list[float | None]:
        return [share(h, k) for h, k in trend.select(hits, n).rows()]

    series = {
        "runs": trend["runs"].to_list(),
        "success": rates("completed", "ended"),
        "retry": rates("retried", "counted"),
        "p95": trend["took_p95_ns"].to_list(),
        "at_limit": full,
    }
    against = strings.AGAINST.format(span=span)
    cards = []
    for name, (measure, statistic) in NUMBERS.items():
        row, before = (figures.pick(rows, measure, statistic) for rows in (now, then))
        value = figures.value(row) if row or name != "runs" else 0
        was = figures.value(before)
        is_share = statistic == "share"
        change, tone = changed(
            value, was or None if name == "runs" else was, points=is_share, up_is=_UP_IS.get(name, "bad")
        )
        label, definition = strings.KPIS[name]
        shown = percent(value) if is_share else count(int(value or 0)) if name == "runs" else duration(value)
        cards.append(
            Kpi(
                name,
                label,
                shown,
                value,
                definition,
                row["provenance"] if row else "unknown",
                change,
                against if change else strings.NO_BEFORE,
                tone,
                series[name],
                figures.mark(row),
            )
        )
    return [*cards, violations(broken)]


def together(tasks: pl.DataFrame, queues: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of all together among those of the statistics `tasks` and `queues`."""
    told = ["measure", "statistic", "outcome", "value", "n", "provenance", "note"]
    return pl.concat([rows.filter("is_total").select(told) for rows in (tasks, queues)])


def estimated(rows: pl.DataFrame) -> bool:
    """Tell whether percentiles among *rows* of a statistic are estimates of a histogram."""
    return bool(rows["note"].str.contains("estimated from a histogram").fill_null(False).any())


@dataclass(frozen=True)
class Broken:
    """Violations of the conventions: in the range, findings new since a day, and per day of ten."""

    records: int | None
    """None before rules have judged anything."""
    new: int
    per_day: list[float | None]


def violations(broken: Broken) -> Kpi:
    """Return the card of violations."""
    label, definition = strings.KPIS["violations"]
    change = f"{count(broken.new)} new" if broken.new else ""
    against = strings.NEW_SINCE if broken.new else strings.NOTHING_NEW
    if broken.records is None:
        change, against = "", strings.NOT_JUDGED
    return Kpi(
        "violations",
        label,
        count(broken.records),
        broken.records,
        definition,
        "unknown" if broken.records is None else "derived",
        change,
        against,
        "bad" if change else "flat",
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
