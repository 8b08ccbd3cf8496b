"""What is no rate: scheduled runs that were not kept, runs that are stuck, what is new, and who fell silent."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from collector.analyse.anomalies import novelty, schedules, silence
from collector.analyse.anomalies.days_off import DaysOff, days_off
from collector.analyse.anomalies.schedules import Interval, Slots
from collector.model.report import Backtest, Chart, Checked, Kind, Point, Subject, Value
from collector.model.units import DAY_NS, HOUR_NS
from collector.model.verdict import local
from collector.report.found import Found, Long, Look, New, Off, Silent
from collector.report.inputs import HISTORY_DAYS, Inputs
from collector.report.kinds.schedules import KINDS as SCHEDULED
from collector.report.subjects import MOST_SERIES, WHOSE, Series, busiest

Gaps = Sequence[tuple[int, int]]
_LEAST_HISTORY_NS = 3 * DAY_NS
_SAME_SHIFT_NS = 6 * HOUR_NS
"""How far apart runs are at most that are of one day's work, whose date is that of another zone."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A task that keeps a cadence, with its arrivals in history and period."""

    subject: Subject
    cadence: Interval | Slots
    arrivals: list[int]
    run_keys: list[str]


def learn(inputs: Inputs, gaps: Gaps = ()) -> list[Scheduled]:
    """Return the tasks that the history shows to be scheduled."""
    out = []
    rows_ = inputs.regular.filter(pl.struct("task_id", *WHOSE).rank("dense") <= MOST_SERIES)
    tasks = rows_.sort("at_ns", "run_key").partition_by(["task_id", *WHOSE], as_dict=True)
    for (task, *whose), rows in sorted(tasks.items(), key=lambda t: [*map(str, t[0])]):
        arrivals = [int(a) for a in rows["at_ns"]]
        history = arrivals[: bisect_left(arrivals, inputs.from_ns)]
        cadence = schedules.learn(history, inputs.zone, gaps=gaps, until_ns=inputs.from_ns)
        if cadence is not None:
            subject = Subject(type="task", name=str(task), **dict(zip(WHOSE, whose, strict=True)))
            out.append(Scheduled(subject, cadence, arrivals, rows["run_key"].to_list()))
    return out


def scheduled(inputs: Inputs, tasks: Sequence[Scheduled], gaps: Gaps) -> Look:
    """Return scheduled runs that did not come, came late or came twice, one of each per task.

    Not what is usual: as many as on every other day of the history, or what was due on a day off.
    """
    found: list[Found] = []
    off_days = _days_off(inputs) if tasks else DaysOff(frozenset(), frozenset())
    for task in tasks:
        arrivals, cadence, subject = task.arrivals, task.cadence, task.subject
        history = arrivals[: bisect_left(arrivals, inputs.from_ns)]
        keys = dict(zip(arrivals, task.run_keys, strict=True))
        off = schedules.deviations(cadence, arrivals, from_ns=inputs.from_ns, to_ns=inputs.to_ns, gaps=gaps)
        if (subject.name, *_whose(subject.model_dump()).values()) in off_days.tasks:
            off = _without_days_off(off, off_days.dates, inputs.zone)
        past = schedules.deviations(cadence, history, from_ns=history[0] + DAY_NS, to_ns=inputs.from_ns, gaps=gaps)
        days = (inputs.from_ns - history[0] - DAY_NS) / DAY_NS
        for kind in SCHEDULED:
            of_kind = [d for d in off if d.what == kind.deviation]
            before = Counter((d.slot_ns - inputs.from_ns) // DAY_NS for d in past if d.what == kind.deviation)
            if not of_kind or _is_usual(of_kind, before, days, inputs.from_ns):
                continue
            came = [a for a in arrivals if inputs.from_ns <= a < inputs.to_ns]
            expected = len(came) - sum(d.what == "double" for d in off) + sum(d.what == "missed" for d in off)
            found.append(
                Found(
                    Series(kind.kind, subject),
                    None,
                    of_kind[0].slot_ns,
                    _until(of_kind, cadence, inputs.to_ns),
                    "count",
                    observed=Value(value=float(len(came))),
                    expected=Value(value=float(expected)),
                    excess=float(len(of_kind)),
                    facts=Off(cadence, tuple(of_kind), expected),
                    run_keys=tuple(keys[d.came_ns] for d in of_kind if d.came_ns is not None),
                    chart=_arrivals(came, of_kind, inputs),
                    backtest=Backtest(
                        days=HISTORY_DAYS,
                        assessed_days=max(0.0, round(days, 1)),
                        fired=len(before),
                    ),
                )
            )
    n = len(tasks)
    kinds = [Checked(kind=kind.kind, series=n, assessed=n, too_little=0, tests=n) for kind in SCHEDULED]
    return Look(found, kinds if n else [])


def _is_usual(off: list[schedules.Deviation], before: Counter[int], days: float, from_ns: int) -> bool:
    """Tell whether every other day of the history had as many on it."""
    most = max(Counter((d.slot_ns - from_ns) // DAY_NS for d in off).values())
    return days >= _LEAST_HISTORY_NS / DAY_NS and sum(n >= most for n in before.values()) >= days / 2


def _days_off(inputs: Inputs) -> DaysOff:
    """Return the days off, by what all tasks did."""
    by = ["name", *WHOSE]
    counted = (
        busiest(inputs.counts).filter(pl.col("kind") == "volume").select(pl.col(by).cast(pl.String), "hour_ns", "n")
    )
    hour = pl.col("at_ns") // HOUR_NS * HOUR_NS
    arrived = inputs.regular.group_by(pl.col("task_id").alias("name"), *WHOSE, hour.alias("hour_ns")).agg(n=pl.len())
    hours = pl.concat(
        [counted.collect(), arrived.select(pl.col(by).cast(pl.String), "hour_ns", pl.col("n").cast(pl.Int64))]
    )
    return days_off(hours, by, from_ns=inputs.from_ns, to_ns=inputs.to_ns, zone=inputs.zone)


def _without_days_off(off: list[schedules.Deviation], dates: Collection[date], zone: str) -> list[schedules.Deviation]:
    """Return *off* without what was due on *dates*, and without what was missed right after it or before."""
    is_off = [d.what == "missed" and local(d.slot_ns, zone).date() in dates for d in off]
    for order in (range(1, len(off)), range(len(off) - 2, -1, -1)):
        for i in order:
            j = i - 1 if order.step > 0 else i + 1
            near = abs(off[i].slot_ns - off[j].slot_ns) <= _SAME_SHIFT_NS
            is_off[i] |= is_off[j] and near and off[i].what == "missed"
    return [d for d, rests in zip(off, is_off, strict=True) if not rests]


def _until(off: list[schedules.Deviation], cadence: Interval | Slots, to_ns: int) -> int:
    last = off[-1]
    return min(to_ns, max(last.slot_ns + cadence.grace_ns, (last.came_ns or 0) + 1))


def _arrivals(came: list[int], off: list[schedules.Deviation], inputs: Inputs) -> Chart:
    """Return arrivals per hour beside how many there should have been."""
    hours = range(inputs.from_ns, inputs.to_ns, HOUR_NS)
    observed = dict.fromkeys(hours, 0)
    expected = dict.fromkeys(hours, 0)
    for at in came:
        observed[at // HOUR_NS * HOUR_NS] += 1
        expected[at // HOUR_NS * HOUR_NS] += 1
    for d in off:
        slot = d.slot_ns // HOUR_NS * HOUR_NS
        if d.what == "missed" and slot in expected:
            expected[slot] += 1
        elif d.what == "double" and d.came_ns is not None:
            expected[d.came_ns // HOUR_NS * HOUR_NS] -= 1
        elif d.what == "late" and d.came_ns is not None and slot in expected:
            expected[d.came_ns // HOUR_NS * HOUR_NS] -= 1
            expected[slot] += 1
    points = tuple(Point(at_ns=h, observed=float(observed[h]), expected=float(expected[h])) for h in hours)
    return Chart(unit="count", label="runs that arrived per hour", bucket_ns=HOUR_NS, points=points)


def stuck(inputs: Inputs) -> Look:
    """Return the tasks with runs that are at work far longer than usual and have fallen silent, as of the report."""
    rows = inputs.stuck
    found = []
    judged = rows.filter(pl.col("stage") == "stuck").sort("since_ns", "run_key")
    for (task, *whose), runs in judged.group_by(["task_id", *WHOSE], maintain_order=True):
        if task is None:
            continue
        found.append(
            Found(
                Series(Kind.STUCK, Subject(type="task", name=str(task), **dict(zip(WHOSE, whose, strict=True)))),
                None,
                int(runs["since_ns"].min()),  # type: ignore[arg-type]
                inputs.as_of_ns,
                "ns",
                observed=Value(value=float(runs["active_ns"].max()), n=runs.height),  # type: ignore[arg-type]
                expected=Value(value=float(runs["long_ns"][0])),
                excess=float(runs.height),
                facts=Long(runs.height, int(runs["n"][0])),
                run_keys=tuple(runs["run_key"].to_list()),
            )
        )
    open_ = rows["run_key"].n_unique()
    untold = rows.filter(pl.col("stage").is_null())["run_key"].n_unique()
    if not open_:
        return Look([], [])
    return Look(
        found,
        [Checked(kind=Kind.STUCK, series=open_, assessed=open_ - untold, too_little=untold, tests=open_ - untold)],
    )


def errors(inputs: Inputs) -> Look:
    """Return the groups of errors of tasks that their history does not know."""
    ended = _chances(inputs, Kind.FAILURES)
    found = []
    by = ["name", *WHOSE]
    rows = novelty.unseen(inputs.errors, ended, by).filter(pl.col("p").is_not_null()).sort("now", *by, "error")
    for r in rows.iter_rows(named=True):
        subject = Subject(type="task", name=r["name"], **_whose(r))
        found.append(
            Found(
                Series(Kind.NEW_ERROR, subject, r["error"]),
                "up",
                r["first_ns"],
                r["last_ns"] + 1,
                "count",
                observed=Value(value=float(r["now"]), hits=r["now"], n=max(r["n_now"], r["now"])),
                expected=Value(value=0.0, hits=0, n=r["n_before"]),
                excess=float(r["now"]),
                facts=New(r["n_before"]),
            )
        )
    judged = ended.filter(pl.col("n_before") >= novelty.LEAST_BEFORE)
    assessed = judged.height
    tests = inputs.errors.filter(pl.col("now") > 0).join(judged, on=by, how="semi", nulls_equal=True).height
    if not ended.height:
        return Look([], [])
    checked = Checked(
        kind=Kind.NEW_ERROR, series=ended.height, assessed=assessed, too_little=ended.height - assessed, tests=tests
    )
    return Look(found, [checked])


def violations(inputs: Inputs, fired: set[Series]) -> Look:
    """Return conventions that a task breaks for the first time, where too few runs do for the core's test (*fired*)."""
    by = ["name", *WHOSE, "detail"]
    rows = inputs.counts.filter(pl.col("kind") == Kind.FINDINGS.value)
    is_now = pl.col("hour_ns") >= inputs.from_ns
    sums = rows.group_by(by).agg(
        before=pl.col("x").filter(~is_now).sum(),
        now=pl.col("x").filter(is_now).sum(),
        n_before=pl.col("n").filter(~is_now).sum(),
        n_now=pl.col("n").filter(is_now).sum(),
        first_ns=pl.col("hour_ns").filter(is_now & (pl.col("x") > 0)).min(),
        last_ns=pl.col("hour_ns").filter(is_now & (pl.col("x") > 0)).max(),
    )
    found = []
    new = novelty.unseen(sums.drop("n_before", "n_now"), sums.select(*by, "n_before", "n_now"), by)
    for r in new.filter(pl.col("p").is_not_null()).sort(by).iter_rows(named=True):
        series = Series(Kind.FINDINGS, Subject(type="task", name=r["name"], **_whose(r)), r["detail"])
        if series in fired:
            continue
        found.append(
            Found(
                series,
                "up",
                r["first_ns"],
                r["last_ns"] + HOUR_NS,
                "share",
                observed=Value(value=r["now"] / r["n_now"], hits=r["now"], n=r["n_now"]),
                expected=Value(value=0.0, hits=0, n=r["n_before"]),
                excess=float(r["now"]),
                facts=New(r["n_before"]),
            )
        )
    return Look(found, [])


def _chances(inputs: Inputs, kind: Kind) -> pl.DataFrame:
    is_now = pl.col("hour_ns") >= inputs.from_ns
    return (
        inputs.counts.filter(pl.col("kind") == kind.value)
        .group_by(pl.col("name", *WHOSE).cast(pl.String))
        .agg(n_before=pl.col("n").filter(~is_now).sum(), n_now=pl.col("n").filter(is_now).sum())
        .sort("name", *WHOSE)
    )


def silent(inputs: Inputs, on_schedule: Sequence[Scheduled], gaps: Gaps) -> Look:
    """Return tasks and senders that reported steadily and stopped; tasks *on_schedule* are judged by their slots."""
    by = ["type", "name", *WHOSE]
    kept = [(s.subject.type, s.subject.name, *_whose(s.subject.model_dump()).values()) for s in on_schedule]
    tasks = (
        busiest(inputs.counts)
        .filter(pl.col("kind") == "volume")
        .select(pl.col(by).cast(pl.String), "hour_ns", "n")
        .collect()
        .join(
            pl.DataFrame(kept, schema=dict.fromkeys(by, pl.String), orient="row"), on=by, how="anti", nulls_equal=True
        )
    )
    found = []
    off_days = _days_off(inputs).dates
    who = pl.concat([tasks, inputs.senders.select(*by, "hour_ns", "n")])
    for hours in (tasks, inputs.senders.select(*by, "hour_ns", "n")):
        rows = silence.silent(
            hours,
            by,
            from_ns=inputs.from_ns,
            to_ns=inputs.to_ns,
            zone=inputs.zone,
            gaps=gaps,
            days_off=off_days,
        )
        for r in rows.iter_rows(named=True):
            subject = Subject(type=r["type"], name=r["name"], **_whose(r))
            heard = hours.filter(
                (pl.col("type") == r["type"])
                & (pl.col("name") == r["name"])
                & pl.all_horizontal(pl.col(c).eq_missing(pl.lit(r[c], pl.String)) for c in WHOSE)
            )
            found.append(
                Found(
                    Series(Kind.SILENCE, subject),
                    "down",
                    r["from_ns"],
                    r["to_ns"],
                    "count",
                    observed=Value(value=0.0),
                    expected=Value(value=round(r["expected"], 1)),
                    excess=r["expected"],
                    facts=Silent(r["goes_on"]),
                    chart=_heard(heard, inputs),
                )
            )
    first = who.group_by(by).agg(since=pl.col("hour_ns").min())
    assessed = first.filter(pl.col("since") <= inputs.from_ns - _LEAST_HISTORY_NS).height
    if not first.height:
        return Look([], [])
    return Look(
        found,
        [
            Checked(
                kind=Kind.SILENCE,
                series=first.height,
                assessed=assessed,
                too_little=first.height - assessed,
                tests=assessed,
            )
        ],
    )


def _heard(hours: pl.DataFrame, inputs: Inputs) -> Chart:
    seen = dict(zip(hours["hour_ns"].to_list(), hours["n"].to_list(), strict=True))
    points = tuple(Point(at_ns=h, observed=float(seen.get(h, 0))) for h in range(inputs.from_ns, inputs.to_ns, HOUR_NS))
    return Chart(unit="count", label="runs (or records) per hour", bucket_ns=HOUR_NS, points=points)


def _whose(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a subject is told apart by from its *row*."""
    return {c: row[c] for c in WHOSE}
