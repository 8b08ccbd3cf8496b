"""The statistics that jobs keep of the run model, by the hour; each can be computed again from it.

Rows of one table add up: over hours, tasks or any other column of their key, their sums are those of all rows. A sum
stands beside the number of runs or attempts of which it is known.
"""

from __future__ import annotations

from collector.model.tables.column import PROJECT, Column, Table, bigint, boolean, hugeint, integer, varchar

_POPULATION = "`live`, `replay`, or `development` (an environment `development`, `dev` or `local`)"
_NO_TESTS = f"{_POPULATION}; test runs are in no row."
_COHORT_KEY = ("project", "hour_ns", "task_id", "queue", "environment", "platform_project", "version", "population")


# fmt: off
def _hour(event: str) -> Column:
    return bigint("hour_ns", f"Start of the UTC hour in which {event}, ns since 1970 UTC.")


def _cohort(event: str, version: str = "runs, which is that of their last attempt") -> tuple[Column, ...]:
    """Return what every hourly statistic is kept by; *event* decides in which hour, *version*: whose code's counts."""
    return (
        PROJECT,
        _hour(event),
        varchar("task_id", "Task of the runs; NULL when unknown."),
        varchar("queue", "Queue of the runs; NULL when unknown."),
        varchar("environment", "Environment of the runs; NULL when unknown."),
        varchar("platform_project", "Platform project of the runs; NULL when they state none."),
        varchar("version", f"Version of the code of the {version}; NULL when unknown."),
        varchar("population", f"Which runs: {_NO_TESTS}"),
    )


def _weak(things: str, what: str) -> tuple[Column, Column]:
    """Return how many of *things* have *what* derived or inferred; the others have it measured."""
    name = things.lower()
    return (
        bigint(f"derived_{name}", f"{things} of which {what} is derived, or told by a phase."),
        bigint(f"inferred_{name}", f"{things} of which {what} is inferred or unknown."),
    )


_BUCKET = "Bucket: durations d in ms with `2^((ix-1)/16) < d <= 2^(ix/16)`; the lowest, -159, holds all up to 1 us"

RUN_COHORTS = Table(
    "Runs whose first attempt started in one hour, of one cohort, number of attempts and outcome.",
    (*_COHORT_KEY, "attempts", "outcome"),
    (
        *_cohort("the first attempt of the runs started"),
        integer("attempts", "Highest attempt number that telemetry names of each of the runs; NULL when it names "
            "none."),
        varchar("outcome", "`skipped`, else `runs.status` of the runs, also of those that have not ended."),
        bigint("runs", "How many runs the row counts."),
        bigint("ended_runs", "Runs with an attempt that ended: what retry rates are taken of."),
        *_weak("Runs", "status or attempt count, whichever is weaker,"),
        bigint("wasted_runs", "Runs of which is known what `wasted_ns` sums up, those that wasted nothing included."),
        hugeint("wasted_ns", "Sum over `wasted_runs`: duration of attempts that were not the last, and of the last if "
            "it failed, ns."),
        bigint("backoff_runs", "Runs with more than one attempt of which every pause between attempts is known."),
        hugeint("backoff_ns", "Sum over `backoff_runs`: time between attempts, less waiting in the queue again where "
            "that is told, ns (`runs.backoff_ns` leaves nothing out)."),
        bigint("latency_runs", "Runs that completed after a retry, of which is known how long that took."),
        hugeint("latency_ns", "Sum over `latency_runs`: from the end of the first attempt to the end of the last, ns."),
        *(
            bigint(f"inferred_{name}_runs", f"Of `{name}_runs` those for which it is inferred when an attempt began or "
                f"ended that counts in `{name}_ns`.")
            for name in ("wasted", "backoff", "latency")
        ),
        bigint("cost_runs", "Runs whose cost is known."),
        hugeint("cost_nanocents", "Sum of the cost of `cost_runs`, billionths of a cent."),
        bigint("wasted_cost_runs", "Runs of which is known what the attempts cost that count as wasted."),
        hugeint("wasted_cost_nanocents", "Sum over `wasted_cost_runs`: cost of the attempts that count in `wasted_ns`, "
            "billionths of a cent."),
    ),
)

ATTEMPT_HOURS = Table(
    "Attempts that started in one hour, of one cohort of runs, attempt number and outcome. An attempt that left no "
    "record, although a later one did, has failed, and counts in the hour of its run's start.",
    (*_COHORT_KEY, "run_version", "number", "outcome"),
    (
        *_cohort("the attempts started", "attempts that left records"),
        varchar("run_version", "`version` of the runs of the attempts, which is that of their last attempt."),
        integer("number", "`attempts.number` of the attempts: 1 for first ones, more for retries. Of more than 16 lost "
            "ones in a row the 16th stands for the rest."),
        varchar("outcome", "`skipped`, else `attempts.status` of the attempts, also of those that have not ended."),
        bigint("attempts", "How many attempts the row counts."),
        bigint("lost_attempts", "Of these attempts, those that left no record; a later one proves that they failed."),
        *_weak("Attempts", "the status"),
        bigint("wall_attempts", "Attempts whose duration is known."),
        hugeint("wall_ns", "Sum of the duration of `wall_attempts`, waits included, ns."),
        bigint("active_attempts", "Attempts of which is known how long they did not wait."),
        hugeint("active_ns", "Sum over `active_attempts`: duration less waits, ns."),
        bigint("wait_attempts", "Attempts of which is known how long they waited."),
        hugeint("wait_ns", "Sum over `wait_attempts`: time in waits, ns."),
        bigint("cost_attempts", "Attempts whose cost is known."),
        hugeint("cost_nanocents", "Sum of the cost of `cost_attempts`, billionths of a cent."),
    ),
)

FLOW_HOURS = Table(
    "Runs that arrived, started or ended in one hour, of one cohort and outcome.",
    (*_COHORT_KEY, "event", "outcome"),
    (
        *_cohort("the runs arrived, started or ended"),
        varchar("event", "`arrived` (queued, else started), `started` (the first attempt) or `ended` (at the end, else "
            "last seen)."),
        varchar("outcome", "`skipped`, else `runs.status` of runs that `ended`; NULL for the other events."),
        bigint("runs", "How many runs the row counts; each is in up to three rows, one an event."),
        *_weak("Runs", "the time of the event (of an end also the status)"),
    ),
)

DURATION_HOURS = Table(
    "One bucket of the histogram of one measure: durations that are over, of one cohort and outcome.",
    (*_COHORT_KEY, "measure", "outcome", "ix"),
    (
        *_cohort("the run's first attempt (for measures of an attempt: that attempt) started",
            "runs (for measures of an attempt: of that attempt)"),
        varchar("measure", "What lasted. Of a run: `queue_wait`, `execution`, `active`, `wait`, `end_to_end`, "
            "`unexplained`; of an attempt: `attempt`, `boot`, `gap`, `backoff`, `requeue_wait`. `runwell stats "
            "durations --explain` tells each."),
        varchar("outcome", "`status` of the run or attempt."),
        integer("ix", f"{_BUCKET}. To merge histograms, add `n` by `ix`."),
        bigint("n", "How many durations are in the bucket."),
        hugeint("total_ns", "Exact sum of these durations, ns."),
        bigint("derived_n", "Those of `n` whose weakest source is derived, or told by a phase."),
        bigint("inferred_n", "Those of `n` whose weakest source is inferred or unknown."),
    ),
)

PHASE_HOURS = Table(
    "One bucket of the histogram of one step: rows of `phases`, of one cohort and outcome.",
    (*_COHORT_KEY, "operation", "phase", "called_service", "outcome", "ix"),
    (
        *_cohort("the phases began (those without a beginning: ended)", "attempts that the phases belong to"),
        varchar("operation", "`phases.operation`: what was being done."),
        varchar("phase", "`phases.phase`: `started` for whole operations, `calling` for calls."),
        varchar("called_service", "Service that was called; NULL for other phases."),
        varchar("outcome", "`phases.outcome`, such as `completed` or `failed`; `unknown` when nothing closed them."),
        integer("ix", f"{_BUCKET}; NULL when the duration is unknown."),
        bigint("n", "How many phases the row counts."),
        bigint("ideal_n", "Those of `n` in the attempt of their run that has most of this step: what the run would "
            "have needed without retries."),
        hugeint("total_ns", "Exact sum of their durations, ns; 0 when `ix` is NULL."),
    ),
)

_WHOSE_QUEUE = (
    varchar("environment", "Environment of the runs, which has slots of its own; NULL when unknown."),
    varchar("platform_project", "Platform project of the runs, likewise; NULL when they state none."),
)

QUEUE_LEVELS = Table(
    "For how long of five minutes a queue held so many slots; hours in which no slot can have been held and no run can "
    "have waited have no rows.",
    ("project", "queue", "environment", "platform_project", "bucket_ns", "level", "sure", "most", "limit",
        "limit_source", "is_queued", "may_wait"),
    (
        PROJECT,
        varchar("queue", "Queue whose slots are held."),
        *_WHOSE_QUEUE,
        bigint("bucket_ns", "Start of the five minutes, ns since 1970 UTC."),
        integer("level", "Slots held at once, by runs of any population, tests too."),
        integer("sure", "Those of `level` that are certain: not of attempts whose end is inferred, that have no end "
            "and were not seen since, or that wait and may have given theirs back."),
        integer("most", "`level` and the slots that may be held beside it: those that are believed to be given back in "
            "a wait (`waits.released_source` inferred), and those of attempts that died unseen, after their last sign "
            "of life, until the next one of their run or for `runs.stale`."),
        bigint("limit", "Limit from the settings that was in force; NULL where they name none. Inferred ones are in "
            "`queue_limits` alone."),
        varchar("limit_source", "`settings`, or NULL where `limit` is."),
        boolean("is_queued", "Whether a run waited for a slot meanwhile; NULL where telemetry does not prove either."),
        boolean("may_wait", "Whether runs may have waited while none is proved to: they were triggered, but may have "
            "been due only later (`runs.queued_source` inferred)."),
        bigint("ns", "How long that was so, ns; the rows of a bucket add up to five minutes, less only in the one that "
            "is not over."),
        integer("peak", "Highest level of the five minutes that was held for a second at a stretch, which may reach "
            "beyond them; the same in all rows of the five minutes."),
    ),
)

SLOT_HOURS = Table(
    "Time for which the runs of one task held slots of a queue in one hour.",
    ("project", "hour_ns", "queue", "environment", "platform_project", "task_id", "population"),
    (
        PROJECT,
        _hour("the slots were held"),
        varchar("queue", "Queue whose slots are held."),
        *_WHOSE_QUEUE,
        varchar("task_id", "Task of the runs that hold them; NULL when unknown."),
        varchar("population", f"Whose runs: {_POPULATION}, or `test`: a slot is held whoever holds it."),
        hugeint("slot_ns", "Time that slots were held in the hour, added up over the slots, ns."),
        bigint("starts", "Slots that came to be held in the hour; one that is given back in a wait and taken again "
            "counts twice."),
        hugeint("assumed_ns", "Part of `slot_ns` that is not certain: of attempts whose end is inferred, since one "
            "without an end was last seen, and in waits that may have given the slot back, ns."),
        hugeint("maybe_ns", "Time beside `slot_ns` in which a slot may have been held: in waits that are believed to "
            "have given it back, and after the last sign of life of an attempt that died unseen, until the next one of "
            "its run or for `runs.stale`, ns."),
        bigint("orphan_slots", "Those of `starts` without an end whose run has been silent for `runs.stale`; they "
            "count until it was last seen."),
    ),
)
# fmt: on

TABLES = {
    "run_cohorts": RUN_COHORTS,
    "attempt_hours": ATTEMPT_HOURS,
    "flow_hours": FLOW_HOURS,
    "duration_hours": DURATION_HOURS,
    "phase_hours": PHASE_HOURS,
    "queue_levels": QUEUE_LEVELS,
    "slot_hours": SLOT_HOURS,
}
