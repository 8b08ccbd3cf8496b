"""Tables of the Tasks page: all tasks, errors, steps. Pure functions of statistics' rows; durations in seconds."""

from __future__ import annotations

import polars as pl
from streamlit import column_config as column

from dashboard import strings
from dashboard.parts.text import percent, visible

_NUMBERS = {
    "runs": ("starts", "count"),
    "failed": ("run_failure_rate", "share"),
    "retried": ("run_retry_rate", "share"),
    "p50": ("execution", "p50"),
    "p95": ("execution", "p95"),
    "wait": ("queue_wait", "p95"),
    "wasted": ("wasted_time", "total"),
}
TASK_COLUMNS = {
    "Task": column.TextColumn(width=150, pinned=True),
    "Runs": column.NumberColumn(format="localized", width=75),
    "Failed": column.NumberColumn(format="%.2f %%", width=80),
    "95 % interval": column.TextColumn(width=115, alignment="right"),
    "Retry rate": column.ProgressColumn(format="%.2f %%", min_value=0, max_value=100, width=130, color="orange"),
    "Retry trend": column.AreaChartColumn(width=125, color="orange"),
    "p50": column.NumberColumn(format="%,.2f s", width=85),
    "p95": column.NumberColumn(format="%,.2f s", width=85),
    "Queue wait p95": column.NumberColumn(format="%,.2f s", width=105),
    "Wasted": column.NumberColumn(format="%,.1f s", width=90, help="Time in attempts that did not end their run well."),
}
ERROR_COLUMNS = {
    "Error": column.TextColumn(width=150),
    "HTTP": column.NumberColumn(width=55),
    "Attempts": column.NumberColumn(format="localized", width=75),
    "Runs": column.NumberColumn(format="localized", width=60),
    "Gave up": column.NumberColumn(format="localized", width=70, help="Runs that failed for good."),
    "Message": column.TextColumn(width=240),
    "Last": column.DatetimeColumn(format="MMM DD HH:mm:ss", width=120),
}
STEP_COLUMNS = {
    "Step": column.TextColumn(width=210),
    "Count": column.NumberColumn(format="localized", width=70),
    "p50": column.NumberColumn(format="%,.2f s", width=75),
    "p95": column.NumberColumn(format="%,.2f s", width=75),
    "Failed": column.NumberColumn(format="%.1f %%", width=70),
    "95 % interval": column.TextColumn(width=120, alignment="right"),
}


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


def _interval(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"{100 * low:.1f} to {percent(high)}"


def shown(tasks: pl.DataFrame) -> pl.DataFrame:
    """Return what the table of all tasks shows of *tasks*."""
    seconds = {"p50": "p50", "p95": "p95", "Queue wait p95": "wait", "Wasted": "wasted"}
    return tasks.select(
        pl.col("task_id").map_elements(visible, return_dtype=pl.String).alias("Task"),
        pl.col("runs").cast(pl.Int64).alias("Runs"),
        (pl.col("failed") * 100).alias("Failed"),
        pl.struct("failed_low", "failed_high")
        .map_elements(lambda r: _interval(r["failed_low"], r["failed_high"]), return_dtype=pl.String)
        .alias("95 % interval"),
        (pl.col("retried") * 100).alias("Retry rate"),
        pl.col("trend").alias("Retry trend"),
        *((pl.col(name) / 1e9).alias(title) for title, name in seconds.items()),
    )


def errors(rows: pl.DataFrame) -> pl.DataFrame:
    """Return what the table of errors shows."""

    def text(name: str) -> pl.Expr:
        return pl.col(name).map_elements(visible, return_dtype=pl.String)

    return rows.select(
        text("error_type").fill_null(strings.UNKNOWN).alias("Error"),
        pl.col("http_status").alias("HTTP"),
        pl.col("attempts").alias("Attempts"),
        pl.col("runs").alias("Runs"),
        pl.col("failed_runs").alias("Gave up"),
        text("message").alias("Message"),
        (pl.col("last_ns") // 1_000_000).cast(pl.Datetime("ms")).alias("Last"),
    )


def steps(calls: pl.DataFrame) -> pl.DataFrame:
    """Return one row per phase or call of a task, longest p95 first: rows of the statistic `calls`."""
    durations = calls.filter((pl.col("measure") == "step") & pl.col("outcome").is_null())

    def statistic(name: str, what: str = "value") -> pl.Expr:
        return pl.col(what).filter(pl.col("statistic") == name).first()

    failing = calls.filter((pl.col("measure") == "call_failure_rate") & pl.col("outcome").is_null()).select(
        "called_service", rate="value", low="low", high="high"
    )
    rows = (
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
    return pl.DataFrame(
        [
            {
                "Step": _step(r["operation"], r["phase"], r["called_service"]),
                "Count": int(r["n"]) if r["n"] is not None else None,
                "p50": None if r["p50"] is None else r["p50"] / 1e9,
                "p95": None if r["p95"] is None else r["p95"] / 1e9,
                "Failed": None if r["rate"] is None else 100 * r["rate"],
                "95 % interval": _interval(r["low"], r["high"]),
            }
            for r in rows.iter_rows(named=True)
        ],
        schema={
            "Step": pl.String,
            "Count": pl.Int64,
            "p50": pl.Float64,
            "p95": pl.Float64,
            "Failed": pl.Float64,
            "95 % interval": pl.String,
        },
    )


def _step(operation: str | None, phase: str | None, service: str | None) -> str:
    name = visible(operation or strings.UNKNOWN)
    if phase == "calling":
        return f"{name} → {visible(service or strings.UNKNOWN)}"
    return name if phase in ("started", "completed", "failed") else f"{name} {visible(phase or '')}"
