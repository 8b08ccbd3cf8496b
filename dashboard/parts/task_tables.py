"""Tables of tasks, their errors and their steps: rows from statistics, and columns of rows; durations in seconds."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
from streamlit import column_config as column

from dashboard import strings
from dashboard.parts.columns import Column, Columns, interval, moment, seconds, text
from dashboard.parts.text import visible

_NUMBERS = {
    "runs": ("runs", "count"),
    "failed": ("run_failure_rate", "share"),
    "retried": ("run_retry_rate", "share"),
    "p50": ("execution", "p50"),
    "p95": ("execution", "p95"),
    "wait": ("queue_wait", "p95"),
    "wasted": ("wasted_time", "total"),
}
_P95 = column.NumberColumn(format="%,.2f s", width=85)
_COUNT = "localized"


def _step(r: dict[str, str | None]) -> str:
    """Return what a step is called: an operation, with its phase or what it calls."""
    name = visible(r["operation"] or strings.UNKNOWN)
    if r["phase"] == "calling":
        return f"{name} → {visible(r['called_service'] or strings.UNKNOWN)}"
    return name if r["phase"] in ("started", "completed", "failed") else f"{name} {visible(r['phase'] or '')}"


def labelled(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return *rows* with the task in *column* followed by its platform project where several have one of that name.

    What the task is called stays in `called`; empty: it has no name.
    """
    several = pl.col("platform_project").fill_null("").n_unique().over(column) > 1
    named = pl.concat_str(
        pl.col(column).replace("", strings.UNKNOWN),
        pl.col("platform_project").fill_null(strings.UNKNOWN),
        separator=" · ",
    )
    return rows.with_columns(pl.when(several).then(named).otherwise(column).alias(column), called=column)


OVERVIEW: Columns = {
    "Task": Column(
        pl.when(pl.col("task") == "").then(pl.lit(strings.UNKNOWN)).otherwise(text("task")),
        column.TextColumn(width=150, pinned=True),
    ),
    "Runs": Column(pl.col("runs"), column.NumberColumn(format=_COUNT, width=70)),
    "Runs over time": Column(pl.col("trend"), column.AreaChartColumn(width=150)),
    "Failed": Column(100 * pl.col("failure"), column.NumberColumn(format="%.1f %%", width=75)),
    "95 % interval": Column(interval("low", "high"), column.TextColumn(width=115, alignment="right")),
    "Retried": Column(
        100 * pl.col("retry"),
        column.ProgressColumn(format="%.1f %%", min_value=0, max_value=100, width=130),
    ),
    "Median": Column(seconds("p50"), column.NumberColumn(format="%,.2f s", width=85)),
    "p95": Column(seconds("p95"), _P95),
    "p95 before": Column(seconds("p95_before"), column.NumberColumn(format="%,.2f s", width=90)),
    "Unknown": Column(pl.col("unknown"), column.NumberColumn(format=_COUNT, width=75)),
}
"""Of `overview`."""
TASKS: Columns = {
    "Task": Column(text("task_id"), column.TextColumn(width=150, pinned=True)),
    "Runs": Column(pl.col("runs").cast(pl.Int64), column.NumberColumn(format=_COUNT, width=75)),
    "Failed": Column(pl.col("failed") * 100, column.NumberColumn(format="%.2f %%", width=80)),
    "95 % interval": Column(interval("failed_low", "failed_high"), column.TextColumn(width=115, alignment="right")),
    "Retry rate": Column(
        pl.col("retried") * 100,
        column.ProgressColumn(format="%.2f %%", min_value=0, max_value=100, width=130, color="orange"),
    ),
    "Retry trend": Column(pl.col("trend"), column.AreaChartColumn(width=125, color="orange")),
    "p50": Column(seconds("p50"), _P95),
    "p95": Column(seconds("p95"), _P95),
    "Queue wait p95": Column(seconds("wait"), column.NumberColumn(format="%,.2f s", width=105)),
    "Wasted": Column(
        seconds("wasted"),
        column.NumberColumn(format="%,.1f s", width=90, help="Time in attempts that did not end their run well."),
    ),
}
"""Of `all_tasks`."""
ERRORS: Columns = {
    "Error": Column(
        pl.coalesce(text("error_group"), text("error_type")).fill_null(strings.UNKNOWN), column.TextColumn(width=300)
    ),
    "HTTP": Column(pl.col("http_statuses").cast(pl.List(pl.String)).list.join(", "), column.TextColumn(width=55)),
    "Attempts": Column(pl.col("attempts"), column.NumberColumn(format=_COUNT, width=75)),
    "Runs": Column(pl.col("runs"), column.NumberColumn(format=_COUNT, width=60)),
    "Gave up": Column(
        pl.col("failed_runs"), column.NumberColumn(format=_COUNT, width=70, help="Runs that failed for good.")
    ),
    "Latest message": Column(text("message"), column.TextColumn(width=240)),
    "Since": Column(
        moment("first_ns"), column.DatetimeColumn(format="MMM DD HH:mm:ss", width=120, help=strings.ERRORS_SINCE)
    ),
    "Last": Column(moment("last_ns"), column.DatetimeColumn(format="MMM DD HH:mm:ss", width=120)),
}
"""Of rows of page_task_errors."""
STEPS: Columns = {
    "Step": Column(
        pl.struct("operation", "phase", "called_service").map_elements(_step, return_dtype=pl.String),
        column.TextColumn(width=210),
    ),
    "Count": Column(pl.col("n").cast(pl.Int64), column.NumberColumn(format=_COUNT, width=70)),
    "p50": Column(seconds("p50"), column.NumberColumn(format="%,.2f s", width=75)),
    "p95": Column(seconds("p95"), column.NumberColumn(format="%,.2f s", width=75)),
    "Failed": Column(100 * pl.col("rate"), column.NumberColumn(format="%.1f %%", width=70)),
    "95 % interval": Column(interval("low", "high"), column.TextColumn(width=120, alignment="right")),
}
"""Of `steps`."""


_OVERVIEW = {
    "failure": ("run_failure_rate", "share", "value"),
    "ended": ("run_failure_rate", "share", "n"),
    "low": ("run_failure_rate", "share", "low"),
    "high": ("run_failure_rate", "share", "high"),
    "retry": ("run_retry_rate", "share", "value"),
    "p50": ("execution", "p50", "value"),
    "p95": ("execution", "p95", "value"),
    "took": ("execution", "p95", "n"),
}
_BEFORE = ("failure", "p95")


def overview(counts: pl.DataFrame, now: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of page_tasks, *counts*, with the numbers of each task: shares, ns, and how many they are of.

    *now*, *before*: rows of the statistic `tasks`, by `task_id` and `platform_project`, of the range and of the equal
    one before it; those of the latter are called `…_before`.
    """

    def of(rows: pl.DataFrame, names: Iterable[str], suffix: str = "") -> pl.DataFrame:
        matching = rows.filter(pl.col("outcome").is_null())
        return matching.group_by("platform_project", task=pl.col("task_id").fill_null("")).agg(
            pl.col(what)
            .filter((pl.col("measure") == measure) & (pl.col("statistic") == statistic))
            .first()
            .alias(name + suffix)
            for name in names
            for measure, statistic, what in [_OVERVIEW[name]]
        )

    told = counts
    for numbers in (of(now, _OVERVIEW), of(before, _BEFORE, "_before")):
        told = told.join(numbers, on=["task", "platform_project"], how="left", maintain_order="left", nulls_equal=True)
    return told


def all_tasks(numbers: pl.DataFrame, by_hour: pl.DataFrame) -> pl.DataFrame:
    """Return one row a task, most retried first: task_id, `_NUMBERS` (shares, ns), failed_low, failed_high, trend.

    *trend* is the retry rate, in percent, of the hours in which runs of the task are known.
    """
    overall = numbers.filter(pl.col("outcome").is_null())

    def number(of: str, what: str = "value") -> pl.Expr:
        measure, statistic = _NUMBERS[of]
        return pl.col(what).filter((pl.col("measure") == measure) & (pl.col("statistic") == statistic)).first()

    rows = overall.group_by("task_id").agg(
        **{name: number(name) for name in _NUMBERS},
        failed_low=number("failed", "low"),
        failed_high=number("failed", "high"),
    )
    hours = (
        by_hour.filter((pl.col("measure") == "run_retry_rate") & pl.col("value").is_not_null())
        .sort("hour_ns")
        .group_by("task_id")
        .agg(trend=pl.col("value") * 100)
    )
    return rows.join(hours, on="task_id", how="left").sort(
        "retried", "runs", "task_id", descending=[True, True, False], nulls_last=True
    )


def steps(calls: pl.DataFrame) -> pl.DataFrame:
    """Return one row per phase or call of a task, longest p95 first: rows of the statistic `calls`."""
    durations = calls.filter((pl.col("measure") == "step") & pl.col("outcome").is_null())

    def statistic(name: str, what: str = "value") -> pl.Expr:
        return pl.col(what).filter(pl.col("statistic") == name).first()

    failing = calls.filter((pl.col("measure") == "call_failure_rate") & pl.col("outcome").is_null()).select(
        "called_service", rate="value", low="low", high="high"
    )
    return (
        durations.group_by("operation", "phase", "called_service")
        .agg(n=statistic("count"), p50=statistic("p50"), p95=statistic("p95"))
        .join(failing, on="called_service", how="left")
        .sort(
            "p95",
            "p50",
            "operation",
            "phase",
            "called_service",
            descending=[True, True, False, False, False],
            nulls_last=True,
        )
    )
