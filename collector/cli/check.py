"""`runwell check`: the conventions, checked on recordings without a collector, or as a running one found them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from collector.cli.options import DEFAULT, Place
from collector.model.address import http_url
from collector.model.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from collector.rules.frames import Frames
    from collector.rules.profiles import Chosen
    from collector.settings import Runs, Settings

Format = Literal["text", "json", "markdown"]
FailOn = Literal["error", "warning", "info", "never"]


def check(
    *,
    input: Annotated[
        tuple[str, ...], Parameter(help="Recordings or OTLP/JSON lines; - is stdin.", consume_multiple=True)
    ] = (),
    since: Annotated[
        str | None, Parameter(help="What a running collector found since then, such as 24h or a time [default: 24h].")
    ] = None,
    url: Annotated[str | None, Parameter(help="URL of the read API [default: the one on --data].")] = None,
    format: Annotated[Format, Parameter(help="Form of the report.")] = "text",
    select: Annotated[tuple[str, ...], Parameter(help="Only these rules: codes, slugs or families.")] = (),
    ignore: Annotated[tuple[str, ...], Parameter(help="Not these rules.")] = (),
    profile: Annotated[str | None, Parameter(help="guideline or trigger-v4-current [default].")] = None,
    strict: Annotated[bool | None, Parameter(help="Ask for the three ids on every record.", negative=())] = None,
    fail_on: Annotated[FailOn, Parameter(help="Least severity that makes the exit code 1.")] = "warning",
    place: Place = DEFAULT,
) -> int:
    """Check the conventions on telemetry.

    Exit code 0: nothing at or above --fail-on. 1: findings at or above it. 2: the command line or a file is wrong.
    """  # fmt: skip
    from collector.rules import catalogue, render
    from collector.rules.profiles import choose

    settings = place.settings()
    given = {
        "profile": profile,
        "strict": strict,
        "select": _listed(select) or None,
        "ignore": _listed(ignore) or None,
    }
    rules = settings.rules.model_copy(update={k: v for k, v in given.items() if v is not None})
    chosen = choose(catalogue.RULES, rules)
    if input and (since or url):
        raise UsageError("--input: recordings are checked without a collector; leave out --since and --url.")
    if input:
        frames = read(input, settings)
        found = _judged(frames, chosen)
        looked_at = render.looked_at(frames)
    else:
        if profile or strict:
            option = "--profile" if profile else "--strict"
            raise UsageError(
                f"{option}: the collector judges by its own settings; set rules.{option[2:]} there, or give --input."
            )
        found = _stored(settings, url, since or "24h", {c.rule.code for c in chosen})
        looked_at = f"what the collector received since {since or '24h'}"
    if format == "json":
        report = render.document(found, catalogue.RULES, catalogue.not_observable())
    elif format == "markdown":
        report = render.markdown(found, looked_at)
    else:
        report = render.text(found, looked_at)
    sys.stdout.write(report)
    sys.stdout.flush()
    return 1 if render.reaches(found, fail_on) else 0


def _judged(frames: Frames, chosen: list[Chosen]) -> pl.DataFrame:
    """Return what the rules find; say on stderr which of them failed on what, and judged the rest."""
    import polars as pl

    from collector.jobs.judging import spared
    from collector.rules.engine import evaluate
    from collector.rules.findings import SCHEMA, ranked
    from collector.store.aside import reason

    found = spared(evaluate, frames, chosen)
    for code, piece, why in found.left:
        what = f"run {piece[1]}" if piece else "these records"
        print(f"runwell: {code}: {what} could not be judged ({reason(why)})", file=sys.stderr)  # noqa: T201 -- for people
    return ranked(pl.concat(found.rows)) if found.rows else pl.DataFrame(schema=SCHEMA)


def _stored(settings: Settings, url: str | None, since: str, codes: set[str]) -> pl.DataFrame:
    """Return what the collector on *url* or the data directory found, of the rules *codes*."""
    import json

    import polars as pl

    from collector.client import ApiError, Client, address
    from collector.rules.findings import SCHEMA

    where = url or address(settings.data) or http_url(settings.host, settings.api_port)
    try:
        rows = Client(where).findings(since=since)["findings"]
    except ApiError as e:
        raise UsageError(f"--since {since}: {e.message}.") from None
    kept = [{**row, "project": "default", "samples": json.dumps(row["samples"])} for row in rows]
    return pl.DataFrame([row for row in kept if row["code"] in codes], schema=SCHEMA)


def _listed(given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.strip() for part in given for name in part.split(",") if name.strip())


def read(files: tuple[str, ...], settings: Settings) -> Frames:
    """Return the records of *files* and the run model they make, as of when everything in them is over."""
    import time

    from collector.cli import recordings
    from collector.decode import Batch
    from collector.model.errors import BadInput

    batch = Batch(settings.limits)
    now = time.time_ns()
    for path in files:
        for number, request in enumerate(recordings.read(path), 1):
            try:
                batch.add(request.signal, request.encoding, request.body, project="default", received_ns=now)
            except BadInput as e:
                raise UsageError(f"{path}: request {number}: {e.message}; give a recording of valid OTLP.") from None
    return frames(
        {name: _polars(table) for name, table in batch.tables().items()}, settings.runs, settings.queues.limits
    )


def _polars(table: object) -> pl.DataFrame:
    import polars as pl

    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def frames(tables: dict[str, pl.DataFrame], settings: Runs, limits: Mapping[str, object]) -> Frames:
    """Return what rules look at, from decoded wire *tables*; the clock stands where every run has had its time."""
    import polars as pl
    import pyarrow as pa

    from collector.analyse import evidence, links, runs
    from collector.model.tables import WIRE
    from collector.rules.frames import Frames, stated_limits

    def table(name: str) -> pl.DataFrame:
        found = tables.get(name)
        if found is None:
            found = _polars(pa.Table.from_batches([], WIRE[name]))
        return found.with_columns(seq=pl.lit(1, pl.Int64), row=pl.int_range(pl.len(), dtype=pl.Int64))

    raw_spans = table("spans")
    raw_logs = links.adopt(raw_spans, table("logs"))
    in_runs = pl.col("run_key").is_not_null()
    newest = max((_newest(raw_spans), _newest(raw_logs)))
    stale_ns = int(settings.stale.total_seconds() * 1e9)
    as_of_ns = newest + stale_ns + 1
    built = runs.build(
        raw_spans.filter(in_runs),
        raw_logs.filter(in_runs),
        links.find(raw_spans, raw_logs),
        as_of_ns=as_of_ns,
        grace_ns=int(settings.retry_grace.total_seconds() * 1e9),
        stale_ns=stale_ns,
    )
    spans, logs, _ = runs.records(raw_spans.filter(in_runs), raw_logs.filter(in_runs))
    loose_spans, loose_logs, _ = runs.records(raw_spans.filter(~in_runs), raw_logs.filter(~in_runs))
    # Outside a run there is nothing to count attempts by.
    loose_logs = loose_logs.with_columns(attempt=pl.lit(None, pl.Int32), attempt_source=pl.lit(None, pl.String))
    return Frames(
        logs=pl.concat([logs, loose_logs]),
        spans=pl.concat([spans, loose_spans]),
        scopes=table("scopes"),
        resources=table("resources"),
        runs=built.runs,
        attempts=built.attempts,
        phases=built.phases,
        waits=built.waits,
        as_of_ns=as_of_ns,
        repeats=evidence.repeats(raw_spans, raw_logs),
        limits=stated_limits(limits),
    )


def _newest(frame: pl.DataFrame) -> int:
    import polars as pl

    if frame.is_empty():
        return 0
    ends = [c for c in ("time_unix_nano", "end_time_unix_nano") if c in frame.columns]
    newest = frame.select(pl.max_horizontal(pl.col(c).max() for c in ends)).item()
    return min(int(newest or 0), 2**62)
