"""`runwell stats`: the numbers of a running store, each with what it rests on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from collector.cli.options import DEFAULT, Place
from collector.model.address import http_url

if TYPE_CHECKING:
    import polars as pl

Name = Literal[
    "tasks", "retries", "funnel", "durations", "throughput", "failures", "calls", "queues", "slots", "little",
    "holders", "stuck", "retrying",
]  # fmt: skip
Form = Literal["table", "json", "csv"]
_UNKNOWN = "?"


def stats(
    name: Name,
    /,
    *,
    since: Annotated[str, Parameter(help="How far back, such as 24h or 7d, or a time.")] = "24h",
    until: Annotated[str | None, Parameter(help="End of the range [default: now].")] = None,
    task: Annotated[str | None, Parameter(help="Only this task.")] = None,
    queue: Annotated[str | None, Parameter(help="Only this queue.")] = None,
    environment: Annotated[str | None, Parameter(help="Only this environment.")] = None,
    version: Annotated[str | None, Parameter(help="Only this version of the task; queues have none.")] = None,
    population: Annotated[
        Literal["live", "replay", "development", "all"], Parameter(help="Which runs count; test runs never do.")
    ] = "live",
    by: Annotated[str | None, Parameter(help="Columns to group by, with commas; docs/api.md lists them.")] = None,
    format: Annotated[Form, Parameter(help="Form of the rows.")] = "table",
    explain: Annotated[bool, Parameter(help="Say what each number means.", negative=())] = False,
    url: Annotated[str | None, Parameter(help="URL of the read API [default: the one on --data].")] = None,
    place: Place = DEFAULT,
) -> int:
    """Show numbers of runs, tasks and queues: value, 95 % interval, n, provenance and coverage in every row.

    tasks: all of a task. retries: rates and what retries cost. funnel: what came of attempt 1, 2, …. durations:
    percentiles. throughput, failures, calls. queues: slots held, saturation, backlog; slots: whose they are; little:
    which limit fits; holders: who holds them now. stuck, retrying: runs that are so now.
    """
    from collector.api.client import Client, address
    from collector.cli.sql import write

    settings = place.settings()
    where = url or address(settings.data) or http_url(settings.host, settings.api_port)
    rows = Client(where).stats(
        name, from_=since, to=until, task=task, queue=queue, environment=environment, version=version,
        population=population, by=by,
    )  # fmt: skip
    shown = _readable(rows) if format == "table" else rows
    sys.stdout.buffer.write(write(shown.to_arrow(), format))
    sys.stdout.flush()
    if explain:
        (sys.stdout if format == "table" else sys.stderr).write(_explain(rows))
    return 0


def _readable(rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows* with values and intervals as people write them; times and durations too."""
    import polars as pl

    times = [c for c in rows.columns if c in ("hour_ns", "bucket_ns", "since_ns", "from_ns", "failed_ns")]
    lengths = [c for c in rows.columns if c in ("held_ns", "active_ns", "silent_ns", "long_ns", "quiet_ns")]
    rows = rows.with_columns(
        *(pl.from_epoch(pl.col(c) // 1_000_000_000, time_unit="s").alias(c) for c in times),
        *(pl.col(c).map_elements(lambda ns: _written(ns, "ns"), return_dtype=pl.String) for c in lengths),
    )
    if "measure" not in rows.columns:
        return rows
    told = [
        (
            _written(value, unit),
            "" if low is None and high is None else f"{_written(low, unit)} to {_written(high, unit)}",
        )
        for value, low, high, unit in rows.select("value", "low", "high", "unit").iter_rows()
    ]
    return rows.with_columns(
        value=pl.Series([value for value, _ in told], dtype=pl.String),
        interval=pl.Series([interval for _, interval in told], dtype=pl.String),
        coverage=pl.col("coverage").map_elements(lambda c: _written(c, "share"), return_dtype=pl.String),
    ).select(
        *(c for c in rows.columns if c not in ("value", "unit", "low", "high", "n", "provenance", "coverage", "note")),
        "value", "interval", "n", "provenance", "coverage", "note",
    )  # fmt: skip


def _written(value: float | None, unit: str) -> str:
    """Return a number with its unit; unknown is a question mark."""
    if value is None:
        return _UNKNOWN
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit == "nanocents":
        return f"{value / 1e9:.4g} cents"
    if unit != "ns":
        return f"{int(value):,}" if value == int(value) else f"{value:,.4g}"
    for size, name in ((86_400e9, "d"), (3_600e9, "h"), (60e9, "min"), (1e9, "s"), (1e6, "ms")):
        if abs(value) >= size:
            return f"{value / size:.3g} {name}"
    return f"{value / 1e3:.3g} µs"


def _explain(rows: pl.DataFrame) -> str:
    """Return what each measure in *rows* means, a line each."""
    from collector.analyse.measures import MEASURES

    names = list(dict.fromkeys(rows["measure"])) if "measure" in rows.columns else []
    lines = [f"{name}: {MEASURES[name].title}. {MEASURES[name].text}" for name in names if name in MEASURES]
    lines.append(
        "n: how many runs, attempts, durations or buckets the value rests on. interval: 95 %. provenance: the weakest "
        "input. coverage: for which share of all that should count the input is known. ?: unknown."
    )
    return "\n".join(lines) + "\n"
