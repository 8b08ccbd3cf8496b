"""Makes a report of a store: reads what it needs in one snapshot, lets `report.build` think, stores nothing."""

from __future__ import annotations

import polars as pl

from collector.analyse import stuck
from collector.analyse.error_groups import READ, with_groups
from collector.analyse.frames import population
from collector.control import Control, reports
from collector.model.halves import by_halves
from collector.model.project import PROJECT
from collector.model.report import LeftOut, Report, Span
from collector.model.units import DAY_NS
from collector.report.build import Draft, Evidence, build, detect
from collector.report.found import Found
from collector.report.inputs import HISTORY_DAYS, Inputs, judged
from collector.report.kinds.catalogue import KINDS
from collector.store import anomaly_runs, anomaly_series, aside, statistics
from collector.store.anomaly_runs import Asked
from collector.store.anomaly_series import Range
from collector.store.database import Database
from collector.store.errors import is_of_data
from collector.store.handle import Handle
from collector.store.statistics import Choice

_LEARN_NS = 7 * DAY_NS
_MOST_LEARNT = 20_000
"""Runs from which is learnt how long and how silent is usual, as the API does."""


def make(
    database: Database,
    control: Control,
    *,
    schedule: str,
    period: Span,
    zone: str,
    as_of_ns: int,
) -> Report:
    """Return what there is to report of *period*, as it looks at *as_of_ns*, in times of *zone* (IANA name).

    *schedule*: whose reports tell what is new and what goes on. Reads only; may run on any thread.
    """
    previous = _previous(control, schedule, period, as_of_ns)
    expected = {f.key: f.note for f in control.reading(reports.feedback) if f.until_ns is None or f.until_ns > as_of_ns}

    def read(h: Handle) -> Report:
        inputs = _inputs(h, schedule, period, zone, as_of_ns, previous, expected)
        draft = detect(inputs)
        return build(inputs, draft, _evidence(h, draft))

    return database.reading(read)


def _previous(control: Control, schedule: str, period: Span, as_of_ns: int) -> Report | None:
    """Return the newest report of *schedule* that was made before this one for a period that ended before it."""
    for row in control.reading(reports.rows, schedule):
        if row.as_of_ns < as_of_ns and row.to_ns < period.to_ns:
            return control.reading(reports.load, row.id)
    return None


def _inputs(
    h: Handle,
    schedule: str,
    period: Span,
    zone: str,
    as_of_ns: int,
    previous: Report | None,
    expected: dict[str, str],
) -> Inputs:
    from_ns, to_ns = judged(period, as_of_ns)
    r = Range(PROJECT, from_ns - HISTORY_DAYS * DAY_NS, from_ns, max(to_ns, from_ns))
    activity = anomaly_series.activity(h, r)
    first = activity["hour_ns"].min()
    is_known = first is not None and int(first) <= 2 * period.from_ns - period.to_ns  # type: ignore[arg-type]
    stuck_, left_out = _stuck(h, period, as_of_ns)
    counts = pl.concat([anomaly_series.counts(h, r), anomaly_series.violations(h, r)])
    return Inputs(
        project=PROJECT,
        schedule=schedule,
        zone=zone,
        period=period,
        as_of_ns=as_of_ns,
        from_ns=from_ns,
        to_ns=to_ns,
        totals=anomaly_series.totals(h, PROJECT, period.from_ns, period.to_ns, before=is_known),
        activity=activity,
        counts=counts,
        histograms=anomaly_series.histograms(h, r),
        full_queues=anomaly_series.full_queues(h, r),
        senders=anomaly_series.senders(h, r),
        regular=anomaly_series.regular(h, r),
        errors=errors(h, r),
        versions=anomaly_series.versions(h, r),
        limit_steps=anomaly_series.limit_steps(h, r),
        used=anomaly_series.used(h, r),
        stuck=stuck_,
        left_out=tuple(left_out),
        previous=previous,
        expected=expected,
    )


def errors(h: Handle, r: Range) -> pl.DataFrame:
    """Return the errors of a range as `anomaly_series.errors`.

    What an upgrade has not built again is grouped here, or all that the history knows would seem new meanwhile.
    """
    older = with_groups(anomaly_series.ungrouped(h, r, READ))
    return anomaly_series.errors(h, r, older, READ)


def _stuck(h: Handle, period: Span, as_of_ns: int) -> tuple[pl.DataFrame, list[LeftOut]]:
    """Return the live runs that are at work unusually long at *as_of_ns*, those without enough history included.

    Beside them the tasks for which that cannot be told.
    """
    # Of any population, since that is a condition on `runs` and no column of it.
    past = Choice(PROJECT, as_of_ns - _LEARN_NS, as_of_ns, population=None)
    history = statistics.started(h, past, most=_MOST_LEARNT, also="is_live(environment, is_test, is_replay)")
    now = statistics.open_runs(h, past, lost_since_ns=as_of_ns)
    tasks = pl.concat([history.runs["task_id"], now.runs["task_id"]]).unique().sort().to_list()
    parts: list[pl.DataFrame] = []

    def of_tasks(some: list[str | None]) -> None:
        before, open_ = (
            rows.filter(pl.col("task_id").is_in(some, nulls_equal=True)) for rows in (history.runs, now.runs)
        )
        usual = stuck.usual(before, history.attempts, history.phases, as_of_ns=as_of_ns)
        live = open_.filter(population() == "live")
        parts.append(stuck.stages(live, now.attempts, usual, as_of_ns=as_of_ns, lost_since_ns=as_of_ns))

    of_tasks([])
    tried = by_halves(tasks, of_tasks, is_of_data)
    left = [(task, aside.reason(why)) for task, why in tried.failed]
    left += [(task, "too many tasks fail to tell them apart") for some in tried.left for task in some]
    left_out = [LeftOut(part="stuck runs", name=str(task), reason=why) for task, why in left]
    return pl.concat(parts).filter(pl.col("since_ns") < period.to_ns), left_out


def _evidence(h: Handle, draft: Draft) -> dict[int, Evidence]:
    out = {}
    for i, f in enumerate([*draft.shown, *draft.expected]):
        if f.series.subject.type == "sender":
            continue
        try:
            runs = anomaly_runs.runs(h, PROJECT, _asked(f))
        except Exception as e:
            if not is_of_data(e):
                raise
            why = aside.reason(e)
            draft.left_out.append(LeftOut(part="runs behind it", name=f.series.subject.name, reason=why))
            continue
        affected = runs.filter(pl.col("affected").fill_null(False))["run_key"].to_list()
        if KINDS[f.kind].is_all and f.direction == "down":  # those that came are not among what is missing
            runs = runs.with_columns(affected=pl.lit(False))
            affected = []
        out[i] = Evidence(runs, anomaly_runs.broken(h, PROJECT, affected))
    return out


def _asked(f: Found) -> Asked:
    s = f.series.subject
    return Asked(
        f.kind,
        s.name,
        s.task_id,
        s.environment,
        s.platform_project,
        f.series.detail,
        f.from_ns - KINDS[f.kind].back_ns,
        f.to_ns,
        threshold_ns=f.threshold_ns,
        is_faster=f.direction == "down",
        run_keys=f.run_keys,
    )
