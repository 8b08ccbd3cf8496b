"""`runwell reports`: reports of a running store: list, make, show, and when the next ones come."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from collector.cli import exits
from collector.cli.access import ANYBODY, AccessOptions
from collector.cli.names import look_up_schedule
from collector.cli.options import DEFAULT, CommonOptions
from collector.model.address import http_url
from collector.model.errors import UsageError

if TYPE_CHECKING:
    from collector.client import Client
    from collector.model.report import Anomaly, Report

app = App(
    name="reports",
    help="Show what changed: list, make and show reports, and tell when the next ones come.",
    help_epilogue=exits.epilogue("reports"),
)
Form = Literal["text", "md", "html", "json"]
Url = Annotated[str | None, Parameter(help="URL of the read API [default: the one on --data].")]
Output = Annotated[Path | None, Parameter(help="File to write to instead of stdout.")]


@app.command(name="list")
def list_(
    *,
    schedule: Annotated[str | None, Parameter(help="Only reports of this schedule.")] = None,
    limit: Annotated[int, Parameter(help="Most rows.")] = 20,
    format: Annotated[Literal["text", "json"], Parameter(help="Form of the rows.")] = "text",
    url: Url = None,
    common: CommonOptions = DEFAULT,
    to: AccessOptions = ANYBODY,
) -> int:
    """List the newest reports, with what is new, goes on and is resolved."""
    client = _client(url, common, to)
    look_up_schedule(client, schedule)
    rows = client.reports(schedule, limit)
    if format == "json":
        return _json(rows)
    from collector.model.report import Span
    from collector.model.verdict import stretch

    cells = [
        [r["id"], r["schedule"], stretch(Span(from_ns=r["from_ns"], to_ns=r["to_ns"]), r["zone"], year=True), r["zone"]]
        + [str(r[name]) for name in ("new", "ongoing", "resolved")]
        for r in rows
    ]
    head = ["id", "schedule", "period", "zone", "new", "ongoing", "resolved"]
    return _say(_table(head, cells) if cells else "No reports yet; `runwell reports run` makes one.")


@app.command
def run(
    *,
    since: Annotated[str | None, Parameter(help="Start of the period: a time, or a length such as 24h.")] = None,
    until: Annotated[str | None, Parameter(help="End of the period [default: now].")] = None,
    schedule: Annotated[
        str | None, Parameter(help="Report of this schedule; its latest period if none is given.")
    ] = None,
    deliver: Annotated[bool, Parameter(help="Send it to the channels of the schedule.", negative=())] = False,
    dry_run: Annotated[bool, Parameter(help="Keep and send nothing; show what would go where.", negative=())] = False,
    format: Annotated[Form, Parameter(help="Form of the report.")] = "text",
    output: Output = None,
    url: Url = None,
    common: CommonOptions = DEFAULT,
    to: AccessOptions = ANYBODY,
) -> int:
    """Make a report now, of the last 24 hours unless something else is asked for, and show it."""
    from collector.model.report import Report

    client = _client(url, common, to)
    look_up_schedule(client, schedule)
    made = client.make_report(
        since=since,
        until=until,
        schedule=schedule,
        deliver=deliver or None,
        dry_run=dry_run or None,
        format=format if format in ("md", "html") else None,
    )
    report = Report.model_validate(made["report"])
    text = made["rendered"] if format in ("md", "html") else _json_text(made) if format == "json" else _text(report)
    _write(text, output)
    lines = [] if not made["saved"] else [f"Kept as {report.id}."]
    lines += [_delivery(d, dry_run=not made["saved"]) for d in made["deliveries"]]
    if dry_run and schedule is not None and not made["deliveries"]:
        lines.append("Would go nowhere: the schedule names no channel.")
    sys.stderr.write("".join(f"{_plain(line)}\n" for line in lines))
    return 0


@app.command
def show(
    report: str,
    /,
    *,
    format: Annotated[Form, Parameter(help="Form of the report.")] = "text",
    output: Output = None,
    url: Url = None,
    common: CommonOptions = DEFAULT,
    to: AccessOptions = ANYBODY,
) -> int:
    """Show a report.

    Parameters
    ----------
    report
        Its id, as `runwell reports list` has it; `latest` for the newest.
    """
    client = _client(url, common, to)
    if report == "latest":
        newest = client.reports(limit=1)
        if not newest:
            raise UsageError("latest: no reports yet; `runwell reports run` makes one.")
        report = newest[0]["id"]
    if format != "text":
        _write(client.report_text(report, format), output)
        return 0
    text = _text(client.report(report))
    if sent := client.deliveries(report):
        text += "\nDelivery:\n" + "".join(f"  {_sent(d)}\n" for d in sent)
    _write(text, output)
    return 0


@app.command(name="next")
def upcoming(
    *,
    n: Annotated[int, Parameter(name=["--count", "-n"], help="How many of each schedule.")] = 3,
    format: Annotated[Literal["text", "json"], Parameter(help="Form of the rows.")] = "text",
    url: Url = None,
    common: CommonOptions = DEFAULT,
    to: AccessOptions = ANYBODY,
) -> int:
    """Tell when each schedule comes round next, in its zone, and which period its report covers."""
    schedules = _client(url, common, to).next_reports(n)
    if format == "json":
        return _json(schedules)
    from collector.model.report import Span
    from collector.model.shown import NONE
    from collector.model.verdict import moment, stretch

    rows = [
        [
            s["schedule"],
            moment(f["fire_ns"], s["zone"], year=True),
            s["zone"],
            stretch(Span(from_ns=f["from_ns"], to_ns=f["to_ns"]), s["zone"]),
            s["cron"],
            ", ".join(s["deliver"]) or NONE,
        ]
        for s in schedules
        for f in s["firings"]
    ]
    head = ["schedule", "fires", "zone", "covers", "cron", "goes to"]
    return _say(
        _table(head, rows) if rows else "No schedules; write [[reports.schedules]] tables, see docs/reports.md."
    )


def _client(url: str | None, common: CommonOptions, to: AccessOptions) -> Client:
    from collector.client import Client, address

    settings = common.settings()
    return Client(
        url or address(settings.data) or http_url(settings.host, settings.api_port), timeout_s=120.0, access=to.access()
    )


def _text(report: Report) -> str:
    """Return the report as plain lines for a terminal."""
    from collector.model import verdict as said

    new, ongoing = said.split(report)
    lines = [
        said.verdict(report),
        f"{report.schedule}, {said.stretch(report.period, report.zone, year=True)}, times in {report.zone}. "
        f"{said.checked(report)}",
    ]
    for title, anomalies in (
        ("New", new),
        ("Going on", ongoing),
        ("Resolved", report.resolved),
        ("Expected by you", report.expected),
    ):
        if anomalies:
            lines += ["", title]
            lines += [line for a in anomalies for line in _anomaly(a, report.zone)]
    if report.more:
        lines += ["", f"{report.more} more anomalies are not shown."]
    return "\n".join(map(_plain, lines)) + "\n"


def _anomaly(a: Anomaly, zone: str) -> list[str]:
    from collector.model import verdict as said

    lines = [f"  {a.title} ({said.stretch(a.span, zone)})", f"    {a.text}"]
    lines += [f"    expected, as you said: {a.expected_by_you}"] if a.expected_by_you is not None else []
    lines += [f"    run {r.run_id}, {r.status}" for r in a.affected_runs]
    return [*lines, f"    key {a.key}"]


def _delivery(d: dict[str, Any], *, dry_run: bool) -> str:
    if d["error"]:
        return f"{d['channel']}: cannot be sent: {d['error']}."
    if not d["wanted"]:
        return f"{d['channel']}: not sent, since it wants reports with something new or any anomaly alone."
    verb = "would go" if dry_run else "goes"
    return f"{d['channel']}: {verb} to {d['where']}{' with a picture' if d['picture'] else ''}: {d['subject']}"


def _sent(d: dict[str, Any]) -> str:
    words = {"sent": "delivered", "waiting": "waiting", "given_up": "given up"}
    tries = f" after {d['attempts']} attempts" if d["attempts"] != 1 else ""
    note = f"; {d['note']}" if d["note"] else ""
    return f"{d['channel']}: {words[d['state']]}{tries}{note}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in [head, *rows])


def _plain(line: str) -> str:
    """Return *line* without what would steer a terminal: it may have names from telemetry in it."""
    from collector.model.shown import visible

    indent = len(line) - len(line.lstrip(" "))
    return " " * indent + visible(line[indent:])


def _json_text(value: object) -> str:
    import json

    from collector.model.shown import json_text

    return json_text(json.dumps(value, indent=2, ensure_ascii=False)) + "\n"


def _json(value: object) -> int:
    sys.stdout.write(_json_text(value))
    return 0


def _say(text: str) -> int:
    sys.stdout.write("".join(f"{_plain(line)}\n" for line in text.split("\n")))
    return 0


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as e:
        raise UsageError(f"--output {output}: cannot be written ({e.strerror}); choose another path.") from None
