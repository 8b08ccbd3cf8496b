"""`runwell check`: the conventions, checked on recordings without a collector, or as a running one found them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from collector.cli.options import DEFAULT, CommonOptions
from collector.model.address import http_url
from collector.model.errors import UsageError
from collector.model.project import PROJECT

if TYPE_CHECKING:
    import polars as pl

    from collector.jobs.recording import Recording
    from collector.rules.profiles import Chosen
    from collector.settings import Settings

_TOGETHER = 16 * 2**20
"""Bytes of requests that are stored at once."""
Format = Literal["text", "json", "markdown"]
FailOn = Literal["error", "warning", "info", "never"]


def check(
    *,
    input: Annotated[
        tuple[str, ...], Parameter(help="Files as replay takes them; - is stdin.", consume_multiple=True)
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
    common: CommonOptions = DEFAULT,
) -> int:
    """Check the conventions on telemetry.

    Exit code 0: nothing at or above --fail-on. 1: findings at or above it, or something of a file was left out, which
    is named. 2: the command line is wrong, or a file cannot be used at all.
    """
    from collector.rules import catalogue, render
    from collector.rules.profiles import choose

    settings = common.settings()
    overrides = {
        "profile": profile,
        "strict": strict,
        "select": _listed(select) or None,
        "ignore": _listed(ignore) or None,
    }
    rules = settings.rules.model_copy(update={k: v for k, v in overrides.items() if v is not None})
    chosen = choose(catalogue.RULES, rules)
    if input and (since or url):
        raise UsageError("--input: recordings are checked without a collector; leave out --since and --url.")
    left_out = 0
    if input:
        rows, looked_at, left_out = judged(input, settings, chosen)
    else:
        if profile or strict:
            option = "--profile" if profile else "--strict"
            raise UsageError(
                f"{option}: the collector judges by its own settings; set rules.{option[2:]} there, or give --input."
            )
        rows = _stored(settings, url, since or "24h", {c.rule.code for c in chosen})
        looked_at = f"what the collector received since {since or '24h'}"
    if format == "json":
        report = render.document(rows, catalogue.RULES, catalogue.not_observable())
    elif format == "markdown":
        report = render.markdown(rows, looked_at)
    else:
        report = render.text(rows, looked_at)
    sys.stdout.write(report)
    sys.stdout.flush()
    return max(left_out, 1 if render.reaches(rows, fail_on) else 0)


def each_input(arguments: list[str]) -> list[str]:
    """Return a command line of check with each of its files behind an `--input=` of its own.

    Else - would be taken for an option there, and where files may begin like one, options would be taken for files.
    """
    spelled: list[str] = []
    among_files = False
    for at, argument in enumerate(arguments):
        if argument == "--":
            return spelled + arguments[at:]
        if argument == "--input" and any(map(_is_file, arguments[at + 1 : at + 2])):
            among_files = True
        elif among_files and _is_file(argument):
            spelled.append(f"--input={argument}")
        else:
            among_files = argument.startswith("--input=")
            spelled.append(argument)
    return spelled


def _is_file(argument: str) -> bool:
    return argument == "-" or not argument.startswith("-")


def findings(files: tuple[str, ...], settings: Settings, chosen: list[Chosen]) -> tuple[pl.DataFrame, str]:
    """Return what the rules find in *files*, and what was looked at; see `judged`."""
    rows, looked_at, _ = judged(files, settings, chosen)
    return rows, looked_at


def judged(files: tuple[str, ...], settings: Settings, chosen: list[Chosen]) -> tuple[pl.DataFrame, str, int]:
    """Return what the rules find in *files*, what was looked at, and the exit code of what could not be read.

    Says on stderr which rules failed on what, and judged the rest.
    """
    from collector.jobs.recording import recording
    from collector.rules import render
    from collector.store.aside import reason

    with recording(settings) as of_files:
        left_out = read(files, settings, of_files)
        done = of_files.judge(PROJECT, chosen)
    for code, piece, why in done.left:
        what = f"run {piece[1]}" if piece else "these records"
        print(f"runwell: {code}: {what} could not be judged ({reason(why)})", file=sys.stderr)  # noqa: T201 -- for people
    return done.findings, render.looked_at(done.logs, done.spans, done.runs, done.newest), left_out


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
    stored = [{**row, "project": PROJECT, "samples": json.dumps(row["samples"])} for row in rows]
    return pl.DataFrame([row for row in stored if row["code"] in codes], schema=SCHEMA)


def _listed(options: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.strip() for part in options for name in part.split(",") if name.strip())


def read(files: tuple[str, ...], settings: Settings, into: Recording) -> int:
    """Store the records of *files*, as if all of them had arrived now; return the exit code of what was left out.

    Raises UsageError where there is nothing to look at.
    """
    import time

    from collector.cli import recordings
    from collector.cli.progress import progress
    from collector.cli.sources import Sources
    from collector.decode import Batch
    from collector.model.errors import BadInput

    for name in files:
        recordings.readable(name)
    batch, held = Batch(settings.limits), 0
    now = time.time_ns()
    with Sources(files) as sources, progress(sources.size) as bar:
        for request in sources.requests(bar):
            try:
                said = batch.add(request.signal, request.encoding, request.body, project=PROJECT, received_ns=now)
            except BadInput as e:
                sources.refused(request.place, e.message)
                continue
            sources.answered(request.place, said.message, rejected=said.rejected)
            bar.sent()
            held += len(request.body)
            if held > _TOGETHER:
                into.add(batch.tables(), now)
                batch, held = Batch(settings.limits), 0
    if sources.useless:
        names = ", ".join("stdin" if name == "-" else name for name in files)
        raise UsageError(f"{names}: no valid requests in it; give a recording of valid OTLP.")
    into.add(batch.tables(), now)
    return sources.exit_code()
