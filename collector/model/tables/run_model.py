"""The run model: runs, attempts, phases and waits as all their records together tell them; limits and findings.

A column `…_source` says how the value it is named after is known (`model.words.Source`).
"""

from __future__ import annotations

from collector.model.tables.column import (
    PROJECT,
    Column,
    Table,
    bigint,
    boolean,
    double,
    integer,
    timestamp,
    varchar,
    varchars,
)

# fmt: off
_RUN_KEY = varchar("run_key", "Hash of project, dialect, environment and run id, and where that is a bare number of "
    "service and queue; 32 hex digits: joins the tables of a run.")
_RUN_ID = varchar("run_id", "Run id as its platform or logger gave it; several runs may share one: in other "
    "environments, and bare numbers of other services or queues.")


def _bounds(what: str) -> tuple[Column, Column]:
    """Return start and end of *what* as timestamps."""
    return (
        timestamp("started_at", f"Start of the {what} (`started_ns`) as a timestamp, UTC in microseconds."),
        timestamp("ended_at", f"End of the {what} (`ended_ns`) as a timestamp, UTC in microseconds."),
    )


RUNS = Table(
    "One run of a task, told by all its records and worked out anew when one arrives; also one that only its parent "
    "names.",
    ("project", "run_key"),
    (
        PROJECT,
        _RUN_KEY,
        _RUN_ID,
        varchar("dialect", "Whose keys its records are read by: `trigger_dev` or `generic` (plain OpenTelemetry)."),
        varchar("task_id", "Task of the run; NULL when nothing names one."),
        varchar("task_source", "How `task_id` is known: measured (its records state it), derived (its parent's span "
            "names it, else it is the operation that encloses the others), inferred (from keys in a body or a map, "
            "`logs.keys_from`), unknown."),
        varchar("task_file", "Source file of the task, as the first record that has one states; NULL when none."),
        varchar("queue", "Queue of the run, as the first record that has one states; NULL when none."),
        varchar("queue_source", "How `queue` is known: measured (a record states it), inferred (from keys in a body or "
            "a map) or unknown."),
        varchar("environment", "Environment, such as `PRODUCTION`, as the first record that has one or the parent's "
            "span states; NULL when none."),
        varchar("platform_project", "Project of the platform that runs it, such as Trigger.dev's, as the first record "
            "that has one or the parent's span states; NULL when none."),
        varchar("version", "Version of the task's code that its last attempt ran on, of those whose own records state "
            "one; else as the first record states that has one. NULL when none does."),
        varchar("priority", "Priority of the run, a word or a number, as its first log that has one states; NULL when "
            "none."),
        varchar("machine", "Machine size or host, as the first record that has one states; NULL when none."),
        varchars("tags", "All tags that its spans state, sorted; empty when none, NULL without records of its own."),
        boolean("is_test", "Whether any record says that the run is a test; NULL when none says anything about it."),
        boolean("is_replay", "Whether any record says that the run replays another; NULL when none says anything about "
            "it."),
        varchar("idempotency_key", "Idempotency key that it was triggered with; NULL when no record states one."),
        varchar("batch_id", "Batch that it was triggered in; NULL when no record states one."),
        varchar("correlation_id", "First correlation id that its records state; NULL when none."),
        varchar("request_id", "First request id that its records state; NULL when none."),
        varchar("parent_run_id", "Run id of the run that triggered it: as its own records state, else the first whose "
            "span names it. NULL when nothing names one, and when that span began after the run (it was handed over by "
            "its idempotency key)."),
        varchar("parent_source", "How `parent_run_id` is known: measured (its own records state it), derived (a span "
            "of the parent names the run or its batch), inferred (from keys in a body or a map), unknown."),
        varchar("root_run_id", "Run id of its topmost known ancestor; its own when no parent is known."),
        varchar("status", "`queued`, `running`, `waiting`, `retrying`, `completed`, `failed`, `canceled`; `unknown` "
            "(mostly silence without an end). Telemetry alone never tells `timed_out`, `crashed` and `expired`."),
        varchar("status_source", "How `status` is known: measured (span or hook), phase (a log of its outermost "
            "operation, also that it failed in the last attempt that `max_attempts` allows), derived (its parent; a "
            "counted attempt that was the last allowed), inferred (recent signs of life, a minute of silence after a "
            "span that encloses the run, how long a retry may still follow, or keys in a body or a map), unknown."),
        varchar("outcome", "`skipped` where its outermost operation says so: completed, without having worked; NULL "
            "for every other run, whose `status` says all."),
        integer("max_attempts", "How many attempts it may take, the most that its logs state; NULL when none does."),
        integer("attempt_count", "Number of its last attempt; NULL when queued or unknown, since later ones may have "
            "left no trace."),
        varchar("attempt_count_source", "How `attempt_count` is known: measured (a record states the number), derived "
            "(counted), inferred (nothing says that its last failure was final; or from keys in a body or a map), "
            "unknown."),
        bigint("created_ns", "When the first trigger span that names it began, ns since 1970 UTC, also one that began "
            "after the run and did not make it; NULL when no such span is known."),
        bigint("delayed_until_ns", "When it was due, ns since 1970 UTC: as the logs of its first attempt state, else "
            "the delay that they state after it was queued; NULL when neither is known or that is long after its "
            "start."),
        bigint("queued_ns", "Since when it waited for its queue, ns since 1970 UTC: start less the wait that its logs "
            "claim, else `created_ns` of the trigger that made it; where it was put off, `delayed_until_ns` if that is "
            "later. NULL when none is known or it is impossible."),
        varchar("queued_source", "How `queued_ns` is known: derived, inferred (a trigger that did not wait for the "
            "run made it and may have put it off, of which its span says nothing) or unknown."),
        bigint("started_ns", "Start of its first attempt, ns since 1970 UTC; its first sign of life when that attempt "
            "left no record, NULL when no record is its own."),
        varchar("started_source", "How `started_ns` is known: measured (an attempt's span), derived (its first "
            "`_started`, else a span that encloses the attempt), inferred (its first record; or from keys in a body or "
            "a map), unknown (its first attempt left no record)."),
        bigint("ended_ns", "End of its last attempt, ns since 1970 UTC; NULL unless completed, failed or canceled. "
            "Before `started_ns` where nobody knows how long it took."),
        varchar("ended_source", "How `ended_ns` is known: measured (an attempt's span), derived (a log of its "
            "outermost operation), inferred (cancel hook, end of a span that encloses the attempt, or last record; or "
            "from keys in a body or a map), unknown."),
        *_bounds("run"),
        bigint("queue_wait_ns", "From `queued_ns` to `started_ns`, ns; 0 when two clocks make it negative by up to ten "
            "minutes, NULL when unknown or beyond."),
        varchar("queue_wait_source", "How `queue_wait_ns` is known: measured (its logs claim it), derived (from the "
            "parent's span, or from when it was due, to its start), inferred (that start or `queued_ns` is inferred), "
            "unknown."),
        bigint("active_ns", "Time in its attempts less the waits in them, ns; NULL unless known of every attempt."),
        bigint("wait_ns", "Time that its attempts spent in waits, overlaps counted once, ns; NULL unless known of "
            "every attempt."),
        bigint("idle_ns", "Time between two deliveries of one attempt, in which nobody worked on it, inferred, ns; 0 "
            "when each was delivered once, NULL without records of its own."),
        bigint("backoff_ns", "Time between its attempts, waiting in the queue again included, ns; 0 with one attempt, "
            "NULL unless every pause is known."),
        bigint("end_to_end_ns", "From `queued_ns` to `ended_ns`, ns (from `started_ns` where clocks have that first); "
            "NULL when either is unknown."),
        double("compute_ms", "Computing time of its attempts as far as their platform states it, ms; NULL when it "
            "states none."),
        double("cost_cents", "Cost of its attempts as far as their platform states it, cents; NULL when it states "
            "none."),
        varchar("error_type", "Type of its last attempt's error while it is failed, canceled or retrying; else NULL."),
        varchar("error_message", "Message of its last attempt's error while it is failed, canceled or retrying; else "
            "NULL."),
        varchar("error_group", "What happened in that error, as in `attempts.error_group`; NULL where neither type nor "
            "message is known."),
        bigint("first_seen_ns", "Earliest time that its records state, or its parent's trigger span, ns since 1970 "
            "UTC."),
        bigint("last_seen_ns", "Latest time that its records state, or its parent's trigger span, ns since 1970 UTC."),
        bigint("first_seq", "Least journal number (`logs.seq`, `spans.seq`) of its records; NULL when no record is its "
            "own."),
        bigint("last_seq", "Greatest journal number of its records; NULL when no record is its own."),
        bigint("log_count", "Its log records, those that only stand in its spans included, each counted once."),
        bigint("span_count", "Its spans, each counted once."),
        varchar("coverage", "Which telemetry it has: `spans+logs`, `spans`, `logs`, or `link` (known only from its "
            "parent)."),
        bigint("due_ns", "When the clock alone may change its status, ns since 1970 UTC; NULL when only new records "
            "can."),
        bigint("at_ns", "When it counts in lists and totals, ns since 1970 UTC: `started_ns`, else `queued_ns`, else "
            "`first_seen_ns`."),
        varchar("set_aside", "Why the run could not be worked out; its status is unknown then and its times are of "
            "arrival. Or that it has more records than can be looked at together, and only the first and the last "
            "count. NULL for every other run."),
        boolean("ambiguous", "Whether its records leave open which of several runs with this id they are of: they "
            "state less than the records of those do, and stand alone."),
    ),
)

ATTEMPTS = Table(
    "One attempt of a run, as far as any record states it or lets it be counted.",
    ("project", "run_key", "number"),
    (
        PROJECT,
        _RUN_KEY,
        _RUN_ID,
        varchar("task_id", "Task of its run; NULL when nothing names one."),
        varchar("queue", "Queue that its records state, else of its run; NULL when none."),
        integer("number", "Number of the attempt, 1 for the first also where the run counts from 0: stated, else "
            "counted."),
        varchar("version", "Version of the task's code that it ran on: as its span states, else the last of its "
            "records that has one. Where no attempt of the run states any: the only one that the run's other records "
            "state. NULL when unknown."),
        varchar("status", "`completed`, `failed`, `canceled`, `interrupted` (let go, to be taken up again), `running`; "
            "`unknown` after silence without an end."),
        varchar("outcome", "`skipped` where its outermost operation says so; NULL for every other."),
        varchar("status_source", "How `status` is known: measured (its span or the cancel hook), phase (a log of its "
            "outermost operation), derived (a later attempt: it failed), inferred (a minute of silence after a span "
            "that encloses it; not silent yet: it runs; or from keys in a body or a map), unknown."),
        bigint("dequeued_ns", "When its platform took it from the queue, ns since 1970 UTC; it holds a slot from then "
            "on. NULL when telemetry does not tell."),
        bigint("started_ns", "When it began, ns since 1970 UTC; NULL where its clock is plainly wrong."),
        varchar("started_source", "How `started_ns` is known: measured (its span), derived (its first `_started`, else "
            "a span that encloses it), inferred (its first record; or from keys in a body or a map), unknown."),
        bigint("ended_ns", "When it ended, ns since 1970 UTC; NULL while it has no end. Before `started_ns` where "
            "nobody knows how long it lasted."),
        varchar("ended_source", "How `ended_ns` is known: measured (its span), derived (a log of its outermost "
            "operation), inferred (cancel hook, end of a span that encloses it, or last record; or from keys in a body "
            "or a map), unknown."),
        *_bounds("attempt"),
        bigint("queue_wait_ns", "How long it waited in its queue, as its logs claim, ns; NULL when they do not."),
        bigint("wall_ns", "From its start to its end, waits included, ns; NULL when either is unknown or the end comes "
            "first."),
        bigint("active_ns", "`wall_ns` less `wait_ns` and `idle_ns`, ns; NULL when the first is unknown, and when "
            "the second is and it was delivered once."),
        bigint("idle_ns", "Time between its deliveries, from the last sign of life to when its outermost operation "
            "began again, ns; inferred, 0 when there was one."),
        integer("deliveries", "How often it was taken up under its number: 1, or as often as its outermost operation "
            "began by its logs where no span tells."),
        bigint("wait_ns", "Time that it spent in waits which ended, overlaps counted once, ns; NULL where no span "
            "tells or one says nothing of its length."),
        double("compute_ms", "Computing time that its span states, ms; NULL when none."),
        double("cost_cents", "Cost that its span states, cents; NULL when none."),
        varchar("start_kind", "How its process was started, `cold` or `warm`, as its span states; NULL when it does "
            "not."),
        varchar("error_type", "Type of its error, from its span, else its last `_failed` log; NULL unless failed or "
            "canceled."),
        varchar("error_message", "Message of its error, from its span, else its last `_failed` log; NULL unless failed "
            "or canceled."),
        varchar("error_group", "What happened in its error: `error_type` and the normal form of `error_message`, in "
            "which values stand as `<value>` (errors.md); NULL where both are."),
        varchar("error_stack", "Stack trace of the last `exception` event of its span; NULL when none."),
        integer("http_status", "HTTP status of its error, from its span, else its last `_failed` log; NULL unless "
            "failed or canceled with one."),
        varchar("trace_id", "`spans.trace_id` of its own span; NULL when none arrived."),
        varchar("span_id", "`spans.span_id` of its own span; NULL when none arrived."),
    ),
)

PHASES = Table(
    "One interval that the logs of an operation mark (where they mark none: spans of plain OpenTelemetry, by their "
    "names): from `_started` to its end, a step in between, or an end that nothing opened.",
    (),
    (
        PROJECT,
        _RUN_KEY,
        _RUN_ID,
        integer("attempt", "Number of the attempt it belongs to; NULL when that is unknown."),
        varchar("operation", "Operation as its logs name it in `{operation}_{phase}`."),
        varchar("phase", "What opened it: `started` (lasts to the operation's end), `validating` or `calling` (last to "
            "the operation's next log); `completed` or `failed` for an end that nothing opened."),
        varchar("called_service", "Service of `{operation}_calling_{service}`; NULL for other phases."),
        bigint("started_ns", "When it was opened, ns since 1970 UTC; NULL for an end that nothing opened."),
        bigint("ended_ns", "When it was closed, ns since 1970 UTC; NULL when nothing closed it."),
        bigint("duration_ns", "From its start to its end, ns; NULL when either is unknown."),
        varchar("outcome", "`completed`, `failed`, `canceled`, `interrupted`, `skipped` or `retrying`, as the log that "
            "closed it says, of a step `failed` where its try is `retrying` and `completed` where its operation goes "
            "on; `unknown` when nothing closed it."),
        double("reported_ms", "Duration that the log of the end (of a step: its own) claims, ms; NULL when it claims "
            "none."),
    ),
)

WAITS = Table(
    "One span in which an attempt does nothing but wait (Trigger.dev alone tells), or the time between two deliveries.",
    (),
    (
        PROJECT,
        _RUN_KEY,
        _RUN_ID,
        integer("attempt", "Number of the attempt that waits; NULL when its span does not say."),
        varchar("kind", "What it waits for: `for` or `until` (a time), `token`, `child`, `batch`; `redelivery`: for "
            "being taken up again, inferred."),
        bigint("started_ns", "When the wait began, ns since 1970 UTC."),
        bigint("ended_ns", "When the wait ended, ns since 1970 UTC; NULL while it goes on. Before `started_ns` where "
            "nobody knows how long it lasted."),
        bigint("released_ns", "When the attempt gave its queue's slot back until the wait ended, ns since 1970 UTC "
            "(while it goes on: when it does): a minute after it began on Trigger.dev, at once between deliveries. "
            "NULL where it kept the slot."),
        varchar("released_source", "How it is known whether and when the slot was given back: measured (a runner "
            "whose waits keep it), derived (as the runner documents for waits for a time; too short to be suspended), "
            "inferred (of a child, batch or token, and between deliveries: the slot may be held or free throughout), "
            "unknown (nobody knows how long it lasted)."),
    ),
)

QUEUE_LIMITS = Table(
    "One step of a queue's concurrency limit, from one source; it holds until the next step.",
    ("project", "queue", "environment", "platform_project", "concurrency_key", "source", "from_ns"),
    (
        PROJECT,
        varchar("queue", "Queue that is limited."),
        varchar("environment", "Environment that the limit is for; NULL: every one, of an inferred limit: runs that "
            "state none."),
        varchar("platform_project", "Platform project that the limit is for; NULL likewise."),
        varchar("concurrency_key", "Always NULL, the queue as a whole: telemetry does not name the concurrency key of "
            "a run."),
        bigint("from_ns", "Since when the limit holds, ns since 1970 UTC; 0: always. Of an inferred one, since when it "
            "was looked for."),
        bigint("limit", "Slots that may be held at once; 0: the queue is paused."),
        varchar("source", "`settings` (`queues.limits`, `queues.overrides`) or `inferred` (from how the queue's "
            "load behaved in the last day)."),
        varchar("confidence", "How sure an inferred limit is: `high`, `medium`, or `low` (a lower bound, used "
            "nowhere); NULL for one from the settings."),
    ),
)

FINDINGS = Table(
    "One violation of a rule, summed up over the last seven days; of a rule and task the 50 most frequent operations "
    "and keys are told apart, the rest is one.",
    ("project", "code", "severity", "task_id", "operation", "key"),
    (
        PROJECT,
        varchar("code", "Rule that is violated, such as `MSG001`; `runwell rules explain` tells more."),
        varchar("slug", "Name of the rule, such as `message-not-snake-case`."),
        varchar("severity", "`error`, `warning` or `info`."),
        varchar("task_id", "Task whose records show it; NULL when none is known."),
        varchar("operation", "Operation whose records show it; NULL when it is about none or one of the rest."),
        varchar("key", "What the rule names beside the operation, mostly an attribute key; NULL when it names nothing "
            "or it is one of the rest."),
        bigint("count", "How often it was seen: mostly records."),
        bigint("runs", "Runs that show it."),
        double("share", "`runs` against all runs of the task in these days, 0 to 1; NULL when there were none."),
        bigint("first_seen_ns", "Time of the first record that shows it, ns since 1970 UTC."),
        bigint("last_seen_ns", "Time of the last record that shows it, ns since 1970 UTC."),
        varchar("state", "`new` (first seen within a day), `resolved` (not seen for a day although its task ran) or "
            "`ongoing`."),
        varchar("since_version", "Version of the code in the first record that shows it; NULL when it states none."),
        varchar("task_file", "Source file of the task; NULL when unknown."),
        varchar("message", "What is wrong, in a sentence."),
        varchar("remedy", "What helps, in a sentence."),
        varchar("samples", "Up to three records that show it, the earliest first, as a JSON list; personal data is "
            "taken out."),
    ),
)
# fmt: on

TABLES = {
    "runs": RUNS,
    "attempts": ATTEMPTS,
    "phases": PHASES,
    "waits": WAITS,
    "queue_limits": QUEUE_LIMITS,
    "findings": FINDINGS,
}
