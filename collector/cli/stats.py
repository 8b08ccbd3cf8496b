"""`runwell stats`: the numbers of a running store, each with what it rests on."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from collector.cli import exits
from collector.cli.access import ANYBODY, AccessOptions
from collector.cli.names import look_up
from collector.cli.options import DEFAULT, CommonOptions
from collector.model.address import http_url
from collector.model.errors import UsageError

Name = Literal[
    "tasks",
    "retries",
    "funnel",
    "trees",
    "durations",
    "throughput",
    "failures",
    "calls",
    "queues",
    "slots",
    "little",
    "holders",
    "eta",
    "stuck",
    "retrying",
]
Form = Literal["table", "json", "csv"]


def stats(
    name: Name,
    /,
    *,
    since: Annotated[str, Parameter(help="How far back, such as 24h or 7d, or a time.")] = "24h",
    until: Annotated[str | None, Parameter(help="End of the range [default: now].")] = None,
    task: Annotated[str | None, Parameter(help="Only this task.")] = None,
    queue: Annotated[str | None, Parameter(help="Only this queue.")] = None,
    environment: Annotated[str | None, Parameter(help="Only this environment; empty: of none.")] = None,
    platform_project: Annotated[
        str | None, Parameter(help="Only this project of the platform; empty: of none.")
    ] = None,
    version: Annotated[str | None, Parameter(help="Only this version of the task; queues have none.")] = None,
    population: Annotated[
        Literal["live", "replay", "development", "all"] | None,
        Parameter(help="Which runs count [default: live; development where those were chosen or there are no others]."),
    ] = None,
    by: Annotated[str | None, Parameter(help="Columns to group by, with commas; docs/api.md lists them.")] = None,
    format: Annotated[Form, Parameter(help="Form of the rows.")] = "table",
    explain: Annotated[bool, Parameter(help="Say what each number means.", negative=())] = False,
    every: Annotated[
        bool, Parameter(help="In a table every number, a row each; so it is for one task or queue.", negative=())
    ] = False,
    url: Annotated[str | None, Parameter(help="URL of the read API [default: the one on --data].")] = None,
    common: CommonOptions = DEFAULT,
    to: AccessOptions = ANYBODY,
) -> int:
    """Show numbers of runs, tasks and queues.

    A table of several tasks or queues has a row each with the numbers that matter; one of one task or queue, and
    --every, has a row a number: value, 95 % interval, n, how it is known, coverage. JSON and CSV have all, as the API.

    tasks: all of a task. retries: rates and what retries cost. funnel: what came of attempt 1, 2, …. trees: what
    retries of parents and children multiply to. durations: percentiles. throughput, failures, calls. queues: slots
    held, saturation, backlog; slots: whose they are; little: which limit fits; holders: who holds them now. eta: when
    live runs are likely to start and end. stuck, retrying: runs that are so now.
    """
    from collector.cli import stats_table
    from collector.cli.sql import write
    from collector.cli.stats_columns import LISTS
    from collector.client import ApiError, Client, address
    from collector.model.shown import populations

    for option, text in (("--since", since), ("--until", until)):
        if text is not None and not text.strip():
            raise UsageError(f"{option}: is empty; give a span such as 24h, or a time such as 2026-11-23T08:00:00Z.")
    settings = common.settings()
    where = url or address(settings.data) or http_url(settings.host, settings.api_port)
    client = Client(where, access=to.access())
    asked = {"task": task, "queue": queue, "environment": environment, "platform_project": platform_project}
    asked["version"] = version
    try:
        answer = client.statistic(name, from_=since, to=until, **asked, population=population, by=by)
    except ApiError as e:
        said = _as_option(e.message)
        if said is None:
            raise
        raise UsageError(said) from None
    rows = answer.rows
    look_up(client, asked)
    hint = _NOTHING if rows.is_empty() else ""
    apart = ""
    if population is None and name not in _ANY:
        counts = client.query("populations", from_ns=answer.from_ns, to_ns=answer.to_ns, **asked)
        if others := populations(counts.rows(), environment):
            apart = f"{others} Choose with --population.\n"
    if format != "table":
        sys.stdout.buffer.write(write(rows.to_arrow(), format))
        sys.stdout.flush()
        sys.stderr.write(apart + hint + (stats_table.explain(name, rows, width=None) if explain else ""))
        return exits.DONE
    width = shutil.get_terminal_size((120, 40)).columns if sys.stdout.isatty() else None
    if name in LISTS and "run_id" not in rows.columns and "run_key" in rows.columns and rows.height:
        ids = client.query("run_ids", keys=",".join(rows["run_key"].head(stats_table.MOST).to_list()))
        rows = rows.join(ids, on="run_key", how="left", maintain_order="left")
    shown = hint or stats_table.text(name, rows, width=width, every=every)
    meaning = stats_table.explain(name, rows, width=width) if explain else ""
    head = stats_table.window(name, answer.from_ns, answer.to_ns, answer.widened)
    sys.stdout.buffer.write(f"{head}\n{apart}\n{shown}{meaning and chr(10)}{meaning}".encode())
    sys.stdout.flush()
    return exits.DONE


_ANY = ("queues", "slots", "little", "holders", "eta", "stuck", "retrying")
"""Statistics of runs of any population: whoever it is holds a slot, or hangs."""


_OPTIONS = {"from": "--since", "to": "--until"}


def _as_option(message: str) -> str | None:
    """Return what the API says of a parameter, said of the option; None if it says it of none."""
    field, colon, rest = message.partition(": ")
    parameters = {"task", "queue", "environment", "platform_project", "version", "population", "by", *_OPTIONS}
    if not colon or field not in parameters:
        return None
    return f"{_OPTIONS.get(field, '--' + field.replace('_', '-'))}: {rest.replace('before `to`', 'before --until')}"


_NOTHING = "Nothing in this range; a longer one (--since 7d) may have something.\n"
