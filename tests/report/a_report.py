"""A report built from the model, as three planted incidents of a night would give it; and hostile and empty ones."""

from __future__ import annotations

import math

from collector.model.report import (
    Anomaly,
    Backtest,
    Change,
    Chart,
    Checked,
    Difference,
    Gap,
    Kind,
    Mark,
    Point,
    Report,
    RunRef,
    Span,
    Subject,
    Totals,
    Value,
)
from tests.dashboard.hostile import NAMES

HOUR = 3600 * 10**9
TO = 1_795_500_000 * 10**9 // HOUR * HOUR
"""A morning of November 2026."""
PERIOD = Span(from_ns=TO - 24 * HOUR, to_ns=TO)


def chart(unit: str = "share", *, start: int = 60, hours: int = 5, mark: str = "v26.11.3") -> Chart:
    """Return 72 hours with a bump of *hours* from hour *start* on."""
    scale = {"share": 1.0, "ns": 4e11, "count": 1000.0}[unit]
    points = []
    for i in range(72):
        usual = 0.04 + 0.01 * math.sin(i / 24 * 2 * math.pi)
        seen = usual + 0.006 * math.sin(i * 1.7) + (0.55 + 0.04 * math.sin(i) if start <= i < start + hours else 0)
        points.append(
            Point(
                at_ns=TO - (72 - i) * HOUR,
                observed=round(seen * scale, 6),
                n=40,
                expected=round(usual * scale, 6),
                low=round((usual - 0.025) * scale, 6),
                high=round((usual + 0.035) * scale, 6),
            )
        )
    marks = (Mark(at_ns=TO - (72 - start) * HOUR, label=f"version {mark}"),)
    return Chart(
        unit=unit,
        label="failed runs, share of ended ones per hour",
        bucket_ns=HOUR,  # type: ignore[arg-type]
        points=tuple(points),
        marks=marks,
    )


def run(name: str, status: str, task: str = "charge-order") -> RunRef:
    """Return a run to look at."""
    return RunRef(run_key=f"{abs(len(name)):016x}", run_id=name, task_id=task, at_ns=TO - 10 * HOUR, status=status)


def failures(key: str = "a1b2c3d4e5f60718", task: str = "charge-order", **more: object) -> Anomaly:
    """Return a task that failed for five hours of the night."""
    fields: dict[str, object] = {
        "key": key,
        "kind": Kind.FAILURES,
        "direction": "up",
        "subject": Subject(type="task", name=task, environment="prod"),
        "span": Span(from_ns=TO - 12 * HOUR, to_ns=TO - 7 * HOUR),
        "state": "new",
        "title": f"{task} failed 15 times as often as usual for 5 hours",
        "text": f"124 of 210 runs of {task} failed; 8 were to be expected. 96 % of them called stripe.",
        "unit": "share",
        "observed": Value(value=124 / 210, low=0.52, high=0.65, hits=124, n=210),
        "expected": Value(value=0.039, low=0.015, high=0.075),
        "baseline": "28 days before, the same hours of the day: 312 of 7,980 runs failed.",
        "excess": 115.8,
        "q": 3e-15,
        "threshold": "more than 1.5 times the expected share, 1 point and 5 runs beyond it, at a false discovery rate "
        "of 1 %",
        "differences": (
            Difference(
                dimension="called service",
                value="stripe",
                affected=Value(value=0.96, hits=119, n=124),
                others=Value(value=0.21, hits=18, n=86),
                excess_share=0.91,
            ),
            Difference(
                dimension="version",
                value="26.11.3",
                affected=Value(value=0.88, hits=109, n=124),
                others=Value(value=0.33, hits=28, n=86),
                excess_share=0.74,
            ),
        ),
        "nearest": Change(type="version", label=f"First run of version 26.11.3 of {task}", at_ns=TO - 12 * HOUR),
        "affected_runs": tuple(run(f"run_{i}cmhv2kx90{i}", "failed", task) for i in (1, 2, 3)),
        "healthy_run": run("run_7cmhv2kx907", "completed", task),
        "findings": ("RET003", "KEY001"),
        "backtest": Backtest(days=28, fired=1, assessed_days=26),
        "chart": chart(mark="26.11.3"),
    }
    return Anomaly(**{**fields, **more})  # type: ignore[arg-type]


def slower() -> Anomaly:
    """Return a task that goes on being slower."""
    return failures(
        "b1b2c3d4e5f60718",
        "transcode-video",
        kind=Kind.DURATION,
        state="ongoing",
        is_level=True,
        title="transcode-video is slower than usual since Sunday",
        text="41 % of its runs took longer than the usual 90th percentile of 2.1 min; 10 % were to be expected.",
        span=Span(from_ns=TO - 30 * HOUR, to_ns=TO),
        observed=Value(value=0.41, low=0.36, high=0.46, hits=160, n=390),
        expected=Value(value=0.1),
        excess=121.0,
        q=0.0004,
        differences=(),
        findings=(),
        chart=chart("ns", start=42, hours=30),
    )


def missed() -> Anomaly:
    """Return a scheduled run that did not come."""
    return failures(
        "c1b2c3d4e5f60718",
        "nightly-report",
        kind=Kind.MISSED_RUN,
        direction="down",
        title="nightly-report did not run at 03:00",
        text="It ran on each of the 28 days before, at 03:00 to 03:02.",
        unit="count",
        observed=Value(value=0),
        expected=Value(value=1),
        excess=1.0,
        q=None,
        differences=(),
        nearest=None,
        affected_runs=(),
        healthy_run=run("run_yesterday", "completed", "nightly-report"),
        findings=(),
        backtest=Backtest(days=28, fired=0, assessed_days=28),
        chart=None,
        threshold="45 min after it was due",
        baseline="28 of 28 days",
    )


# fmt: off
CHECKED = (
    Checked(kind=Kind.FAILURES, series=42, assessed=31, too_little=11, tests=2232),
    Checked(kind=Kind.RETRIES, series=42, assessed=31, too_little=11, tests=2232),
    Checked(kind=Kind.DURATION, series=42, assessed=29, too_little=13, tests=4176),
    Checked(kind=Kind.MISSED_RUN, series=6, assessed=6, too_little=0, tests=6),
    Checked(kind=Kind.SATURATION, series=0, assessed=0, too_little=0, tests=0,
            not_assessed="No queue has a known limit."),
)
# fmt: on


def report(*anomalies: Anomaly, **more: object) -> Report:
    """Return a morning report."""
    fields: dict[str, object] = {
        "id": "0f1e2d3c4b5a6978",
        "project": "default",
        "schedule": "morning",
        "zone": "Europe/Berlin",
        "period": PERIOD,
        "as_of_ns": TO + 300 * 10**9,
        "previous_id": "1f1e2d3c4b5a6978",
        "anomalies": anomalies,
        "checked": CHECKED,
        "gaps": (Gap(span=Span(from_ns=TO - 20 * HOUR, to_ns=TO - 19 * HOUR), reason="Nobody sent telemetry."),),
        "totals": Totals(
            runs=5120,
            ended=5091,
            failed=231,
            retried=402,
            tasks=42,
            before_runs=5044,
            before_ended=5040,
            before_failed=98,
            before_retried=377,
        ),
        "history_days": 41.0,
    }
    return Report(**{**fields, **more})  # type: ignore[arg-type]


def night() -> Report:
    """Return the report of a night with three incidents, one of them going on, and two that are over or expected."""
    done = failures("d1b2c3d4e5f60718", "send-receipt", state="resolved", title="send-receipt retried more than usual")
    called_expected = failures(
        "e1b2c3d4e5f60718",
        "import-catalog",
        expected_by_you="Monthly import, Ana",
        title="import-catalog had 4 times the usual runs",
    )
    return report(failures(), missed(), slower(), resolved=(done,), expected=(called_expected,))


def hostile() -> Report:
    """Return a report in which every text that telemetry can reach tries to be markup."""
    return report(
        *(
            failures(
                f"{i:016x}",
                name,
                title=name,
                text=f"{name} {NAMES[0]}",
                differences=(
                    Difference(
                        dimension=name,
                        value=name,
                        affected=Value(value=1.0, hits=5, n=5),
                        others=Value(value=0.0, hits=0, n=5),
                        excess_share=1.0,
                    ),
                ),
                nearest=Change(type="version", label=name, at_ns=TO - 12 * HOUR),
                affected_runs=(run(name, name, name),),
                healthy_run=run(name, name, name),
                findings=(name,),
                baseline=name,
                threshold=name,
                expected_by_you=name,
                chart=chart(mark=name),
            )
            for i, name in enumerate((*NAMES, "# x", "1. x", "| a | b |", "</script><script>", "]]><!-- -->"))
        ),
        schedule=NAMES[1],
        gaps=(Gap(span=PERIOD, reason=NAMES[0]),),
    )


def nothing() -> Report:
    """Return a report that has nothing to report."""
    return report(gaps=())
