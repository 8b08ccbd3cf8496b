"""Where things can be opened: pages of the dashboard and their parameters. Every link of reports and pages to an
anomaly's runs, task, queue, error or version is made here, and the pages read the same parameters.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from collector.model.affected import Affected
from collector.model.report import Anomaly, Kind, RunRef, Span
from collector.model.shown import count, visible
from collector.model.units import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from collector.model.words import OPEN

_SPAN = re.compile(r"(\d{8}T\d{6})Z-(\d{8}T\d{6})Z")
_STAMP = "%Y%m%dT%H%M%S"
_LEVELS_NS = 5 * MINUTE_NS
"""What pages count by at the finest."""
_NOTHING_CAME = {Kind.MISSED_RUN, Kind.SILENCE}
_MOST_TASKS, _LONGEST = 4, 48


@dataclass(frozen=True, slots=True)
class Link:
    """A page of the dashboard with parameters of its URL; *label*: what is there, it may hold text from telemetry."""

    label: str
    page: str
    params: tuple[tuple[str, str], ...]

    def url(self, base: str) -> str:
        """Return its address under the dashboard's."""
        return f"{base.rstrip('/')}/{self.page}?{urlencode(self.params, quote_via=quote)}"


def write_span(span: Span) -> str:
    """Return a stretch of time as pages take it, in UTC, widened to whole five minutes: `20261123T200000Z-…`."""
    start, end = span.from_ns // _LEVELS_NS * _LEVELS_NS, -(-span.to_ns // _LEVELS_NS) * _LEVELS_NS
    return "-".join(f"{dt.datetime.fromtimestamp(ns // SECOND_NS, dt.UTC):{_STAMP}}Z" for ns in (start, end))


def read_span(text: str) -> Span | None:
    """Return the stretch that `write_span` wrote; None for anything else."""
    match = _SPAN.fullmatch(text)
    try:
        start, end = (
            int(dt.datetime.strptime(part, _STAMP).replace(tzinfo=dt.UTC).timestamp()) * SECOND_NS
            for part in (match.groups() if match else ())
        )
    except ValueError:
        return None
    return Span(from_ns=start, to_ns=end) if 0 <= start < end else None


def run(of: RunRef) -> Link:
    """Return the page of a run."""
    return Link(of.run_id, "run", (("run_id", of.run_id), ("run_key", of.run_key)))


def rule(code: str) -> Link:
    """Return what breaks a rule."""
    return Link(code, "conventions", (("code", code), ("range", "7d")))


def report(report_id: str, key: str | None = None) -> Link:
    """Return a report, at one of its anomalies where a *key* is given."""
    return Link("report", "reports", (("report", report_id), *((("anomaly", key),) if key else ())))


def of(a: Anomaly) -> tuple[Link, ...]:
    """Return where an anomaly leads: its runs in its hours, tasks, queue, error and version, its rule."""
    return tuple(dict.fromkeys(_of(a)))


def _of(a: Anomaly) -> Iterator[Link]:
    s = a.subject
    whose = [(c, value) for c in ("environment", "platform_project") if (value := getattr(s, c))]
    here = [*whose, ("span", write_span(_hours(a)))]
    task = [("task", s.name)] if s.type == "task" else [("task", s.task_id)] if s.task_id else []
    queue = [("queue", s.name)] if s.type == "queue" else []

    def runs(label: str, *of: tuple[str, str]) -> Link:
        return Link(label, "runs", (*of, *here))

    if a.cause is not None:
        of_cause = {"version": "version", "queue": "queue", "error": "error_group"}.get(a.cause.dimension)
        if of_cause:
            yield runs(f"Runs with {a.cause.dimension} {_short(a.cause.value)}", (of_cause, a.cause.value))
    affected = Affected.of(a)
    if affected is not None:
        n = f" ({count(a.behind.runs)})" if a.behind else ""
        what = "Runs that arrived" if a.kind is Kind.VOLUME else "Runs affected"
        yield runs(f"{what}{n}", *task, *queue, ("affected", affected.write()))
    elif a.kind is Kind.STUCK:
        statuses = [("status", status) for status in (*OPEN, "unknown")]
        yield runs("Runs that have not ended", *task, *statuses)
    elif task or queue:
        yield runs("Runs then", *task, *queue)
    for name in _tasks(a):
        yield Link(f"Task {_short(name)}", "tasks", (("task", name), *here))
    in_queue = s.name if s.type == "queue" else a.behind.queue if a.behind else None
    if in_queue:
        yield Link(f"Queue {_short(in_queue)}", "queues", (("queue", in_queue), *here))
    error = a.detail if a.kind is Kind.NEW_ERROR else a.behind.error_group if a.behind else None
    if error and not (a.cause and a.cause.dimension == "error"):
        yield runs(f"Error {_short(error)}", *task, ("error_group", error))
    if a.nearest is not None and a.nearest.version and not (a.cause and a.cause.dimension == "version"):
        whose_first = [("task", a.nearest.task_id)] if a.nearest.task_id else []
        yield runs(f"Version {_short(a.nearest.version)}", *whose_first, ("version", a.nearest.version))
    if a.kind is Kind.FINDINGS and a.detail:
        yield rule(a.detail)


def _tasks(a: Anomaly) -> tuple[str, ...]:
    """Return the tasks that it is about: its own, those that are told as one, else those of the affected runs."""
    s = a.subject
    own = s.name if s.type == "task" else s.task_id
    if a.cause is not None:
        each = (t.subject.name if t.subject.type == "task" else t.subject.task_id for t in a.together)
        return tuple(dict.fromkeys(t for t in each if t))[:_MOST_TASKS]
    return (own,) if own else a.behind.tasks if a.behind else ()


def _hours(a: Anomaly) -> Span:
    """Return the stretch in which its runs are to be looked at: whole hours, where none came from a day before on."""
    start = a.span.from_ns - (DAY_NS if a.kind in _NOTHING_CAME else 0)
    return Span(
        from_ns=start // HOUR_NS * HOUR_NS, to_ns=max(-(-a.span.to_ns // HOUR_NS), start // HOUR_NS + 1) * HOUR_NS
    )


def _short(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
