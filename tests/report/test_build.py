"""Specification of what a report tells: what differs, since when, once, and nothing that chance alone would do."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.analyse.anomalies.told import TOLD
from collector.model.report import Kind, Report
from collector.model.statistics import wilson
from collector.model.units import DAY_NS, HOUR_NS
from collector.report import remembered
from collector.report.build import Evidence
from collector.report.inputs import Inputs
from collector.report.subjects import key_of, parse
from tests.length import examples
from tests.report.invented import START, TASKS, bad, calm, drafted, hourly, inputs, made

DAYS = 32
NOW = DAYS * 24
BURST = (NOW - 10, NOW - 7)


@pytest.fixture(scope="module")
def burst() -> Inputs:
    """Return a month in which one task failed for three hours of the last day."""
    return inputs(hourly(NOW, bad("task-3", *BURST)), NOW)


@pytest.fixture(scope="module")
def report(burst: Inputs) -> Report:
    """Return its report."""
    return made(burst)


def test_a_calm_month_gives_a_report_of_what_was_checked() -> None:
    """Nothing is reported where nothing happened; the report says how many series it judged, by how many tests."""
    report = made(inputs(hourly(NOW), NOW))
    assert (report.anomalies, report.more, report.gaps) == ((), 0, ())
    checked = {c.kind: c for c in report.checked}
    assert checked[Kind.FAILURES].assessed == checked[Kind.FAILURES].series == len(TASKS)
    assert checked[Kind.FAILURES].tests > 0
    assert report.history_days == pytest.approx(28, abs=0.1)


def test_a_burst_is_told_with_its_hours_and_counts(burst: Inputs, report: Report) -> None:
    """The hours that make it up, failures of runs, the Wilson interval, and what was to be expected."""
    (anomaly,) = report.anomalies
    assert (anomaly.kind, anomaly.subject.name, anomaly.direction) == (Kind.FAILURES, "task-3", "up")
    assert (anomaly.span.from_ns, anomaly.span.to_ns) == tuple(START + h * HOUR_NS for h in BURST)
    failures = burst.counts.filter((pl.col("name") == "task-3") & (pl.col("kind") == "failures"))
    inside = failures.filter(pl.col("hour_ns").is_between(anomaly.span.from_ns, anomaly.span.to_ns, closed="left"))
    hits, n = inside["x"].sum(), inside["n"].sum()
    assert (anomaly.observed.hits, anomaly.observed.n) == (hits, n)
    assert (anomaly.observed.low, anomaly.observed.high) == pytest.approx(wilson(hits, n), abs=1e-6)
    assert anomaly.expected.value == pytest.approx(0.03, abs=0.01)
    assert anomaly.excess == pytest.approx(hits - anomaly.expected.value * n, abs=0.01)
    assert anomaly.q is not None
    assert anomaly.q <= 0.01


def test_text_and_chart_say_the_same_numbers(report: Report) -> None:
    """The hits and trials of the title are the sums of the chart's hours in the span, and so is what was expected."""
    (anomaly,) = report.anomalies
    assert anomaly.chart is not None
    inside = [p for p in anomaly.chart.points if anomaly.span.from_ns <= p.at_ns < anomaly.span.to_ns]
    hits = sum(round(p.observed * p.n) for p in inside if p.observed is not None and p.n is not None)
    n = sum(p.n for p in inside if p.n is not None)
    assert f"({hits} of {n})" in anomaly.title
    assert anomaly.text.startswith(f"{hits} of {n} runs failed")
    expected = sum(p.expected * p.n for p in inside if p.expected is not None and p.n is not None)
    assert anomaly.expected.value == pytest.approx(expected / n, abs=1e-4)
    assert all(p.low <= p.expected <= p.high for p in inside if p.low is not None)


def test_it_would_not_have_fired_before(report: Report) -> None:
    """The back-test replays the days before with what was known then; the first three have too little history."""
    (anomaly,) = report.anomalies
    assert anomaly.backtest is not None
    assert (anomaly.backtest.days, anomaly.backtest.fired) == (28, 0)
    assert anomaly.backtest.assessed_days == 25


def test_a_burst_like_one_before_is_counted_by_the_backtest() -> None:
    """What happened ten days before is found by the back-test once."""
    earlier = NOW - 10 * 24
    share = bad("task-3", *BURST, 0.8)
    both = hourly(NOW, lambda t, h: 0.5 if t == "task-3" and earlier <= h < earlier + 2 else share(t, h))
    (anomaly,) = made(inputs(both, NOW)).anomalies
    assert anomaly.backtest is not None
    assert anomaly.backtest.fired == 1


@settings(max_examples=examples(3), deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_rows_changes_no_byte(burst: Inputs, report: Report, seed: int) -> None:
    """The same inputs give the same report to the byte, however their rows are ordered."""
    frames = {
        f.name: frame.sample(fraction=1.0, shuffle=True, seed=seed)
        for f in dataclasses.fields(burst)
        if isinstance(frame := getattr(burst, f.name), pl.DataFrame) and frame.height
    }
    assert made(dataclasses.replace(burst, **frames)).model_dump_json() == report.model_dump_json()


def test_without_history_there_is_no_drama() -> None:
    """A task that is first seen with half of its runs failing is not compared with anything."""
    report = made(inputs(hourly(NOW, bad("task-3", 0, NOW), since=NOW - 30), NOW))
    assert report.anomalies == ()
    assert all(c.assessed == 0 for c in report.checked if c.kind is not Kind.NEW_ERROR)
    checked = {c.kind: c for c in report.checked}
    assert checked[Kind.FAILURES].too_little == len(TASKS)
    assert checked[Kind.FAILURES].not_assessed == "less than 3 days of history"


def test_a_gap_is_not_assessed() -> None:
    """Hours in which nobody sent are told as a gap; no drop of arrivals and no silence is made of them."""
    counts = hourly(NOW).filter(~pl.col("hour_ns").is_between(START + (NOW - 9) * HOUR_NS, START + (NOW - 4) * HOUR_NS))
    report = made(inputs(counts, NOW))
    assert report.anomalies == ()
    (gap,) = report.gaps
    assert (gap.span.from_ns, gap.span.to_ns) == (START + (NOW - 9) * HOUR_NS, START + (NOW - 3) * HOUR_NS)
    assert "expected" in gap.reason


def test_one_task_that_stops_while_others_go_on_is_silent() -> None:
    """A task that ran every hour and stops is silent since then, and its arrivals are not told once more."""
    since = NOW - 12
    counts = hourly(NOW).filter((pl.col("name") != "task-5") | (pl.col("hour_ns") < START + since * HOUR_NS))
    (anomaly,) = made(inputs(counts, NOW)).anomalies
    assert (anomaly.kind, anomaly.subject.name) == (Kind.SILENCE, "task-5")
    assert anomaly.span.from_ns == START + since * HOUR_NS
    assert [t.kind for t in anomaly.together] == [Kind.VOLUME]


def test_new_ongoing_resolved() -> None:
    """A burst is new, goes on in the report that follows, and is resolved in the one after it."""
    counts = hourly(NOW + 48, bad("task-3", NOW - 4, NOW + 5, 0.4))
    first = made(inputs(counts, NOW))
    second = made(inputs(counts, NOW + 24, previous=first))
    third = made(inputs(counts, NOW + 48, previous=second))
    assert [a.state for a in first.anomalies] == ["new"]
    assert [(a.state, a.key) for a in second.anomalies] == [("ongoing", first.anomalies[0].key)]
    assert (second.previous_id, third.previous_id) == (first.id, second.id)
    assert third.anomalies == ()
    assert [(a.state, a.key) for a in third.resolved] == [("resolved", first.anomalies[0].key)]


def test_the_same_again_a_day_later_is_new() -> None:
    """Two bursts of one task with calm between them are two things that happened."""
    share = bad("task-3", NOW - 22, NOW - 19)
    counts = hourly(NOW + 24, lambda t, h: 0.5 if t == "task-3" and NOW + 19 <= h < NOW + 22 else share(t, h))
    first = made(inputs(counts, NOW))
    second = made(inputs(counts, NOW + 24, previous=first))
    assert [a.state for a in second.anomalies] == ["new"]
    assert [a.state for a in second.resolved] == ["resolved"]


def test_what_is_only_counted_this_time_is_not_resolved() -> None:
    """An anomaly that goes on but is not among the ten any more is neither shown nor resolved."""

    def share(task: str, hour: int) -> float:
        if task == "task-0-1":
            return 0.3 if NOW - 3 <= hour < NOW + 2 else calm(task, hour)
        return 0.7 if NOW <= hour < NOW + 3 else calm(task, hour)

    counts = pl.concat([hourly(NOW + 24, share, names=[f"{t}-{seed}" for t in TASKS]) for seed in (1, 2)])
    first = made(inputs(counts, NOW))
    second = made(inputs(counts, NOW + 24, previous=first))
    assert [a.subject.name for a in first.anomalies] == ["task-0-1"]
    assert len(second.anomalies) == 10
    assert second.more == 6
    assert second.resolved == ()


def test_a_new_level_is_told_once_with_the_version_nearest_to_it() -> None:
    """What stays is told as it begins, told as a level a day later, and then is usual."""
    began = NOW - 12
    counts = hourly(NOW + 72, bad("task-3", began, NOW + 72, 0.2))
    versions = pl.DataFrame(
        {
            "task_id": ["task-3", "task-3"],
            "queue": ["q", "q"],
            "environment": ["prod", "prod"],
            "version": ["1", "2"],
            "first_ns": [START, START + began * HOUR_NS + 1],
        }
    )
    reports: list[Report] = []
    for day in range(4):
        previous = reports[-1] if reports else None
        reports.append(made(inputs(counts, NOW + 24 * day, previous=previous, versions=versions)))
    assert [[(a.state, a.is_level) for a in r.anomalies] for r in reports] == [
        [("new", False)],
        [("ongoing", True)],
        [],
        [],
    ]
    assert all(r.resolved == () for r in reports)
    for report in reports[:2]:
        (anomaly,) = report.anomalies
        assert anomaly.nearest is not None
        assert (anomaly.nearest.type, anomaly.nearest.at_ns) == ("version", START + began * HOUR_NS + 1)
        assert abs(anomaly.span.from_ns - (START + began * HOUR_NS)) <= 2 * HOUR_NS


def test_what_somebody_called_expected_is_listed_apart(burst: Inputs, report: Report) -> None:
    """Feedback on an anomaly's key takes it out of what is new, with the note that was given."""
    key = report.anomalies[0].key
    again = made(dataclasses.replace(burst, expected={key: "load test"}))
    assert again.anomalies == ()
    assert [(a.key, a.expected_by_you) for a in again.expected] == [(key, "load test")]


def test_what_was_told_hides_nothing_unless_it_was_expected(burst: Inputs, report: Report) -> None:
    """A smaller burst a week later is told, by what was told before or is worked out; after an expected one not."""
    share = bad("task-3", *BURST, share=0.9)
    counts = hourly(NOW + 168, lambda t, h: 0.25 if t == "task-3" and h >= NOW + 164 else share(t, h))
    first = made(inputs(counts, NOW))
    (told,) = first.told
    assert first.told_until_ns == inputs(counts, NOW).to_ns
    assert (told.metric, told.direction, told.is_level) == ("failures", "up", False)
    assert told.span.from_ns < START + BURST[1] * HOUR_NS
    assert told.span.to_ns > START + BURST[0] * HOUR_NS
    later = inputs(counts, NOW + 168, previous=first)
    assert told in made(later).told
    for previous in (first, None, first.model_copy(update={"told": (), "told_until_ns": None})):
        assert [a.kind for a in made(dataclasses.replace(later, previous=previous)).anomalies] == [Kind.FAILURES]
    expected = {first.anomalies[0].key: "load test"}
    again = made(dataclasses.replace(later, expected=expected))
    assert (again.anomalies, again.expected) == ((), ())


def test_a_level_that_was_expected_stays_told(burst: Inputs) -> None:
    """What was called expected is as usual as any hour; of a level it is still known that it was told."""
    began = START + BURST[0] * HOUR_NS
    series, direction = made(burst).told[0].series, "up"
    rows = [(series, "failures", direction, began, began + HOUR_NS, is_level) for is_level in (True, False)]
    told = pl.DataFrame(rows, schema=TOLD, orient="row")
    key = key_of(parse(series), direction)
    kept = remembered.exceptions(told, dataclasses.replace(burst, expected={key: "as agreed"}))
    assert kept["is_level"].to_list() == [True]
    assert remembered.exceptions(told, burst).equals(told)


def test_callers_of_a_failing_service_are_told_with_it() -> None:
    """Where several callers fail while calls to a service do, the service is told, with its callers beside it."""
    share = bad("task-1", *BURST)
    counts = hourly(NOW, lambda t, h: max(share(t, h), bad("task-2", *BURST)(t, h)))
    calls = counts.filter((pl.col("kind") == "failures") & pl.col("name").is_in(["task-1", "task-2"]))
    service = (
        calls.group_by("hour_ns")
        .agg(pl.col("n", "x").sum())
        .select(
            kind=pl.lit("call_failures"),
            type=pl.lit("service"),
            name=pl.lit("ledger"),
            task_id=pl.lit(None, pl.String),
            environment=pl.lit("prod"),
            platform_project=pl.lit(None, pl.String),
            detail=pl.lit(""),
            hour_ns="hour_ns",
            n="n",
            x="x",
        )
    )
    used = inputs(counts, NOW).used.with_columns(
        called_service=pl.when(pl.col("task_id").is_in(["task-1", "task-2"])).then(pl.lit("ledger"))
    )
    (anomaly,) = made(inputs(pl.concat([counts, service]), NOW, used=used)).anomalies
    assert (anomaly.kind, anomaly.subject.name) == (Kind.CALL_FAILURES, "ledger")
    assert sorted(t.subject.name for t in anomaly.together) == ["task-1", "task-2"]
    assert "task-1" in anomaly.text
    assert "failing more often" in anomaly.text


def test_two_things_at_the_same_time_stay_two() -> None:
    """Tasks that share no service fail apart, at the same time or not."""
    counts = hourly(NOW, lambda t, h: max(bad("task-1", *BURST)(t, h), bad("task-2", *BURST)(t, h)))
    assert sorted(a.subject.name for a in made(inputs(counts, NOW)).anomalies) == ["task-1", "task-2"]


def test_ten_are_told_and_the_rest_is_counted() -> None:
    """At most ten anomalies, those with the greatest excess, and how many more there are."""
    counts = pl.concat(
        [
            hourly(
                NOW, lambda t, h: 0.35 + 0.05 * int(t[-1]) if BURST[0] <= h < BURST[1] else calm(t, h), seed=seed
            ).with_columns(name=pl.col("name") + f"-{seed}")
            for seed in (1, 2)
        ]
    )
    report = made(inputs(counts, NOW))
    assert len(report.anomalies) == 10
    assert report.more == 6
    excess = [a.excess for a in report.anomalies]
    assert excess == sorted(excess, key=lambda e: -(e or 0))


def test_a_missed_run_is_told_beside_ten_graver_ones() -> None:
    """A scheduled run that did not come is one run, and told however many others failed."""
    nights = [START + d * DAY_NS + 2 * HOUR_NS for d in range(DAYS - 1)]
    regular = pl.DataFrame(
        {
            "task_id": ["nightly"] * len(nights),
            "environment": ["prod"] * len(nights),
            "at_ns": nights,
            "run_key": [f"r{i}" for i in range(len(nights))],
        }
    )
    counts = pl.concat(
        [
            hourly(NOW, lambda t, h: 0.6 if BURST[0] <= h < BURST[1] else calm(t, h), seed=seed).with_columns(
                name=pl.col("name") + f"-{seed}"
            )
            for seed in (1, 2)
        ]
    )
    report = made(inputs(counts, NOW, regular=regular))
    assert (len(report.anomalies), report.more) == (10, 7)
    (missed,) = [a for a in report.anomalies if a.kind is Kind.MISSED_RUN]
    assert missed.title == "nightly did not run at 04:00"
    assert "every day at 04:00 (Europe/Berlin)" in missed.text


def test_an_error_never_seen_before_is_told() -> None:
    """Three runs with an error that two thousand before did not have are a new error."""
    errors = pl.DataFrame(
        {
            "name": ["task-1", "task-2"],
            "environment": ["prod"] * 2,
            "error": ["CodecError", "OldError"],
            "before": [0, 4],
            "now": [4, 4],
            "first_ns": [START + (NOW - 9) * HOUR_NS] * 2,
            "last_ns": [START + (NOW - 8) * HOUR_NS] * 2,
        }
    )
    (anomaly,) = made(inputs(hourly(NOW), NOW, errors=errors)).anomalies
    assert anomaly.title == "task-1 fails with an error not seen before: CodecError (4 runs)"


def test_differences_runs_and_conventions_come_from_the_runs_behind_it(burst: Inputs) -> None:
    """What the affected runs share is named, three of them and a healthy one are linked, with what they break."""
    rows = [
        {
            "run_key": f"k{i:02d}",
            "run_id": f"run_{i}",
            "task_id": "task-3",
            "at_ns": START + i,
            "status": "failed" if i < 12 else "completed",
            "affected": i < 12,
            "version": "v1",
            "queue": "q",
            "machine": "m1" if i < 11 else "m2",
            "tags": None,
            "error_group": "Timeout" if i < 12 else None,
            "services": None,
        }
        for i in range(40)
    ]
    runs = pl.DataFrame(rows, schema_overrides={"tags": pl.List(pl.String), "services": pl.List(pl.String)})
    (anomaly,) = made(burst, {0: Evidence(runs, ["MSG001"])}).anomalies
    assert [(d.dimension, d.value) for d in anomaly.differences] == [("machine", "m1")]
    assert [r.run_id for r in anomaly.affected_runs] == ["run_0", "run_6", "run_11"]
    assert anomaly.healthy_run is not None
    assert anomaly.findings == ("MSG001",)
    assert "All affected runs ended with Timeout." in anomaly.text
    assert "Machine m1: 91.7 % of the affected, 0.0 % of the others." in anomaly.text


def test_an_hour_is_judged_once_it_has_been_over_for_ten_minutes(burst: Inputs) -> None:
    """A report made on the hour leaves its last hour to the next one, which begins an hour before its period."""
    late = hourly(NOW + 24, bad("task-3", NOW - 1, NOW, 0.9))
    first = inputs(late, NOW)
    on_time = dataclasses.replace(
        first,
        as_of_ns=first.period.to_ns,
        to_ns=first.period.to_ns - HOUR_NS,
        counts=first.counts.filter(pl.col("hour_ns") < first.period.to_ns - HOUR_NS),
    )
    assert made(on_time).anomalies == ()
    (anomaly,) = made(inputs(late, NOW + 24, previous=made(on_time))).anomalies
    assert (anomaly.state, anomaly.span.to_ns) == ("new", first.period.to_ns)
    # One that the report before did tell is not told again.
    assert drafted(inputs(late, NOW + 24, previous=made(first))).shown == []
