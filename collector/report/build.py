"""A report from what was read: pure, so that the same inputs give the same report to the byte.

`detect` says what differs, folded and ranked; whoever has the store then brings the runs behind it (`Evidence`);
`build` explains each and puts the report together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from typing import Any

import polars as pl

from collector.analyse.anomalies import explain, silence
from collector.model.report import (
    Anomaly,
    Behind,
    Change,
    Chart,
    Checked,
    Difference,
    Gap,
    Kind,
    LeftOut,
    Mark,
    Report,
    RunRef,
    Span,
    Together,
    Value,
)
from collector.model.units import DAY_NS, HOUR_NS
from collector.report import cause, counted, fold, remembered, states, watched, words
from collector.report.apart import EVERYTHING, Apart
from collector.report.cause import Told
from collector.report.found import Found, Look
from collector.report.inputs import Inputs
from collector.report.kinds.catalogue import KINDS
from collector.report.subjects import WHOSE, key_of

MOST = 10
"""Anomalies told in full."""
_RATES = "rates and durations"
_NEAR_BEFORE_NS, _NEAR_AFTER_NS = 6 * HOUR_NS, HOUR_NS


@dataclass(frozen=True, slots=True)
class Draft:
    """What differs, before the runs behind it are known."""

    shown: list[Found]
    expected: list[Found]
    cut: list[Found]
    """What is only counted."""
    checked: list[Checked]
    gaps: list[silence.Stretch]
    left_out: list[LeftOut] = field(default_factory=list)
    told: pl.DataFrame | None = None
    """Rows of `told.TOLD`; None where nothing could be judged."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Runs behind one of a draft's anomalies (`store.anomaly_runs.runs`), and codes that the affected break."""

    runs: pl.DataFrame
    codes: list[str]


def detect(inputs: Inputs) -> Draft:
    """Return what differs in the judged hours, the gravest first."""
    silent = silence.gaps(inputs.activity, from_ns=_first(inputs), to_ns=inputs.to_ns, zone=inputs.zone)
    gaps = [(s.from_ns, s.to_ns) for s in silent]
    if inputs.to_ns <= inputs.from_ns or inputs.activity.is_empty():
        return Draft([], [], [], [], silent)
    apart = Apart(inputs, list(inputs.left_out))
    learnt: list[list[watched.Scheduled]] = []
    tests: list[counted.Counted] = []

    def rates(g: Inputs) -> Look:
        tests[:] = [counted.Counted(g, gaps)]
        return tests[0].look()

    def tasks(g: Inputs) -> list[watched.Scheduled]:
        if g is not inputs:
            return watched.learn(g, gaps)
        if not learnt:
            learnt.append(watched.learn(g, gaps))
        return learnt[0]

    looks = [first := apart.look(_RATES, rates)]
    looks += [
        apart.look("full queues", lambda g: counted.full_queues(g, gaps)),
        apart.look("schedules", lambda g: watched.scheduled(g, tasks(g), gaps)),
        apart.look("stuck runs", watched.stuck),
        apart.look("new errors", watched.errors),
        apart.look("conventions", lambda g: watched.violations(g, {f.series for f in first.found})),
        apart.look("silence", lambda g: watched.silent(g, tasks(g), gaps)),
    ]
    found = [f for look in looks for f in look.found if not states.was_reported(f, inputs)]
    heads = fold.fold(found, inputs.used)
    expected = [f for f in heads if states.keys(f) & set(inputs.expected)]
    rest = sorted((f for f in heads if not states.keys(f) & set(inputs.expected)), key=_grave)
    sure = [f for f in rest if KINDS[f.kind].is_sure][: MOST // 2]
    others = [f for f in rest if f not in sure][: MOST - len(sure)]
    shown = sorted([*sure, *others], key=_grave)

    cut = [f for f in rest if f not in shown]
    differing = [*shown, *expected]
    for test in tests:
        differing = apart.tried("back-tests", "everything", partial(test.backtest, differing)) or differing
    checked = [_with_reason(c, inputs) for c in _summed(looks)]
    is_whole = not any(o.part == _RATES and o.name == EVERYTHING for o in apart.left_out)
    told = tests[0].told if tests and is_whole else None
    return Draft(differing[: len(shown)], differing[len(shown) :], cut, checked, silent, apart.left_out, told)


def _with_reason(c: Checked, inputs: Inputs) -> Checked:
    """Return *c*, with why nothing of it could be judged where nothing was."""
    if c.assessed:
        return c
    days = (inputs.from_ns - _first(inputs)) / DAY_NS
    least = KINDS[c.kind].history_days
    reason = f"less than {least:g} days of history" if days < least else "too little in each window, or before it"
    return c.model_copy(update={"not_assessed": reason})


def _first(inputs: Inputs) -> int:
    return int(inputs.activity["hour_ns"].min() or inputs.from_ns)  # type: ignore[arg-type]


def _grave(f: Found) -> tuple[bool, bool, float, int, str]:
    """Return what to sort by: what got worse first, of that who fell silent, then by excess."""
    return (
        not fold.is_worse(f),
        not KINDS[f.kind].is_first,
        -(f.excess or 0.0),
        f.from_ns,
        key_of(f.series, f.direction),
    )


def _summed(looks: Sequence[Look]) -> list[Checked]:
    """Return one entry a kind, in the order of `Kind`."""
    kinds: dict[Kind, Checked] = {}
    for c in (c for look in looks for c in look.checked):
        old = kinds.get(c.kind)
        kinds[c.kind] = (
            c
            if old is None
            else Checked(
                kind=c.kind,
                series=old.series + c.series,
                assessed=old.assessed + c.assessed,
                too_little=old.too_little + c.too_little,
                tests=old.tests + c.tests,
            )
        )
    return [kinds[k] for k in Kind if k in kinds]


def build(inputs: Inputs, draft: Draft, evidence: Mapping[int, Evidence]) -> Report:
    """Return the report. *evidence*: of the anomalies of *draft*, by their index in shown followed by expected."""
    several = [c for c in WHOSE if inputs.used[c].n_unique() > 1]
    apart = Apart(inputs, draft.left_out)
    told = [
        Told(a, (f,))
        for i, f in enumerate([*draft.shown, *draft.expected])
        if (a := _try_anomaly(inputs, f, evidence.get(i), apart, several=several))
    ]
    shown, expected = _joined(inputs, told, several)
    first = _first(inputs)
    gaps = [s for s in draft.gaps if s.to_ns > inputs.period.from_ns]
    return Report(
        id=report_id(inputs.project, inputs.schedule, inputs.period, inputs.as_of_ns),
        project=inputs.project,
        schedule=inputs.schedule,
        zone=inputs.zone,
        period=inputs.period,
        as_of_ns=inputs.as_of_ns,
        previous_id=inputs.previous.id if inputs.previous else None,
        anomalies=tuple(t.anomaly for t in shown),
        more=len(draft.cut),
        expected=tuple(t.anomaly for t in expected),
        resolved=tuple(states.resolved(inputs, [*draft.shown, *draft.expected, *draft.cut], draft.gaps)),
        checked=tuple(draft.checked),
        gaps=tuple(
            Gap(
                span=Span(from_ns=s.from_ns, to_ns=s.to_ns),
                reason=f"Nobody sent telemetry; about {s.expected:,.0f} records were to be expected.",
            )
            for s in gaps
        ),
        left_out=tuple(apart.left_out),
        told=()
        if draft.told is None
        else remembered.for_the_next(draft.told, inputs, [t.anomaly for t in (*shown, *expected)]),
        told_until_ns=None if draft.told is None else inputs.to_ns,
        totals=inputs.totals,
        history_days=round(max(0, inputs.period.from_ns - first) / DAY_NS, 2),
    )


def _joined(inputs: Inputs, told: Sequence[Told], several: Collection[str]) -> tuple[list[Told], list[Told]]:
    """Return what is shown, the gravest first, and what was called expected, with those of one cause as one.

    A cause that was called expected takes in all that names it; any other only what is not called expected itself.
    """
    first = cause.joined(told, several, only=inputs.expected)
    first = [Told(cause.noted(t.anomaly, inputs.expected), t.founds) for t in first]
    shown = cause.joined([t for t in first if t.anomaly.expected_by_you is None], several)
    return (
        sorted(shown, key=lambda t: _grave(replace(t.founds[0], excess=t.excess))),
        [t for t in first if t.anomaly.expected_by_you is not None],
    )


def _try_anomaly(
    inputs: Inputs, f: Found, evidence: Evidence | None, apart: Apart, *, several: Collection[str]
) -> Anomaly | None:
    """Return the anomaly in words; without what is known of its runs, or not at all, where that fails."""
    for behind in (evidence, None) if evidence else (None,):
        anomaly = apart.tried("words", f.series.subject.name, partial(_anomaly, inputs, f, behind, several=several))
        if anomaly is not None:
            return anomaly
    return None


def _anomaly(inputs: Inputs, f: Found, evidence: Evidence | None, *, several: Collection[str]) -> Anomaly:
    kind = KINDS[f.kind]
    nearest = _nearest(inputs, f)
    differences: tuple[Difference, ...] = ()
    affected: tuple[RunRef, ...] = ()
    healthy: RunRef | None = None
    error = behind = None
    if evidence is not None:
        runs = evidence.runs
        named = pl.DataFrame(schema=explain.DIFFERENCES) if kind.is_all else explain.differences(runs)
        differences = tuple(_difference(r) for r in named.iter_rows(named=True))
        error = explain.commonest_error(runs) if fold.is_worse(f) and kind.has_error else None
        behind = _behind(runs, error)
        some, other = explain.examples(runs)
        affected = tuple(_run(r) for r in some.iter_rows(named=True))
        healthy = next((_run(r) for r in other.iter_rows(named=True)), None)
    key = states.key(f)
    return Anomaly(
        key=key,
        kind=f.kind,
        direction=f.direction,
        subject=f.series.subject,
        span=f.span,
        state=states.state(inputs, f),
        is_level=f.is_level,
        expected_by_you=next((inputs.expected[k] for k in sorted(states.keys(f)) if k in inputs.expected), None),
        title=words.title(f, zone=inputs.zone, several=several),
        text=words.text(
            f,
            zone=inputs.zone,
            to_ns=inputs.to_ns,
            error=error,
            differences=differences,
            nearest=nearest,
            several=several,
        ),
        unit=f.unit,
        observed=_rounded(f.observed),
        expected=_rounded(f.expected),
        baseline=kind.baseline(f),
        excess=None if f.excess is None else round(f.excess, 2),
        q=f.q,
        threshold=kind.threshold(f),
        differences=differences,
        nearest=nearest,
        affected_runs=affected,
        healthy_run=healthy,
        findings=tuple(evidence.codes) if evidence else (),
        together=tuple(
            Together(
                key=states.key(t),
                kind=t.kind,
                subject=t.series.subject,
                title=words.title(t, zone=inputs.zone, several=several),
            )
            for t in f.together
        ),
        detail=f.series.detail,
        threshold_ns=f.threshold_ns,
        behind=behind,
        backtest=f.backtest,
        chart=_marked(f.chart, nearest),
    )


def _behind(runs: pl.DataFrame, error: tuple[str, int, int] | None) -> Behind | None:
    affected = runs.filter(pl.col("affected").fill_null(False))
    if affected.is_empty():
        return None
    tasks = affected["task_id"].drop_nulls().value_counts().sort("count", "task_id", descending=[True, False])
    queues = affected["queue"].drop_nulls().unique()
    return Behind(
        runs=affected.height,
        tasks=tuple(tasks["task_id"].head(3)),
        queue=queues[0] if queues.len() == 1 else None,
        error_group=error[0] if error else None,
    )


def _nearest(inputs: Inputs, f: Found) -> Change | None:
    """Return the version or limit change nearest to the beginning, from 6 hours before to 1 hour after it."""
    tasks = sorted(fold.tasks_of(f, inputs.used))
    own = {c: pl.col(c).eq_missing(pl.lit(getattr(f.series.subject, c), pl.String)) for c in WHOSE}
    versions = inputs.versions.filter(pl.col("task_id").is_in(tasks), *own.values())
    firsts = versions.group_by("task_id", "version").agg(pl.col("first_ns").min())
    later = firsts.filter(pl.col("first_ns") > pl.col("first_ns").min().over("task_id"))
    changes = [
        Change(
            type="version",
            label=f"first run of {r['task_id']} with version {r['version']}",
            at_ns=r["first_ns"],
            task_id=r["task_id"],
            version=r["version"],
        )
        for r in later.iter_rows(named=True)
    ]
    queues = inputs.used.filter(pl.col("task_id").is_in(tasks), own["platform_project"])["queue"].unique().to_list()
    if f.series.subject.type == "queue":
        queues = [f.series.subject.name]
    changes += [
        Change(
            type="limit",
            label=f"limit of queue {r['queue']} from {r['before']} to {r['limit']}",
            at_ns=r["from_ns"],
        )
        for r in inputs.limit_steps.filter(
            pl.col("queue").is_in(queues), *(pl.col(c).is_null() | is_own for c, is_own in own.items())
        ).iter_rows(named=True)
    ]
    near = [c for c in changes if -_NEAR_BEFORE_NS <= c.at_ns - f.from_ns <= _NEAR_AFTER_NS]
    return min(near, key=lambda c: (abs(c.at_ns - f.from_ns), c.at_ns, c.label), default=None)


def _marked(chart: Chart | None, nearest: Change | None) -> Chart | None:
    if chart is None or nearest is None:
        return chart
    return chart.model_copy(update={"marks": (Mark(at_ns=nearest.at_ns, label=_mark(nearest)),)})


def _mark(change: Change) -> str:
    """Return a change in as few words as fit beside a line."""
    return change.label.rpartition(" with " if change.type == "version" else " from ")[2]


def _difference(r: dict[str, Any]) -> Difference:
    def share(hits: str, n: str) -> Value:
        return Value(value=round(r[hits] / r[n], 4), hits=r[hits], n=r[n])

    return Difference(
        dimension=str(r["dimension"]),
        value=str(r["value"]),
        affected=share("affected_hits", "affected"),
        others=share("other_hits", "others"),
        excess_share=round(float(r["excess_share"]), 4),
    )


def _run(r: dict[str, Any]) -> RunRef:
    return RunRef.model_validate({name: r[name] for name in RunRef.model_fields})


def _rounded(v: Value) -> Value:
    """Return *v* with numbers short enough to read; sums of floats differ in the last places otherwise."""
    return v.model_copy(
        update={n: None if (x := getattr(v, n)) is None else round(x, 6) for n in ("value", "low", "high")}
    )


def report_id(project: str, schedule: str, period: Span, as_of_ns: int) -> str:
    """Return the 16 hex digits that name the report of *schedule* for *period* as of a time."""
    text = f"{project}\0{schedule}\0{period.from_ns}\0{period.to_ns}\0{as_of_ns}"
    return blake2b(text.encode(), digest_size=8).hexdigest()
