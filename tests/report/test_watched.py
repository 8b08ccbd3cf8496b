"""Specification of what a report tells that is no rate of runs: queues, stuck runs, conventions, senders, schedules."""

from __future__ import annotations

import polars as pl
import pytest

from collector.model.report import Kind
from collector.model.units import DAY_NS, HOUR_NS, MINUTE_NS
from tests.report.invented import KEY, START, hourly, inputs, made

NOW = 32 * 24


@pytest.fixture(scope="module")
def counts() -> pl.DataFrame:
    """Return a calm month."""
    return hourly(NOW)


def test_a_run_that_is_stuck_is_told_with_how_long_is_usual(counts: pl.DataFrame) -> None:
    """What works far longer than usual and says nothing is told; long or silent alone is not."""
    stuck = pl.DataFrame(
        {
            "task_id": ["task-1", "task-1", "task-2"],
            "environment": ["prod"] * 3,
            "run_key": ["a", "b", "c"],
            "stage": ["stuck", "stuck", "long"],
            "since_ns": [START + (NOW - 3) * HOUR_NS] * 3,
            "active_ns": [3 * HOUR_NS, 2 * HOUR_NS, HOUR_NS],
            "long_ns": [6 * MINUTE_NS] * 3,
            "n": [500] * 3,
        }
    )
    (anomaly,) = made(inputs(counts, NOW, stuck=stuck)).anomalies
    assert anomaly.title == "2 runs of task-1 are stuck: at work for 3 h, usually at most 6 min"
    assert "It goes on." in anomaly.text
    late = inputs(counts, NOW, stuck=stuck.with_columns(since_ns=START + NOW * HOUR_NS + MINUTE_NS))
    (anomaly,) = made(late).anomalies  # which began after the last hour that is judged
    assert (anomaly.span.from_ns, anomaly.span.to_ns) == (START + NOW * HOUR_NS + MINUTE_NS, late.as_of_ns)


def test_a_queue_that_is_full_while_runs_wait_is_told(counts: pl.DataFrame) -> None:
    """Three hours at the limit where minutes are usual are told, with the usual share."""
    rows = [
        {
            "kind": "saturation",
            "type": "queue",
            "name": "mail",
            "task_id": None,
            "environment": "prod",
            "detail": "",
            "hour_ns": START + h * HOUR_NS,
            "value": 0.9 if NOW - 8 <= h < NOW - 5 else 0.02 + 0.01 * (h % 3),
        }
        for h in range(NOW)
    ]
    queues = pl.DataFrame(rows, schema={**KEY, "hour_ns": pl.Int64, "value": pl.Float64})
    report = made(inputs(counts, NOW, full_queues=queues))
    (anomaly,) = report.anomalies
    assert anomaly.title.startswith("Queue mail was full with runs waiting 90.0 % of the time, usually")
    assert (anomaly.span.from_ns, anomaly.span.to_ns) == (START + (NOW - 8) * HOUR_NS, START + (NOW - 5) * HOUR_NS)
    assert anomaly.chart is not None
    assert max(p.observed or 0 for p in anomaly.chart.points) == pytest.approx(0.9)


def test_a_convention_broken_for_the_first_time_is_told(counts: pl.DataFrame) -> None:
    """Four of sixty runs that break what none of thousands broke are told, though a test of shares needs more."""
    failures = counts.filter((pl.col("kind") == "failures") & (pl.col("name") == "task-4"))
    late = pl.col("hour_ns") >= START + (NOW - 4) * HOUR_NS
    broken = failures.with_columns(kind=pl.lit("findings"), detail=pl.lit("KEY001"), x=late.cast(pl.Int64))
    (anomaly,) = made(inputs(pl.concat([counts, broken]), NOW)).anomalies
    assert anomaly.kind is Kind.FINDINGS
    assert anomaly.title.startswith("task-4 breaks KEY001 now: 4 of ")


def test_a_sender_that_stops_while_others_go_on_is_told(counts: pl.DataFrame) -> None:
    """A service that sent records every hour of a week and stopped is silent since then."""
    since = NOW - 9
    senders = pl.DataFrame(
        [
            {"type": "sender", "name": name, "environment": None, "hour_ns": START + h * HOUR_NS, "n": 200}
            for name, until in (("mail-worker", since), ("api-worker", NOW))
            for h in range(NOW - 192, until)
        ],
        schema={"type": pl.String, "name": pl.String, "environment": pl.String, "hour_ns": pl.Int64, "n": pl.Int64},
    )
    (anomaly,) = made(inputs(counts, NOW, senders=senders)).anomalies
    assert (anomaly.kind, anomaly.subject.type, anomaly.subject.name) == (Kind.SILENCE, "sender", "mail-worker")
    assert anomaly.title.startswith("No telemetry from mail-worker since ")
    assert anomaly.expected.value == pytest.approx(1800)


@pytest.mark.parametrize(
    ("moved", "kind", "title"),
    [
        ({3: 20 * MINUTE_NS}, Kind.LATE_RUN, "hourly ran 20 min late"),
        ({3: -20 * 10**9}, None, ""),
    ],
)
def test_late_runs_are_told_and_small_delays_are_not(
    counts: pl.DataFrame, moved: dict[int, int], kind: Kind | None, title: str
) -> None:
    """A run that comes twenty minutes after its time is late, one twenty seconds early is on time."""
    times = [START + h * HOUR_NS + 5 * MINUTE_NS for h in range(NOW)]
    moves = {len(times) - back: by for back, by in moved.items()}
    shifted = [t + moves.get(i, 0) for i, t in enumerate(times)]
    report = made(inputs(counts, NOW, regular=_regular("hourly", shifted)))
    assert [(a.kind, a.title) for a in report.anomalies] == ([(kind, title)] if kind else [])


def test_a_run_that_comes_twice_is_told(counts: pl.DataFrame) -> None:
    """A second run a minute after the first is one too many."""
    times = [START + d * DAY_NS + 3 * HOUR_NS for d in range(32)]
    twice = sorted([*times, times[-1] + MINUTE_NS])
    (anomaly,) = made(inputs(counts, NOW, regular=_regular("nightly", twice))).anomalies
    assert (anomaly.kind, anomaly.title) == (Kind.DOUBLE_RUN, "nightly ran twice at 05:00")


def test_a_schedule_of_some_hours_is_told_by_them(counts: pl.DataFrame) -> None:
    """Nights are no misses; what is missing of the day is counted, with how often it runs and between when."""
    times = [START + h * HOUR_NS + m * MINUTE_NS for h in range(NOW) if 4 <= h % 24 <= 20 for m in range(0, 60, 5)]
    assert made(inputs(counts, NOW, regular=_regular("sync-feed", times))).anomalies == ()
    left = [t for t in times if not START + (NOW - 12) * HOUR_NS <= t < START + (NOW - 11) * HOUR_NS]
    (anomaly,) = made(inputs(counts, NOW, regular=_regular("sync-feed", left))).anomalies
    assert anomaly.title == "sync-feed missed 12 of 204 scheduled runs"
    assert "every 5 min between 06:00 and 22:55, every day (Europe/Berlin)" in anomaly.text


def test_a_day_off_is_learnt_from_who_rests_at_weekends(counts: pl.DataFrame) -> None:
    """Where all who rest at weekends rest, nothing is missed, on the day and by all of them; one alone is missed."""
    off = START + (NOW - 24) * HOUR_NS  # a Friday
    work = [START + h * HOUR_NS for h in range(NOW) if (h // 24 + 1) % 7 < 5 and 6 <= h % 24 < 16]
    names = ("mail", "bills", "export")

    def report(resting: set[str]) -> list[str]:
        rows = [_regular(n, [t for t in work if t < off or n not in resting]) for n in names]
        return [a.title for a in made(inputs(counts, NOW, regular=pl.concat(rows), zone="UTC")).anomalies]

    assert report(set()) == []
    assert report(set(names)) == []
    assert report({"bills"}) == ["bills missed 10 of 10 scheduled runs"]


def test_what_is_missed_every_other_day_is_usual(counts: pl.DataFrame) -> None:
    """A schedule that loses runs all the time is told on the day on which it loses more than it uses to."""
    times = [START + h * HOUR_NS for h in range(NOW) if (h * 7 + h // 24) % 25]
    assert made(inputs(counts, NOW, regular=_regular("lossy", times))).anomalies == ()
    left = [t for t in times if not START + (NOW - 9) * HOUR_NS <= t < START + (NOW - 5) * HOUR_NS]
    (anomaly,) = made(inputs(counts, NOW, regular=_regular("lossy", left))).anomalies
    assert anomaly.title.startswith("lossy missed ")


def _regular(task: str, times: list[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "task_id": [task] * len(times),
            "environment": ["prod"] * len(times),
            "at_ns": times,
            "run_key": [f"{task}-{i}" for i in range(len(times))],
        }
    )
