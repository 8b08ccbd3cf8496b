"""The run model, told as stories: which records prove what."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from story import SECOND, T0, attempt, frame, log, span

from collector.analyse import durations, runs, slots
from collector.model import words
from collector.model.believable import LONGEST_NS

LATER = 100_000.0
SPAN_IDS = ("trace_id", "span_id")


def build(
    spans: list[dict[str, Any]],
    logs: list[dict[str, Any]],
    links: pl.DataFrame | None = None,
    at: float = LATER,
) -> runs.RunTables:
    """Return the run model of these records *at* seconds after T0, grace 180 s, stale after 3600 s."""
    return runs.build(
        frame("spans", spans),
        frame("logs", logs),
        pl.DataFrame(schema=runs.LINKS) if links is None else links,
        as_of_ns=T0 + round(at * SECOND),
        grace_ns=180 * SECOND,
        stale_ns=3600 * SECOND,
    )


def one(tables: runs.RunTables) -> dict[str, Any]:
    """Return the only run."""
    assert tables.runs.height == 1
    return tables.runs.row(0, named=True)


def trigger_log(run: str, at: float, body: str, **extra: Any) -> dict[str, Any]:
    return log(run, at, body, dialect="trigger_dev", **{"attempt": 1, **extra})


def test_a_run_whose_last_attempt_span_is_ok_is_completed() -> None:
    """The status of the last attempt span decides, and backoff is the gap between attempts."""
    run = one(build([attempt("r", 1, 0, 2, failed=True), attempt("r", 2, 5, 9)], []))
    assert (run["status"], run["status_source"]) == ("completed", "measured")
    assert (run["attempt_count"], run["attempt_count_source"]) == (2, "measured")
    assert run["backoff_ns"] == 3 * SECOND
    assert run["active_ns"] == 6 * SECOND


@pytest.mark.parametrize(("at", "status"), [(3, "retrying"), (182, "retrying"), (182.1, "failed")])
def test_a_failed_last_attempt_is_retrying_until_the_grace_has_passed(at: float, status: str) -> None:
    """Nothing in a failed attempt tells whether another follows, so time decides, and says so."""
    run = one(build([attempt("r", 1, 0, 2, failed=True, error_type="Error")], [], at=at))
    assert (run["status"], run["status_source"]) == (status, "inferred")
    assert run["error_type"] == "Error"
    assert (run["attempt_count"], run["attempt_count_source"]) == (
        1,
        "measured" if status == "retrying" else "inferred",
    )
    assert (run["due_ns"] is None) == (status == "failed")


FINAL = [("trigger_dev", ("failed", "measured")), ("generic", ("retrying", "inferred"))]


@pytest.mark.parametrize(("dialect", "judged"), FINAL)
def test_an_abort_is_final_at_once(dialect: str, judged: tuple[str, str]) -> None:
    """AbortTaskRunError means that nobody will retry; without the platform an error of that name means nothing."""
    aborted = attempt("r", 1, 0, 2, failed=True, error_type="AbortTaskRunError", dialect=dialect)
    run = one(build([aborted], [], at=3))
    assert (run["status"], run["status_source"]) == judged


@pytest.mark.parametrize(("dialect", "judged"), FINAL)
def test_the_failure_hook_makes_a_failure_final_at_once(dialect: str, judged: tuple[str, str]) -> None:
    """The platform calls onFailure() only after the last attempt; without it a span of that name means nothing."""
    hook = span("r", "onFailure()", 2, 2.1, span_type="hook", attempt=1, dialect=dialect)
    run = one(build([attempt("r", 1, 0, 2, failed=True, dialect=dialect), hook], [], at=3))
    assert (run["status"], run["status_source"]) == judged


@pytest.mark.parametrize("spans", [[], [attempt("r", 1, 0, 3, failed=True)]], ids=["no span", "its span failed"])
def test_a_canceled_run_needs_no_attempt_span(spans: list[dict[str, Any]]) -> None:
    """onCancel() proves a cancellation, of run and attempt, although the attempt's own span never came or failed."""
    hook = span("r", "onCancel()", 3, 3.1, span_type="hook", attempt=1)
    tables = build([*spans, hook], [trigger_log("r", 0, "crawl_run_started")])
    run = one(tables)
    assert (run["status"], run["status_source"]) == ("canceled", "measured")
    assert run["attempt_count"] == 1
    assert tables.attempts.select("status", "status_source").row(0) == ("canceled", "measured")


@pytest.mark.parametrize(("at", "status"), [(10, "running"), (3600, "running"), (3601, "unknown")])
def test_silence_makes_a_run_unknown_and_never_failed(at: float, status: str) -> None:
    """A run killed from outside leaves logs and no span: nothing proves how it ended."""
    tables = build([], [trigger_log("r", 0, "export_run_started")], at=at)
    run = one(tables)
    assert run["status"] == status
    assert tables.attempts["status"].to_list() == [status]
    assert (run["attempt_count"], run["attempt_count_source"]) == (
        (1, "measured") if status == "running" else (None, "unknown")
    )


def test_without_spans_only_completed_of_the_enclosing_operation_counts_for_trigger_dev() -> None:
    """Hooks and inner operations complete before the run does; a failing one may be retried."""
    inner = [
        trigger_log("r", 0, "document_onstart_completed"),
        trigger_log("r", 1, "document_process_started"),
        trigger_log("r", 2, "document_extract_completed"),
    ]
    assert one(build([], inner))["status"] == "unknown"
    failed = [*inner, trigger_log("r", 3, "document_process_failed")]
    assert one(build([], failed))["status"] == "unknown"
    completed = [*inner, trigger_log("r", 3, "document_process_completed")]
    run = one(build([], completed))
    assert (run["status"], run["status_source"], run["attempt_count"]) == ("completed", "phase", 1)


def test_an_operation_that_another_one_outlasts_does_not_complete_a_trigger_dev_run() -> None:
    """A first operation that ends before the next starts is a part, not the whole."""
    logs = [
        trigger_log("r", 0, "hook_run_started"),
        trigger_log("r", 1, "hook_run_completed"),
        trigger_log("r", 2, "document_process_started"),
    ]
    assert one(build([], logs))["status"] == "unknown"


@pytest.mark.parametrize("at", [11, LATER])
def test_a_later_attempt_proves_that_the_one_before_failed(at: float) -> None:
    """Only a failure is followed by another attempt, however lately."""
    tables = build(
        [],
        [
            trigger_log("r", 0, "a_run_started"),
            trigger_log("r", 9, "a_run_started", attempt=2),
            trigger_log("r", 10, "a_run_completed", attempt=2),
        ],
        at=at,
    )
    assert tables.attempts.select("number", "status", "status_source").rows() == [
        (1, "failed", "derived"),
        (2, "completed", "phase"),
    ]


def test_plain_logs_without_attempt_numbers_are_counted_by_restarts() -> None:
    """In the guideline's own format a retry shows as the same operation starting again after it failed."""
    tables = build(
        [],
        [
            log("g", 0, "order_process_started"),
            log("g", 1, "order_process_calling_stripe"),
            log("g", 2, "order_process_failed", error_type="Timeout"),
            log("g", 10, "order_process_started"),
            log("g", 12, "order_process_completed"),
        ],
    )
    run = one(tables)
    assert (run["status"], run["status_source"]) == ("completed", "phase")
    assert (run["attempt_count"], run["attempt_count_source"]) == (2, "derived")
    assert (run["task_id"], run["task_source"]) == ("order_process", "derived")
    assert tables.attempts["error_type"].to_list() == ["Timeout", None]
    assert tables.phases.select("phase", "called_service", "outcome", "attempt").rows() == [
        ("started", None, "failed", 1),
        ("calling", "stripe", "failed", 1),
        ("started", None, "completed", 2),
    ]


@pytest.mark.parametrize(("number", "source"), [(None, "derived"), (1, "derived"), (2, "measured")])
def test_a_count_is_measured_where_a_record_states_the_number_of_the_last_attempt(
    number: int | None, source: str
) -> None:
    """Spans that state none are counted; a log that states the first attempt's says nothing of how many follow."""
    spans = [attempt("r", None, 0, 2, failed=True), attempt("r", None, 5, 9)]
    run = one(build(spans, [trigger_log("r", 1 if number == 1 else 6, "hello", attempt=number)]))
    assert (run["attempt_count"], run["attempt_count_source"]) == (2, source)


def test_the_terminal_phase_of_the_outermost_operation_decides_plain_runs() -> None:
    """An inner failure that the outer operation survives does not fail the run."""
    logs = [
        log("g", 0, "order_process_started"),
        log("g", 1, "mail_send_started"),
        log("g", 2, "mail_send_failed"),
        log("g", 3, "order_process_completed"),
    ]
    assert one(build([], logs))["status"] == "completed"


def test_a_run_of_several_operations_starts_with_the_first_and_ends_with_the_last() -> None:
    """Operations that follow each other are one run; the last decides how it ended, the first when it began."""
    logs = [
        log("g", 0, "order_load_started"),
        log("g", 1, "order_load_completed"),
        log("g", 2, "order_process_started"),
        log("g", 4, "order_process_completed"),
    ]
    run = one(build([], logs))
    assert run["status"] == "completed"
    assert run["ended_ns"] - run["started_ns"] == 4 * SECOND


def test_a_repeated_completed_operation_is_not_a_retry() -> None:
    """Starting again after completing is more work, not another attempt."""
    logs = [log("g", t, f"page_fetch_{phase}") for t, phase in enumerate(["started", "completed"] * 3)]
    assert one(build([], logs))["attempt_count"] == 1


def test_a_partial_span_shows_a_run_as_running_until_its_real_span_arrives() -> None:
    """The platform announces a span as it opens; the announcement vanishes when the span itself comes."""
    announced = attempt("r", 1, 0, None)
    assert one(build([announced], [], at=5))["status"] == "running"
    tables = build([announced, attempt("r", 1, 0, 2)], [], at=5)
    assert one(tables)["status"] == "completed"
    assert one(tables)["span_count"] == 1


def test_waits_inside_an_attempt_are_not_active_time_and_overlaps_count_once() -> None:
    """Active is wall time less the union of waits."""
    waits = [
        span("r", "wait.for()", 1, 4, span_type="wait", wait_kind="for", attempt=1),
        span("r", "triggerAndWait()", 3, 6, span_type="trigger", wait_kind="child", attempt=1),
    ]
    tables = build([attempt("r", 1, 0, 10), *waits], [])
    assert tables.attempts.select("wall_ns", "wait_ns", "active_ns").row(0) == (
        10 * SECOND,
        5 * SECOND,
        5 * SECOND,
    )


def test_an_open_wait_makes_a_fresh_run_waiting() -> None:
    """A wait that was announced and has not ended is what the run is doing."""
    spans = [
        attempt("r", 1, 0, None),
        span("r", "wait.for()", 1, None, span_type="wait", wait_kind="for", attempt=1),
    ]
    assert one(build(spans, [], at=5))["status"] == "waiting"


def _link(**extra: Any) -> pl.DataFrame:
    row = {
        "project": "default",
        "run_key": "child",
        "run_id": "run_child",
        "dialect": "trigger_dev",
        "environment": "PRODUCTION",
        "task_id": "extract-text",
        "parent_run_key": "p",
        "parent_run_id": "run_parent",
        "root_run_id": "run_root",
        "source": "derived",
        "started_ns": T0,
        "ended_ns": None,
        "waits": False,
    }
    return pl.DataFrame([{**row, **extra}], schema=runs.LINKS)


def test_a_child_known_only_from_its_parent_has_a_row() -> None:
    """It is queued while fresh, unknown when stale, and its task and parent are derived."""
    run = one(build([], [], _link(), at=5))
    assert (run["run_id"], run["task_id"], run["task_source"]) == ("run_child", "extract-text", "derived")
    assert (run["parent_run_id"], run["parent_source"], run["root_run_id"]) == (
        "run_parent",
        "derived",
        "run_root",
    )
    assert (run["status"], run["status_source"], run["coverage"]) == ("queued", "derived", "link")
    assert run["attempt_count"] is None
    assert one(build([], [], _link(), at=3700))["status"] == "unknown"


@pytest.mark.parametrize(("waits", "status"), [(True, "unknown"), (False, "queued")])
def test_a_child_whose_waiting_parent_went_on_has_ended_somehow(waits: bool, status: str) -> None:
    """The span of a parent that waits ends after the child's run, but does not say how that went; that of one that
    does not wait says nothing.
    """
    assert one(build([], [], _link(ended_ns=T0 + SECOND, waits=waits), at=5))["status"] == status


OPEN: dict[str, dict[str, Any]] = {
    "queued": {"spans": [], "links": _link()},
    "running": {"spans": [attempt("r", 1, 0, None)]},
    "waiting": {
        "spans": [
            attempt("r", 1, 0, None),
            span("r", "wait.for()", 1, None, span_type="wait", wait_kind="for", attempt=1),
        ]
    },
    "retrying": {"spans": [attempt("r", 1, 0, 2, failed=True)]},
}


@pytest.mark.parametrize("status", words.OPEN)
def test_the_clock_changes_a_status_when_it_is_due_and_not_before(status: str) -> None:
    """An open run says to the nanosecond when its status is another one if nothing more arrives."""

    def at_ns(ns: int) -> dict[str, Any]:
        return one(build(**OPEN[status], logs=[], at=(ns - T0) / SECOND))

    due = at_ns(T0 + 5 * SECOND)["due_ns"]
    assert [at_ns(ns)["status"] for ns in (due - 1, due)] == [status, "failed" if status == "retrying" else "unknown"]


def test_queue_wait_runs_from_the_start_of_the_trigger_span() -> None:
    """The trigger span's end comes after the child's, so its start is when the child was queued."""
    child = attempt("run_child", 1, 2, 4)
    run = one(build([child], [], _link(run_key=child["run_key"], ended_ns=T0 + 5 * SECOND, waits=True)))
    assert (run["queue_wait_ns"], run["queue_wait_source"]) == (2 * SECOND, "derived")
    assert run["end_to_end_ns"] == 4 * SECOND
    run = one(build([child], [], _link(run_key=child["run_key"], ended_ns=T0 + SECOND)))
    assert (run["queue_wait_ns"], run["queue_wait_source"], run["queued_source"]) == (2 * SECOND, *["inferred"] * 2)


@pytest.mark.parametrize(
    ("key", "late", "made"), [(None, 600, True), (None, 601, False), ("k", 10, True), ("k", 11, False), ("k", -5, True)]
)
@pytest.mark.parametrize("lasts", [5, 5000])
def test_a_trigger_that_begins_after_a_run_did_not_make_it(lasts: int, key: str | None, late: int, made: bool) -> None:
    """It tells neither its parent, its root nor how long it waited, ended or not, but for what clocks may differ: ten
    minutes, or ten seconds where the run has an idempotency key by which it is handed on.
    """
    child = attempt("run_child", 1, -late, lasts - late, idempotency_key=key)
    run = one(build([child], [], _link(run_key=child["run_key"])))
    parent = ("run_parent", "derived", "run_root") if made else (None, "unknown", "run_child")
    assert (run["parent_run_id"], run["parent_source"], run["root_run_id"]) == parent
    times = (max(-late, 0) * SECOND, (lasts + max(-late, 0)) * SECOND) if made else (None, None)
    assert (run["queue_wait_ns"], run["end_to_end_ns"]) == times
    assert (run["created_ns"], run["queued_ns"]) == (T0, T0 if made else None)


@pytest.mark.parametrize(
    ("waited", "late", "made"), [(189, 300, False), (190, 300, True), (1, 10, True), (1, 11, False)]
)
def test_a_trigger_that_waited_for_less_than_the_run_took_was_handed_it(waited: int, late: int, made: bool) -> None:
    """By the parent's clock alone: a run of 200 s was not made by what waited for less, and began after it."""
    child = attempt("run_child", 1, -late, 200 - late)
    link = _link(run_key=child["run_key"], ended_ns=T0 + waited * SECOND, waits=True)
    assert one(build([child], [], link))["parent_run_id"] == ("run_parent" if made else None)
    asked = link.with_columns(waits=pl.lit(False))  # it did not wait, so it says nothing
    assert one(build([child], [], asked))["parent_run_id"] == "run_parent"


def test_what_a_run_says_of_its_parent_outlives_a_late_trigger() -> None:
    """Its parent triggered it again by its key when it was over: it stays its child; how long it waited is unknown."""
    child = attempt("run_child", 1, -100, -50, idempotency_key="k")
    run = one(build([child], [], _link(run_key=child["run_key"], source="measured")))
    assert (run["parent_run_id"], run["parent_source"], run["root_run_id"]) == ("run_parent", "measured", "run_root")
    assert (run["queue_wait_ns"], run["end_to_end_ns"]) == (None, None)


@pytest.mark.parametrize(
    ("body", "started", "waited"), [("a_run_started", "derived", "derived"), ("hello", "inferred", "inferred")]
)
def test_a_start_without_a_span_is_as_well_known_as_the_log_it_is_told_from(
    body: str, started: str, waited: str
) -> None:
    """The start of an operation gives that of the attempt, any other log only a time by which it had begun."""
    says = trigger_log("run_child", 2, body)
    tables = build([], [says], _link(run_key=says["run_key"], waits=True))
    assert tables.attempts["started_source"].to_list() == [started]
    run = one(tables)
    assert (run["started_source"], run["queue_wait_ns"], run["queue_wait_source"]) == (started, 2 * SECOND, waited)


def test_what_a_run_says_of_its_own_wait_beats_its_parent() -> None:
    """A run triggered with a delay is due later than its parent's span says, and its own records tell since when."""
    child = attempt("run_child", 1, 60, 64)
    says = trigger_log("run_child", 60, "order_process_started", queue_wait_ms=500.0)
    run = one(build([child], [says], _link(run_key=child["run_key"])))
    assert (run["queue_wait_ns"], run["queue_wait_source"]) == (SECOND // 2, "measured")
    assert (run["created_ns"], run["queued_ns"]) == (T0, T0 + 60 * SECOND - SECOND // 2)


def test_the_wait_of_a_retry_is_not_the_wait_of_its_run() -> None:
    """Only the second attempt says how long it waited, so how long the run did is unknown."""
    says = trigger_log("r", 31, "order_process_started", attempt=2, queue_wait_ms=5000.0)
    tables = build([attempt("r", 1, 0, 10, failed=True), attempt("r", 2, 30, 40)], [says])
    assert (one(tables)["queue_wait_ns"], one(tables)["queue_wait_source"]) == (None, "unknown")
    assert tables.attempts["queue_wait_ns"].to_list() == [None, 5 * SECOND]


def test_a_lost_first_attempt_is_no_time_in_the_queue() -> None:
    """When nothing is left of the first attempt, nobody knows when the run started: the time up to the second is not
    taken for a wait, nor what is left for its execution."""
    child = attempt("run_child", 2, 30, 40)
    tables = build([child], [], _link(run_key=child["run_key"]))
    run = one(tables)
    assert (run["started_source"], run["queue_wait_ns"], run["queue_wait_source"]) == ("unknown", None, "unknown")
    assert run["end_to_end_ns"] == 40 * SECOND
    lasted = durations.values(tables.runs, tables.attempts, as_of_ns=T0 + 60 * SECOND).collect()
    assert lasted.filter(measure="execution").is_empty()
    runs = tables.runs.with_columns(queue=pl.lit("mail"))
    waiting = slots.queued(runs, tables.attempts, tables.waits, as_of_ns=T0 + 60 * SECOND)
    assert waiting.collect()["from_ns"].to_list() == [None, None]


def test_a_failed_child_is_final_once_its_waiting_parent_went_on() -> None:
    """A parent that waits sees only the end of all attempts."""
    child = attempt("run_child", 1, 2, 4, failed=True)
    for ended, judged in ((5, ("failed", "derived")), (4, ("failed", "derived")), (3, ("retrying", "inferred"))):
        link = _link(run_key=child["run_key"], ended_ns=T0 + ended * SECOND, waits=True)
        run = one(build([child], [], link, at=6))
        assert (run["status"], run["status_source"]) == judged


def test_clocks_that_run_backwards_never_give_negative_durations() -> None:
    """A child that seems to start before it was triggered waited 0 and took what it worked; an end before the start is
    no duration.
    """
    child = attempt("run_child", 1, -2, 4)
    run = one(build([child], [], _link(run_key=child["run_key"])))
    assert (run["queue_wait_ns"], run["active_ns"], run["end_to_end_ns"]) == (0, 6 * SECOND, 6 * SECOND)
    child = attempt("run_child", 1, -300, -290)  # ended before it was queued, by its clock
    run = one(build([child], [], _link(run_key=child["run_key"])))
    assert (run["queue_wait_ns"], run["active_ns"], run["end_to_end_ns"]) == (0, 10 * SECOND, 10 * SECOND)
    backwards = attempt("r", 1, 5, 4, duration_ns=None)
    assert one(build([backwards], []))["active_ns"] in (0, None)


@pytest.mark.parametrize(("beyond", "sources"), [(0, ("derived", "inferred")), (1, ("unknown", "unknown"))])
def test_a_time_that_nothing_lasts_from_is_unknown(beyond: int, sources: tuple[str, str]) -> None:
    """A year and a day before the run was last seen an attempt may have begun and ended, a second more it has not."""
    last = LONGEST_NS // SECOND + beyond
    again = trigger_log("r", last, "a_run_started", attempt=2, received_ns=T0 + last * SECOND)
    tables = build([], [trigger_log("r", 0, "a_run_started"), again], at=last)
    first = tables.attempts.row(0, named=True)
    assert (first["started_source"], first["ended_source"]) == sources
    assert {first["started_ns"], first["ended_ns"]} == ({T0, T0 - 1} if beyond == 0 else {None})


@pytest.mark.parametrize(("took", "late"), [(600, 0), (601, 601)])
def test_a_span_that_began_by_no_clock_had_ended_when_it_arrived(took: int, late: int) -> None:
    """Its arrival stands in for its start, but for what clocks may differ no later than for its end."""
    unset = attempt("r", 1, 0, took, start_time_unix_nano=5, end_time_unix_nano=5 + took * SECOND)
    (times,) = build([unset], []).attempts.select("started_ns", "ended_ns").rows()
    assert times == (T0 - late * SECOND, T0 + (took - late) * SECOND)


def test_logs_alone_leave_waits_unknown_not_zero() -> None:
    """Without spans nobody would have told of a wait."""
    tables = build([], [log("g", 0, "a_run_started"), log("g", 2, "a_run_completed")])
    assert tables.attempts.select("wall_ns", "wait_ns", "active_ns").row(0) == (2 * SECOND, None, None)


def test_parts_of_a_run_name_it_although_their_own_records_do_not() -> None:
    """A log found through its span states neither run id nor task, yet its attempt and phase belong to a named run."""
    named = attempt("r", 1, 0, 2, task_id="charge", queue="payments")
    adopted = trigger_log("r", 1, "order_process_started", run_id=None)
    alone = log("g", 1, "order_process_started")
    tables = build([named], [adopted, alone])
    assert dict(tables.phases.select("run_key", "run_id").rows()) == {named["run_key"]: "r", alone["run_key"]: "g"}
    assert set(tables.attempts.select("run_id", "task_id", "queue").rows()) == {
        ("r", "charge", "payments"),
        ("g", "order_process", None),
    }


@pytest.mark.parametrize("reverse", [False, True])
def test_records_that_claim_one_identity_are_told_apart_by_value_not_by_arrival(reverse: bool) -> None:
    """Where two records are the same to their identity but not in every column, the same one counts in any order."""
    spans = [attempt("r", 1, 0, 2, machine=m, status_message=m) for m in ("small", "large")]
    logs = [trigger_log("r", 1, "hello", machine=m, seq=seq) for seq, m in enumerate(("zed", "abc"))]
    parents = [log("g", 1, "x", parent_run_id=p, trace_id=p, queue_wait_ms=w) for p, w in (("q", 1.0), ("p", 2.0))]
    if reverse:
        for records in (spans, logs, parents):
            records.reverse()
        for seq, record in enumerate(logs):
            record["seq"] = seq
    g, r = sorted(build(spans, [*logs, *parents]).runs.to_dicts(), key=lambda run: run["run_id"])
    assert (r["machine"], r["log_count"], r["span_count"]) == ("large", 1, 1)
    assert (g["parent_run_id"], g["queue_wait_ns"]) == ("p", 2_000_000)


OTHER = {"observed_time_unix_nano": T0, "attributes": '{"n":1}', "body": "other", "trace_id": "a", "span_id": "b"}


@pytest.mark.parametrize("column", OTHER)
def test_records_that_differ_in_their_identity_are_two(column: str) -> None:
    """A log is known by its times, ids, body and attributes, a span by its trace and span id; machines tell nothing."""
    changed = {"machine": "m", column: OTHER[column]}
    logs = [trigger_log("r", 1, "hello"), trigger_log("r", 1, "hello") | changed]
    spans = [span("r", "work", 1, 2), span("r", "work", 1, 2) | changed] if column in SPAN_IDS else []
    run = one(build(spans, logs))
    assert (run["log_count"], run["span_count"]) == (2, len(spans))


def test_an_attempt_holds_its_slot_from_when_it_was_dequeued() -> None:
    """A process that had to start first held the slot meanwhile, and its run was seen then."""
    tables = build([attempt("r", 1, 3, 9, queue="mail", dequeued_ns=T0 + SECOND)], [])
    run = one(tables)
    assert (run["first_seen_ns"], run["started_ns"]) == (T0 + SECOND, T0 + 3 * SECOND)
    held = slots.slots(tables.runs, tables.attempts, tables.waits, as_of_ns=T0 + 60 * SECOND, lease_ns=0).collect()
    assert held.select("from_ns", "to_ns").rows() == [(T0 + SECOND, T0 + 9 * SECOND)]
    wrong = build([attempt("r", 1, 3, 9, queue="mail", dequeued_ns=T0 + 4 * SECOND)], [])
    assert wrong.attempts["dequeued_ns"].to_list() == [None]


def sync(*steps: tuple[float, str, int | None]) -> list[dict[str, Any]]:
    """Return logs of a run: seconds, message, attempt."""
    return [log("r", at, body, attempt=number) for at, body, number in steps]


DIED_IN = {
    "the second attempt": sync(
        *((0, "sync_started", 1), (1, "sync_failed", 1), (5, "sync_started", 2)),
        *((5, "fetch_started", 2), (6, "fetch_completed", 2)),
    ),
    "the second attempt, after a failure inside": sync(
        *((0, "sync_started", 1), (1, "sync_failed", 1), (5, "sync_started", 2)),
        *((5.1, "fetch_started", 2), (6, "fetch_failed", 2)),
    ),
    "the second attempt, unnumbered": sync(
        *((0, "sync_started", None), (1, "sync_failed", None), (5, "sync_started", None)),
        *((5.1, "fetch_started", None), (6, "fetch_completed", None)),
    ),
    "the second attempt, the first of which was killed": sync(
        *((0, "sync_started", None), (0.1, "fetch_started", None), (5, "sync_started", None)),
        *((5.1, "fetch_started", None), (6, "fetch_completed", None)),
    ),
    "the first moment": sync((0, "sync_started", 1), (0, "fetch_started", 1), (1, "fetch_completed", 1)),
    "the first moment, all of it": sync((0, "sync_started", 1), (0, "fetch_started", 1), (0, "fetch_completed", 1)),
    "the second attempt, whose start was lost": sync(
        *((0, "sync_started", 1), (0.5, "fetch_started", 1), (0.6, "fetch_completed", 1), (1, "sync_failed", 1)),
        *((5, "fetch_started", 2), (6, "fetch_completed", 2)),
    ),
}


@pytest.mark.parametrize("name", DIED_IN)
def test_an_inner_operation_ends_no_run(name: str) -> None:
    """Whichever attempt it is in and however coarse its clock: the run goes on, and is unknown after silence."""
    logs = DIED_IN[name]
    numbers = 2 if "second" in name else 1
    for order in (logs, logs[::-1]):
        run = one(build([], order, at=10))
        assert (run["status"], run["status_source"], run["attempt_count"]) == ("running", "inferred", numbers)
        assert one(build([], order))["status"] == "unknown"
        ended = [*order, log("r", 7, "sync_completed", attempt=logs[-1]["attempt"])]
        run = one(build([], ended, at=10))
        assert (run["status"], run["status_source"], run["attempt_count"]) == ("completed", "phase", numbers)


@pytest.mark.parametrize("end", ["order_charge_completed", "order_charge_failed"])
def test_a_run_of_which_only_the_end_was_seen_took_nobody_knows_how_long(end: str) -> None:
    """Neither 0 nor anything else: its end precedes its start, as where clocks ran backwards."""
    tables = build([], [log("r", 5, end, attempt=1)])
    attempt_, run = tables.attempts.row(0, named=True), one(tables)
    assert (attempt_["wall_ns"], attempt_["started_ns"] - attempt_["ended_ns"]) == (None, 1)
    assert (run["started_ns"] - run["ended_ns"], run["end_to_end_ns"], run["active_ns"]) == (1, None, None)


def test_an_attempt_of_which_only_the_start_was_seen_lasted_nobody_knows_how_long() -> None:
    """That another followed proves that it failed, not when."""
    logs = [
        log("r", 0, "order_charge_started", attempt=1),
        log("r", 9, "order_charge_started", attempt=2),
        log("r", 12, "order_charge_completed", attempt=2),
    ]
    tables = build([], logs)
    assert tables.attempts.select("status", "wall_ns").rows() == [("failed", None), ("completed", 3 * SECOND)]
    assert one(tables)["backoff_ns"] is None


def test_a_span_that_took_no_time_took_none() -> None:
    """Where start and end are seen, 0 is what they say; so do logs of one moment."""
    assert build([attempt("r", 1, 3, 3)], []).attempts["wall_ns"].item() == 0
    logs = [log("r", 3, f"o_{phase}", attempt=1) for phase in ("started", "completed")]
    assert build([], logs).attempts["wall_ns"].item() == 0


@pytest.mark.parametrize("end", ["completed", "failed"])
def test_a_numbered_attempt_has_ended_whatever_its_clock_says(end: str) -> None:
    """An end that is stamped before its start, for a clock that was set back; how long it took is unknown."""
    logs = [log("r", 5, "order_charge_started", attempt=1), log("r", 4, f"order_charge_{end}", attempt=1)]
    tables = build([], logs, at=10)
    assert tables.attempts.select("status", "status_source", "wall_ns").row(0) == (end, "phase", None)
    again = [*logs, log("r", 60, "order_charge_started", attempt=1)]
    assert build([], again, at=61).attempts["status"].item() == "running"


def test_times_of_a_clock_that_is_ahead_are_as_far_apart_as_it_says() -> None:
    """Of each sender by itself, the latest record no later than it arrived; also where it arrives again."""
    hour = 3600

    def ahead(at: float, body: str, arrives: float, sender: str = "a") -> dict[str, Any]:
        arrived = T0 + round(arrives * SECOND)
        row = log("r", at + hour, body, attempt=1, resource_id=sender, received_ns=arrived)
        return {**row, "time_source": "time_future", "time": log("r", arrives, body)["time"]}

    start, end = ahead(0, "o_started", 31), ahead(30, "o_completed", 31)
    for records in ([start, end], [start, end, ahead(0, "o_started", 900)], [ahead(0, "o_started", 2), end]):
        tables = build([], records)
        attempt_ = tables.attempts.row(0, named=True)
        assert (attempt_["status"], attempt_["wall_ns"]) == ("completed", 30 * SECOND)
        assert attempt_["ended_ns"] == T0 + 31 * SECOND
    other = ahead(-hour, "hello", 10, "b")
    assert build([], [start, end, other]).attempts["wall_ns"].item() == 30 * SECOND


FATES = {
    **{"s": "started", "c": "completed", "f": "failed", "x": "skipped"},
    **{"k": "canceled", "K": "cancelled", "i": "interrupted", "r": "retrying"},
}


def word(letter: str) -> str:
    """Return the phase that a letter stands for."""
    return FATES[letter]


DELIVERED: dict[str, tuple[str, int | None, int, int]] = {
    # phases (-: something else) and their seconds; attempt; deliveries; seconds of work
    "once": ("s0 c10", 1, 1, 10),
    "again after its end": ("s0 c10 s3600 c3610", 1, 2, 20),
    "again after its end, unnumbered": ("s0 c10 s3600 c3610", None, 2, 20),
    "again after silence": ("s0 s3600 c3610", 1, 2, 10),
    "again after a sign of life": ("s0 -50 s3600 c3610", 1, 2, 60),
    "three times": ("s0 -5 s100 -107 s1000 c1001", 1, 3, 13),
    "beside itself": ("s0 s5 c20 c30", 1, 1, 30),
    "again after a failure": ("s0 f10 s100 c130", 1, 2, 40),
}


@pytest.mark.parametrize("name", DELIVERED)
def test_nobody_works_between_two_deliveries_of_an_attempt(name: str) -> None:
    """Wall time is what the clocks say; work leaves out the time to the next start, as do its slot and statistics."""
    told, number, deliveries, active = DELIVERED[name]
    logs = []
    for item in told.split():
        at = float(item[1:])
        body = "still at it" if item[0] == "-" else f"order_charge_{word(item[0])}"
        logs.append(log("r", at, body, attempt=number, task_id="t", queue="q"))
    for order in (logs, logs[::-1]):
        tables = build([], order)
        row, run = tables.attempts.row(0, named=True), one(tables)
        wall = row["ended_ns"] - row["started_ns"]
        assert (row["deliveries"], row["wall_ns"], run["attempt_count"]) == (deliveries, wall, 1)
        assert (row["idle_ns"], run["idle_ns"]) == (wall - active * SECOND, wall - active * SECOND)
        assert row["active_ns"] == (None if deliveries == 1 else active * SECOND)
        lasting = durations.values(tables.runs, tables.attempts, as_of_ns=T0 + 10**6 * SECOND).collect()
        lasted = lasting.filter(pl.col("measure").is_in(["execution", "attempt"]))
        assert lasted["value_ns"].to_list() == [active * SECOND] * 2
        assert lasted["weakness"].to_list() == [1 if deliveries == 1 else 2] * 2
        held = slots.slots(
            tables.runs, tables.attempts, tables.waits, as_of_ns=T0 + 10**6 * SECOND, lease_ns=0
        ).collect()
        assert (held["to_ns"] - held["from_ns"]).sum() == active * SECOND


def test_a_span_tells_that_an_attempt_was_delivered_once() -> None:
    """What an operation does within it is a loop, as it is in Trigger.dev's attempts whose span was lost."""
    logs = [log("r", at, f"sync_{word(letter)}") for at, letter in ((0, "s"), (1, "c"), (50, "s"), (51, "c"))]
    whole = attempt("r", 1, 0, 60, dialect="generic")
    row = build([whole], logs).attempts.row(0, named=True)
    assert (row["deliveries"], row["idle_ns"], row["active_ns"]) == (1, 0, 60 * SECOND)
    alone = [trigger_log("t", at, f"sync_{word(letter)}") for at, letter in ((0, "s"), (1, "c"), (50, "s"), (51, "c"))]
    row = build([], alone).attempts.row(0, named=True)
    assert (row["deliveries"], row["idle_ns"], row["active_ns"]) == (1, 0, None)


FATE: dict[str, tuple[str, float, tuple[str, str, str | None], list[str]]] = {
    # phases and their seconds; when it is told; status, its source and outcome; statuses of the attempts
    "canceled": ("s0 k10", 20, ("canceled", "phase", None), ["canceled"]),
    "cancelled": ("s0 K10", 90_000, ("canceled", "phase", None), ["canceled"]),
    "skipped": ("s0 x10", 20, ("completed", "phase", "skipped"), ["completed"]),
    "interrupted": ("s0 i10", 20, ("queued", "phase", None), ["interrupted"]),
    "interrupted, and silence": ("s0 i10", 90_000, ("unknown", "unknown", None), ["interrupted"]),
    "interrupted and taken up": ("s0 i10 s100", 110, ("running", "inferred", None), ["running"]),
    "interrupted and taken up to its end": ("s0 i10 s100 c120", 130, ("completed", "phase", None), ["completed"]),
    "retrying": ("s0 r10", 1000, ("retrying", "phase", None), ["failed"]),
    "failed and retrying": ("s0 f10 r10", 1000, ("retrying", "phase", None), ["failed"]),
    "retrying, and silence": ("s0 r10", 90_000, ("unknown", "unknown", None), ["failed"]),
    "retrying, and tried again": ("s0 r10 s60 c70", 80, ("completed", "phase", None), ["failed", "completed"]),
    "completed, then canceled": ("s0 c10 k11", 20, ("canceled", "phase", None), ["canceled"]),
    "canceled, then completed": ("s0 k10 c11", 20, ("completed", "phase", None), ["completed"]),
    "canceled by somebody who did not start it": ("k10", 20, ("UNTOLD", "", None), []),
}


@pytest.mark.parametrize("name", FATE)
def test_an_operation_says_what_became_of_it(name: str) -> None:
    """Canceled, interrupted, skipped, or to be tried again; of two ends the later counts, in any order of arrival."""
    told, at, expected, attempts_ = FATE[name]
    logs = [
        log("r", float(i[1:]), f"order_charge_{word(i[0])}", task_id="t", operation=None, phase=None)
        for i in told.split()
    ]
    core = {"started", "completed", "failed"}
    for row in logs:
        ended = row["body"].removeprefix("order_charge_")
        row |= {"operation": "order_charge", "phase": ended} if ended in core else {}
    for order in (logs, logs[::-1]):
        tables = build([], order, at=at)
        run = one(tables)
        if expected[0] == "UNTOLD":
            assert (run["status"], tables.attempts.height, tables.phases.height) == ("running", 0, 0)
            continue
        assert (run["status"], run["status_source"], run["outcome"]) == expected
        assert tables.attempts["status"].to_list() == attempts_
        assert (run["due_ns"] is None) == (run["status"] in ("completed", "canceled", "unknown"))


SAID: dict[str, tuple[tuple[str, str, str | None], tuple[str, str, str | None]]] = {
    # how logs say that it ended; then status, its source and outcome of the run and of its attempt
    "completed": (("completed", "phase", None), ("completed", "phase", None)),
    "failed": (("retrying", "inferred", None), ("failed", "phase", None)),
    "canceled": (("canceled", "phase", None), ("canceled", "phase", None)),
    "skipped": (("completed", "phase", "skipped"), ("completed", "phase", "skipped")),
    "retrying": (("retrying", "phase", None), ("failed", "phase", None)),
    "interrupted": (("queued", "phase", None), ("interrupted", "phase", None)),
}
WELL, ILL = (("completed", "measured", None),) * 2, (("retrying", "inferred", None), ("failed", "measured", None))
ENDED = {
    # status of the span, its dialect, what ends of `sync` and its step; how run and attempt stand whatever logs say
    "no span": (None, "generic", "sync_", None),
    "UNSET": (0, "generic", "sync_", None),
    "OK": (1, "generic", "sync_", WELL),
    "ERROR": (2, "generic", "sync_", ILL),
    "UNSET, and a step ends": (0, "generic", "mail_send_", WELL),
    "UNSET of Trigger.dev": (0, "trigger_dev", "sync_", WELL),
}


@pytest.mark.parametrize("name", ENDED)
def test_logs_say_how_an_attempt_ended_whose_span_states_no_status(name: str) -> None:
    """Those of its outermost operation; OK and ERROR decide, as Trigger.dev does. Its times are those of the span."""
    code, dialect, step, told = ENDED[name]
    logs = [
        log(end, at, body, dialect=dialect, attempt=1, error_type="E")
        for end in SAID
        for body, at in {f"{step}started": 1, "sync_started": 0, f"{step}{end}": 9}.items()
    ]
    spans = [attempt(end, 1, 0, 10, dialect=dialect, status_code=code) for end in SAID if code is not None]
    tables = build(spans, logs, at=20)
    rows = zip(tables.runs.sort("run_id").to_dicts(), tables.attempts.sort("run_id").to_dicts(), strict=True)
    for (end, said), (run, tried) in zip(sorted(SAID.items()), rows, strict=True):
        expected = told or (WELL if code == 0 and end == "completed" else said)
        assert tuple((r["status"], r["status_source"], r["outcome"]) for r in (run, tried)) == expected
        assert (tried["started_ns"], tried["ended_ns"]) == (T0, T0 + (9 if code is None else 10) * SECOND)
        assert tried["ended_source"] == ("derived" if code is None else "measured")
        failing = end in ("failed", "retrying", "canceled") and expected != WELL
        assert run["error_type"] == tried["error_type"] == ("E" if failing else None)


def test_time_in_which_a_run_is_interrupted_is_no_work_and_holds_no_slot() -> None:
    """From its interruption to when it is taken up again, and while it is not."""
    logs = [
        log("r", at, f"order_charge_{word(letter)}", queue="q")
        for at, letter in ((0, "s"), (10, "i"), (100, "s"), (120, "c"))
    ]
    logs[1] |= {"operation": None, "phase": None}
    for until, held_s in ((2, 10), (4, 30)):
        tables = build([], logs[:until], at=130)
        held = slots.slots(tables.runs, tables.attempts, tables.waits, as_of_ns=T0 + 130 * SECOND, lease_ns=0).collect()
        assert (held["to_ns"] - held["from_ns"]).sum() == held_s * SECOND
    assert tables.attempts.select("deliveries", "active_ns").row(0) == (2, 30 * SECOND)


def test_a_run_that_was_skipped_says_nothing_of_how_long_such_runs_take() -> None:
    """Neither the run nor its attempt is in any duration."""
    logs = [
        log("r", 0, "order_charge_started"),
        {**log("r", 5, "order_charge_skipped"), "operation": None, "phase": None},
    ]
    tables = build([], logs)
    assert tables.attempts["wall_ns"].item() == 5 * SECOND
    assert durations.values(tables.runs, tables.attempts, as_of_ns=T0 + 10**6 * SECOND).collect().is_empty()


def test_the_fate_of_an_inner_operation_is_that_of_its_step() -> None:
    """The run goes on."""
    logs = [log("r", 0, "order_sync_started"), log("r", 1, "mail_send_started"), log("r", 2, "mail_send_skipped")]
    logs[2] |= {"operation": None, "phase": None}
    tables = build([], logs, at=10)
    assert one(tables)["status"] == "running"
    assert dict(tables.phases.select("operation", "outcome").rows()) == {
        "order_sync": "unknown",
        "mail_send": "skipped",
    }


THINGS = ("order", "payment", "invoice", "refund", "booking", "ticket", "subscription", "delivery", "job", "upload")


@pytest.mark.parametrize("fate", ["canceled", "cancelled", "interrupted", "skipped", "retrying"])
def test_what_happens_to_things_is_an_event_and_changes_nothing(fate: str) -> None:
    """`order_canceled` within `order_sync` is what the task is about, as are fifty of its kind."""
    around = [log("r", 0, "order_sync_started", attempt=1), log("r", 9, "order_sync_completed", attempt=1)]
    of_other = log("r", -50, "order_started", attempt=2, run_id="other", run_key="other")
    for thing in THINGS:
        event = {**log("r", 5, f"{thing}_{fate}", attempt=1), "operation": None, "phase": None}
        before, after = build([], around, at=10), build([], [*around, event, of_other], at=10)
        mine = pl.col("run_id") == "r"
        assert after.phases.filter(mine).equals(before.phases)
        assert after.attempts.filter(mine).equals(before.attempts)
        counts = ["log_count", "last_seq"]
        assert after.runs.filter(mine).drop(counts).equals(before.runs.drop(counts))
