"""Runs that no attempt's span and no log tells: by spans around them, by names of spans, by numbers from 0."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import polars as pl
import pytest
from story import SECOND, T0, frame, log, span

from collector.analyse import runs

GRACE_S, STALE_S = 180, 3600
REMOTE = 0x300


def around(name: str, start: float, end: float, **extra: Any) -> dict[str, Any]:
    """Return an internal span of plain OpenTelemetry without a parent."""
    return span("r", name, start, end, dialect="generic", span_type="user", **{"kind": 1, **extra})


def built(*records: dict[str, Any], at: float) -> runs.RunTables:
    """Return the run model of *records* at seconds after T0; in any order it is the same."""
    tables = []
    for order in (records, records[::-1]):
        rows = {"spans": [r for r in order if "kind" in r], "logs": [r for r in order if "kind" not in r]}
        tables.append(
            runs.build(
                *(frame(name, rows[name]) for name in ("spans", "logs")),
                pl.DataFrame(schema=runs.LINKS),
                as_of_ns=T0 + round(at * SECOND),
                grace_ns=GRACE_S * SECOND,
                stale_ns=STALE_S * SECOND,
            )
        )
    assert tables[0].runs.equals(tables[1].runs)
    return tables[0]


def told(*records: dict[str, Any], at: float) -> tuple[Any, ...]:
    """Return status, its source and the attempts of the run."""
    run = built(*records, at=at).runs.row(0, named=True)
    return run["status"], run["status_source"], run["attempt_count"]


RUNNING, COMPLETED = ("running", "inferred", 1), ("completed", "inferred", 1)
RETRYING, FAILED = ("retrying", "inferred", 1), ("failed", "inferred", 1)
UNKNOWN = ("unknown", "unknown", None)


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("parent", [{}, {"parent_span_id": "0" * 15 + "1", "flags": REMOTE | 1}])
@pytest.mark.parametrize("code", [0, 1])
def test_a_span_around_a_run_has_ended_it_after_a_minute_of_silence(kind: int, code: int, parent: Any) -> None:
    """Of no kind or internal, without a parent or with a remote one; until then the run is due to be looked at."""
    root = around("resize", 0, 10, kind=kind, status_code=code, **parent)
    open_ = built(root, at=70).runs.row(0, named=True)
    assert (open_["status"], open_["due_ns"]) == ("running", T0 + 70 * SECOND + 1)
    assert told(root, at=70.1) == COMPLETED
    run = built(root, at=100_000).runs.row(0, named=True)
    assert (run["started_ns"], run["ended_ns"], run["due_ns"]) == (T0, T0 + 10 * SECOND, None)
    assert (run["started_source"], run["ended_source"]) == ("derived", "inferred")


def test_one_that_ended_with_an_error_is_a_failed_attempt() -> None:
    """Running for a minute, then retrying for the grace of its end, then failed; with the span's error."""
    root = around("resize", 0, 10, failed=True, error_type="OSError", status_message="disk full", http_status=507)
    assert [told(root, at=at) for at in (70, 70.1, 10 + GRACE_S, 10.1 + GRACE_S)] == [
        *(RUNNING, RETRYING, RETRYING, FAILED),
    ]
    tables = built(root, at=1000)
    attempt = tables.attempts.row(0, named=True)
    assert (attempt["error_type"], attempt["error_message"], attempt["http_status"]) == ("OSError", "disk full", 507)
    assert attempt["wall_ns"] == 10 * SECOND


@pytest.mark.parametrize("later", [log("r", 100, "hello"), around("save", 95, 100), around("p", 100, 100, kind=4)])
def test_a_later_record_opens_it_again(later: dict[str, Any]) -> None:
    """For another minute, whatever the record is."""
    assert told(around("resize", 0, 10), later, at=160) == RUNNING
    assert told(around("resize", 0, 10), later, at=160.1) == COMPLETED


@pytest.mark.parametrize(
    "no_root",
    [
        {"parent_span_id": "0" * 15 + "1"},
        {"parent_span_id": "0" * 15 + "1", "flags": 0x101},
        {"kind": 3, "span_type": "call"},
        {"kind": 4, "span_type": "trigger"},
        {"dialect": "trigger_dev"},
    ],
)
def test_other_spans_prove_nothing(no_root: dict[str, Any]) -> None:
    """Those with a parent in their process, of other kinds, of a platform that tells its attempts."""
    assert told({**around("resize", 0, 10), **no_root}, at=1000)[:2] == ("running", "inferred")
    assert told({**around("resize", 0, 10), **no_root}, at=10_000)[:2] == ("unknown", "unknown")


def test_a_span_without_length_ends_nothing() -> None:
    """Loggers that only know spans write messages so, errors that were handled among them."""
    assert told(around("charging card", 5, 5, failed=True), at=1000)[0] == "running"
    assert told(around("resize", 0, 10), around("handled", 11, 11, failed=True), at=1000) == COMPLETED


def test_an_error_is_undone_by_the_same_span_alone() -> None:
    """What tells of a failure, or tidies up after it, is no success; a span of the same name is another try."""
    job = around("job", 0, 10, failed=True, error_type="OSError")
    tables = built(job, around("notify_failure", 10.1, 10.5), at=1000)
    assert tables.runs.select("status", "error_type", "ended_ns").row(0) == ("failed", "OSError", T0 + 10_500_000_000)
    assert told(around("load", 0, 5), around("save", 5, 9), at=1000) == COMPLETED
    assert told(around("load", 0, 5), around("save", 5, 9, failed=True), at=1000) == FAILED
    assert told(around("a", 0, 9), around("b", 1, 9, failed=True), at=1000) == FAILED
    assert told(around("load", 0, 1), around("save", 2, 3, failed=True), around("save", 4, 5), at=1000) == COMPLETED


def test_a_span_that_is_named_as_a_phase_encloses_nothing() -> None:
    """However long it took: what it says is that its operation goes on."""
    marker = around("order_charge_started", 0, 0.00002, operation="order_charge", phase="started")
    assert told(marker, at=1000)[:2] == ("running", "inferred")
    steps = [("started", 0, 0), ("failed", 1, 2), ("started", 5, 0), ("completed", 6, 0)]
    named = [
        around(f"order_charge_{phase}", at, at + 0.00002, operation="order_charge", phase=phase, status_code=code)
        for phase, at, code in steps
    ]
    assert told(*named, at=7) == ("completed", "phase", 2)
    assert built(*named, at=7).runs["attempt_count_source"].item() == "derived"


def test_an_operation_that_began_after_a_span_is_not_ended_by_it() -> None:
    """As where the span is that of who put the task into its queue."""
    enqueue, work = around("enqueue", 0, 0.005), log("r", 1, "order_charge_started")
    assert told(enqueue, work, at=1000)[:2] == ("running", "inferred")
    assert told(enqueue, work, at=10_000)[:2] == ("unknown", "unknown")
    assert told(enqueue, work, log("r", 90, "order_charge_completed"), at=91) == ("completed", "phase", 1)


STATED: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "a log of the first try": (
        [around("job", 0, 10, failed=True), around("job", 20, 30), log("r", 2, "hello", attempt=1)],
        ["failed", "completed"],
    ),
    "a log of the first try, from 0": (
        [around("job", 0, 10, failed=True), around("job", 20, 30), log("r", 2, "hello", attempt=0)],
        ["failed", "completed"],
    ),
    "the first span": ([around("job", 0, 10, failed=True, attempt=1), around("job", 20, 30)], ["failed", "completed"]),
    "logs of a span around two tries": (
        [around("job", 0, 30), log("r", 1, "hello", attempt=1), log("r", 20, "hello", attempt=2)],
        ["failed", "completed"],
    ),
    "a log just before the span": ([around("job", 0.01, 30), log("r", 0, "hello", attempt=1)], ["completed"]),
    "nothing, tries by logs in one span": (
        [around("job", 0, 12), *(log("r", t, f"o_{p}") for t, p in ((1, "started"), (2, "failed"), (3, "started")))],
        ["failed", "completed"],
    ),
    "nothing, tries by spans with logs in the second": (
        [
            around("job", 0, 5, failed=True),
            around("job", 9, 12),
            log("r", 10, "o_started"),
            log("r", 11, "o_completed"),
        ],
        ["failed", "completed"],
    ),
    "nothing, spans and logs say the same": (
        [
            *(around("job", 0, 5, failed=True), around("job", 9, 12)),
            *(
                log("r", t, f"o_{p}")
                for t, p in ((-0.1, "started"), (4, "failed"), (8.9, "started"), (11, "completed"))
            ),
        ],
        ["failed", "completed"],
    ),
    "nothing, what logs say failed in a span that did not": (
        [
            *(around("job", 0, 5), around("job", 9, 12)),
            *(log("r", t, f"o_{p}") for t, p in ((1, "started"), (4, "failed"), (10, "started"), (11, "completed"))),
        ],
        ["failed", "completed"],
    ),
    "nothing, many items of which some fail": (
        [around("item", i, i + 0.5, failed=i in (3, 6)) for i in range(9)],
        ["completed"],
    ),
}


@pytest.mark.parametrize("name", STATED)
def test_tries_are_counted_once_whoever_tells_of_them(name: str) -> None:
    """By spans, by logs that state a number, and by logs of an operation that starts again."""
    records, expected = STATED[name]
    tables = built(*records, at=1000)
    assert tables.attempts["number"].to_list() == [*range(1, len(expected) + 1)]
    assert tables.attempts["status"].to_list() == expected
    assert tables.runs.select("status", "attempt_count").row(0) == (expected[-1], len(expected))


def test_a_run_that_is_silent_for_longer_than_is_usual_waits_for_the_minute() -> None:
    """Whatever `runs.stale` is, the clock alone ends it."""
    short = {"as_of_ns": T0 + 41 * SECOND, "grace_ns": GRACE_S * SECOND, "stale_ns": 30 * SECOND}
    rows = frame("spans", [around("job", 0, 10)]), frame("logs", []), pl.DataFrame(schema=runs.LINKS)
    run = runs.build(*rows, **short).runs.row(0, named=True)
    assert (run["status"], run["due_ns"]) == ("running", T0 + 70 * SECOND + 1)


def test_a_run_of_many_spans_is_told_in_proportion_to_them() -> None:
    """No span is laid beside every record of its run: thousands of both take no more than megabytes."""
    n = 4_000
    roots = [around("item", i, i + n, trace_id=f"{i:032x}", span_id=f"{i:016x}") for i in range(n)]
    steps = [around(f"item_{i}_started", i, i, operation=f"item_{i}", phase="started") for i in range(n)]
    steps = [{**step, "trace_id": f"{i:032x}", "span_id": f"{n + i:016x}"} for i, step in enumerate(steps)]
    logs = [log("r", i, f"log {i}", attempt=1) for i in range(n)]
    assert built(*roots, *steps, *logs, at=10).runs["span_count"].item() == 2 * n


def test_the_same_span_after_one_that_failed_is_the_next_attempt() -> None:
    """Steps that follow each other are none; nor is the same step again after a success, or at the same time."""
    first, second = around("job", 0, 5, failed=True), around("job", 9, 12)
    tables = built(first, second, at=1000)
    assert tables.attempts["status"].to_list() == ["failed", "completed"]
    assert tables.runs["backoff_ns"].item() == 4 * SECOND
    assert told(first, second, at=1000) == ("completed", "inferred", 2)
    assert told(around("job", 0, 5), second, at=1000) == COMPLETED
    assert told(around("job", 0, 10, failed=True), second, at=1000) == COMPLETED


def test_attempts_that_spans_state_are_theirs() -> None:
    """And one that states none is the attempt that the records within it state."""
    states = [around("job", 0, 5, failed=True, attempt=2), around("job", 9, 12, attempt=3)]
    assert told(*states, at=1000) == ("completed", "inferred", 3)
    within = log("r", 10, "hello", attempt=3)
    assert told(states[0], around("job", 9, 12), within, at=1000) == ("completed", "inferred", 3)


def test_what_logs_say_of_the_end_counts_before_a_span() -> None:
    """The span ends what they leave open."""
    logs = [log("r", 1, "order_charge_started"), log("r", 2, "order_charge_completed")]
    assert told(around("job", 0, 10, failed=True), *logs, at=11) == ("completed", "phase", 1)
    assert told(around("job", 0, 10, failed=True), logs[0], at=1000) == FAILED
    consumer = {**around("job", 0, 10, failed=True), "kind": 5, "span_type": "attempt", "span_id": "c" * 16}
    assert told(around("job", 0, 11), consumer, at=1000) == FAILED


def test_phases_in_span_names_are_phases_where_no_log_says_them() -> None:
    """Of the same operation. A span says it at its start, the end of an operation at its own; no log is counted."""
    names = [("order_charge_started", 0, 0), ("order_charge_calling_stripe", 1, 3), ("order_charge_completed", 4, 4)]
    events = []
    for name, start, end in names:
        phase = "calling" if "calling" in name else name.rpartition("_")[2]
        service = "stripe" if phase == "calling" else None
        events.append(
            around(
                name,
                start,
                end,
                operation="order_charge",
                phase=phase,
                called_service=service,
                kind=1 + 2 * (start == 1),
            )
        )
    for order in permutations(events):
        tables = built(*order, at=10)
        run = tables.runs.row(0, named=True)
        assert (run["status"], run["status_source"], run["log_count"], run["span_count"]) == (
            "completed",
            "phase",
            0,
            3,
        )
        assert run["task_id"] == "order_charge"
        assert tables.phases.sort("started_ns")["duration_ns"].to_list() == [4 * SECOND, 3 * SECOND]
    said = [log("r", 0.001, "order_charge_started"), log("r", 4.001, "order_charge_completed")]
    assert told(*events, *said, at=10) == ("completed", "phase", 1)
    assert built(*events, *said, at=10).phases.height == 1
    inner = [log("r", 2, "mail_send_started"), log("r", 3, "mail_send_completed")]
    assert told(*events, *inner, at=10) == ("completed", "phase", 1)


def test_a_span_that_is_a_failing_phase_says_why() -> None:
    """By its status where it has no exception."""
    phase = {"operation": "o", "phase": "failed", "status_message": "disk full"}
    tables = built(around("o_failed", 5, 5, failed=True, **phase), at=10_000)
    assert tables.runs.select("status", "error_message").row(0) == ("failed", "disk full")


@pytest.mark.parametrize("stating", ["logs", "spans", "both"])
@pytest.mark.parametrize("numbers", [[0], [0, 1], [0, 1, 2]])
def test_an_attempt_0_proves_that_a_run_counts_from_0(numbers: list[int], stating: str) -> None:
    """Its attempts are told from 1, whatever record states it; another run's are not."""
    records = [log("other", 0, "a_started", attempt=1)]
    for n in numbers:
        end = around("job", n * 10, n * 10 + 5, failed=n < numbers[-1], attempt=n if stating != "logs" else None)
        records.append({**end, "kind": 5, "span_type": "attempt"})
        records.append(log("r", n * 10 + 1, "hello", attempt=n if stating != "spans" else None))
    tables = built(*records, at=1000)
    of_run = pl.col("run_id") == "r"
    assert tables.attempts.filter(of_run)["number"].to_list() == [n + 1 for n in numbers]
    assert tables.attempts.filter(~of_run)["number"].to_list() == [1]
    run = tables.runs.filter(of_run).row(0, named=True)
    assert (run["status"], run["attempt_count"], run["attempt_count_source"]) == ("completed", len(numbers), "measured")
    assert (run["started_ns"], run["started_source"]) == (T0, "measured")
    assert run["backoff_ns"] == 5 * SECOND * (len(numbers) - 1)


def test_a_lost_attempt_is_not_made_up_where_a_run_counts_from_0() -> None:
    """Of attempts 0 and 2 the one between is not known, and no pause is."""
    tables = built(*(log("r", n, f"job_{what}", attempt=n) for n, what in ((0, "failed"), (2, "completed"))), at=1000)
    assert tables.attempts["number"].to_list() == [1, 3]
    assert tables.runs["backoff_ns"].to_list() == [None]
