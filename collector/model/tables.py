"""Arrow schemas of every table, raw and derived. Names are public (docs/schema.md); DDL in store/ddl must agree.

The *wire* tables are what `decode` returns and the journal holds. `store` adds `seq` (journal batch) and
`row` (position in the batch's table) as it applies them. Times: columns that OTLP itself names
(`…_unix_nano`) are UBIGINT nanoseconds exactly as sent; ours end in `_ns` and are BIGINT nanoseconds since
1970 UTC; `time`, `started_at`, `ended_at` are TIMESTAMP (microseconds, UTC, no zone).
"""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa

_S, _I, _L, _F, _B = pa.string(), pa.int32(), pa.int64(), pa.float64(), pa.bool_()
_U32, _U64, _T = pa.uint32(), pa.uint64(), pa.timestamp("us")
_TAGS = pa.list_(pa.string())
_SUM = pa.decimal128(38)
"""Sums of nanoseconds and of billionths of a cent, HUGEINT in the store: 300 years of them would fill 64 bits."""


def _schema(*names_then_type: object) -> pa.Schema:
    """Build a schema from `"a b c", type` pairs."""
    pairs = list(pairwise(names_then_type))[::2]
    return pa.schema([(name, kind) for names, kind in pairs for name in str(names).split()])


# fmt: off
RESOURCES = _schema(
    "project resource_id service_name environment attributes schema_url", _S,
    "dropped_attributes_count", _U32,
    "entity_refs", _S,
)
# fmt: on
"""resource_id: 32 hex of the content hash; attributes and entity_refs: JSON text."""

SCOPES = _schema(
    "project scope_id name version attributes schema_url",
    _S,
    "dropped_attributes_count",
    _U32,
)

# fmt: off
_CONTEXT = _schema(
    "dialect run_key run_id task_id task_file", _S,
    "attempt", _I,
    "queue environment version machine batch_id idempotency_key", _S,
    "is_test is_replay", _B,
    "parent_run_id correlation_id request_id operation phase called_service source", _S,
    "error_type error_message", _S,
    "http_status", _I,
)
# fmt: on
"""Promoted columns that logs and spans share. `run_key` is NULL while no run id is known."""

# fmt: off
LOGS = pa.schema([
    *_schema(
        "project", _S, "received_ns", _L,
        "time_unix_nano observed_time_unix_nano", _U64,
        "time", _T, "time_source", _S,
        "severity_number", _I, "severity_text body body_type event_name trace_id span_id", _S,
        "flags dropped_attributes_count", _U32,
        "resource_id scope_id attributes", _S,
    ),
    *_CONTEXT,
    *_schema("reported_ms queue_wait_ms", _F),
])
# fmt: on
"""`time` is the effective event time; `time_source` says where it comes from: time, observed, received (neither was
sent), time_unit_suspect (sent in another unit than nanoseconds, converted), time_future (more than ten minutes
ahead, arrival stands in). `reported_ms` and `queue_wait_ms` are durations that the record itself claims."""

# fmt: off
SPANS = pa.schema([
    *_schema(
        "project", _S, "received_ns", _L,
        "trace_id span_id parent_span_id trace_state", _S,
        "flags", _U32,
        "name", _S, "kind", _I,
        "start_time_unix_nano end_time_unix_nano", _U64,
        "time", _T, "time_source", _S, "duration_ns", _L,
        "status_code", _I, "status_message events links", _S,
        "dropped_attributes_count dropped_events_count dropped_links_count", _U32,
        "resource_id scope_id attributes", _S,
    ),
    *_CONTEXT,
    *_schema(
        "span_type wait_kind child_run_id child_task_id child_batch_id", _S,
        "is_partial", _B, "real_span_id", _S,
        "tags", _TAGS,
        "compute_ms cost_cents", _F, "dequeued_ns", _L,
        "start_kind error_stack", _S,
    ),
])
# fmt: on
"""`span_type`: attempt, run, hook, wait, trigger, call, retry, user. A partial span (`is_partial`) announces
`real_span_id` before it ends. `duration_ns` is NULL when the end precedes the start."""

# fmt: off
METRIC_POINTS = _schema(
    "project", _S, "received_ns", _L,
    "name description unit type", _S,
    "time_unix_nano start_time_unix_nano", _U64,
    "time", _T, "time_source", _S,
    "value", _F, "value_int", _L, "histogram temporality", _S, "is_monotonic", _B, "flags", _U32,
    "exemplars metadata resource_id scope_id attributes", _S,
)
# fmt: on
"""`type`: gauge, sum, histogram, exponential_histogram, summary; the last three keep their shape in `histogram`."""

WIRE: dict[str, pa.Schema] = {
    "resources": RESOURCES,
    "scopes": SCOPES,
    "logs": LOGS,
    "spans": SPANS,
    "metric_points": METRIC_POINTS,
}
CATALOGUES = ("resources", "scopes")
"""Wire tables that hold each distinct row once per project; the rest are append-only records."""

_PLACE = _schema("seq row", _L)


def _stored(schema: pa.Schema) -> pa.Schema:
    fields = list(schema)
    return pa.schema([fields[0], *_PLACE, *fields[1:]])


RAW: dict[str, pa.Schema] = {name: schema if name in CATALOGUES else _stored(schema) for name, schema in WIRE.items()}

# fmt: off
RUNS = _schema(
    "project run_key run_id dialect task_id task_source task_file queue queue_source environment version", _S,
    "machine", _S,
    "tags", _TAGS,
    "is_test is_replay", _B,
    "idempotency_key batch_id correlation_id request_id parent_run_id parent_source root_run_id", _S,
    "status status_source", _S,
    "attempt_count", _I, "attempt_count_source", _S,
    "created_ns queued_ns", _L, "queued_source", _S,
    "started_ns", _L, "started_source", _S, "ended_ns", _L, "ended_source", _S,
    "started_at ended_at", _T,
    "queue_wait_ns", _L, "queue_wait_source", _S,
    "active_ns wait_ns backoff_ns end_to_end_ns", _L,
    "compute_ms cost_cents", _F,
    "error_type error_message", _S,
    "first_seen_ns last_seen_ns first_seq last_seq log_count span_count", _L,
    "coverage", _S,
    "due_ns at_ns", _L,
    "set_aside", _S,
)
# fmt: on
"""`due_ns`: when the clock alone may change this row's status; NULL when nothing but new records can.
`at_ns`: when the run counts in lists and totals: when it started, else was queued, else was first seen.
`coverage`: which telemetry the run has: `spans+logs`, `spans`, `logs`, `link` (known only from its parent).
`set_aside`: why the run could not be worked out, and its status is unknown; NULL for every other run."""

# fmt: off
ATTEMPTS = _schema(
    "project run_key run_id task_id queue", _S,
    "number", _I, "status status_source", _S,
    "dequeued_ns started_ns", _L, "started_source", _S, "ended_ns", _L, "ended_source", _S,
    "started_at ended_at", _T,
    "queue_wait_ns wall_ns active_ns wait_ns", _L, "compute_ms cost_cents", _F,
    "start_kind error_type error_message error_stack", _S,
    "http_status", _I, "trace_id span_id", _S,
)
# fmt: on
"""`dequeued_ns`: when its platform took the attempt from the queue, where telemetry tells; it holds a slot from then on
and starts when its process is up. `queue_wait_ns`: how long it waited in its queue, where a record of it says so."""

# fmt: off
PHASES = _schema(
    "project run_key run_id", _S, "attempt", _I,
    "operation phase called_service", _S,
    "started_ns ended_ns duration_ns", _L, "outcome", _S, "reported_ms", _F,
)
# fmt: on

WAITS = _schema(
    "project run_key run_id",
    _S,
    "attempt",
    _I,
    "kind",
    _S,
    "started_ns ended_ns",
    _L,
    "holds_slot",
    _B,
)

QUEUE_LIMITS = _schema(
    "project queue environment concurrency_key",
    _S,
    "from_ns",
    _L,
    "limit",
    _L,
    "source confidence",
    _S,
)
"""The limit of a queue from `from_ns` on, until its next row. `environment` NULL: every one. `source`: settings or
inferred; `confidence` of an inferred limit: high, medium, low."""

FINDINGS = _schema(
    "project code slug severity task_id operation key",
    _S,
    "count runs",
    _L,
    "share",
    _F,
    "first_seen_ns last_seen_ns",
    _L,
    "state since_version task_file message remedy samples",
    _S,
)
"""`share`: runs affected, of all runs of the task. `state`: new, ongoing or resolved. `samples`: JSON list of records
as received, without the values that a privacy rule found."""

RUN_MODEL: dict[str, pa.Schema] = {
    "runs": RUNS,
    "attempts": ATTEMPTS,
    "phases": PHASES,
    "waits": WAITS,
    "queue_limits": QUEUE_LIMITS,
    "findings": FINDINGS,
}

_COHORT = _schema("project", _S, "hour_ns", _L, "task_id queue environment version population", _S)
"""What every hourly statistic is kept by. `hour_ns`: start of a UTC hour. `population`: live, replay, development;
test runs are in none."""

# fmt: off
RUN_COHORTS = pa.schema([
    *_COHORT,
    *_schema(
        "attempts", _I, "outcome", _S,
        "runs ended_runs derived_runs inferred_runs", _L,
        "wasted_runs", _L, "wasted_ns", _SUM, "backoff_runs", _L, "backoff_ns", _SUM,
        "latency_runs", _L, "latency_ns", _SUM, "cost_runs", _L, "cost_nanocents", _SUM,
        "wasted_cost_runs", _L, "wasted_cost_nanocents", _SUM,
    ),
])
# fmt: on
"""Runs by the hour in which their first attempt started; rows add up. `attempts`: the highest attempt number that
telemetry names, NULL when it names none; `outcome`: status of the run. `ended_runs`: those with an attempt that ended;
`derived_runs`, `inferred_runs`: those whose outcome is known only so. Each sum stands beside the number of runs for
which it is known: `wasted`: attempts that were not the last, and the last if it failed; `backoff`: between attempts,
waiting in the queue again left out where known; `latency`: from the first attempt's end to the last one's, in
recovered runs."""

# fmt: off
ATTEMPT_HOURS = pa.schema([
    *_COHORT,
    *_schema(
        "number", _I, "outcome", _S,
        "attempts derived_attempts inferred_attempts", _L,
        "wall_attempts", _L, "wall_ns", _SUM, "active_attempts", _L, "active_ns", _SUM,
        "wait_attempts", _L, "wait_ns", _SUM, "cost_attempts", _L, "cost_nanocents", _SUM,
    ),
])
# fmt: on
"""Attempts by the hour in which they started; rows add up. `outcome`: status of the attempt."""

FLOW_HOURS = pa.schema(
    [
        *_COHORT,
        *_schema("event outcome", _S, "runs derived_runs inferred_runs", _L),
    ]
)
"""Runs by the hour in which they arrived (`event` arrived: queued, else started), started and ended; rows add up.
`outcome`: status of the run for `ended`, NULL for the others."""

DURATION_HOURS = pa.schema(
    [
        *_COHORT,
        *_schema("measure outcome", _S, "ix", _I, "n", _L, "total_ns", _SUM, "derived_n inferred_n", _L),
    ]
)
"""Log histograms of durations that ended; rows add up. `measure`: queue_wait, execution, active, wait, end_to_end,
unexplained (of a run, in the hour its first attempt started), attempt, boot, gap, backoff, requeue_wait (of an attempt,
in the hour it started). `ix` holds the durations d with 2^((ix-1)/16) < d <= 2^(ix/16) in milliseconds, those below a
microsecond as one microsecond; to merge, add `n` by `ix`."""

PHASE_HOURS = pa.schema(
    [
        *_COHORT,
        *_schema("operation phase called_service outcome", _S, "ix", _I, "n ideal_n", _L, "total_ns", _SUM),
    ]
)
"""Phases and calls (`phase` calling) by the hour in which they began; rows add up. `ix` as in `duration_hours`, NULL
when the duration is unknown. `ideal_n`: those that belong to the attempt of their run that made the most such calls:
what the run would have needed without retries."""

QUEUE_LEVELS = _schema(
    "project queue environment",
    _S,
    "bucket_ns",
    _L,
    "level",
    _I,
    "limit",
    _L,
    "limit_source",
    _S,
    "is_queued",
    _B,
    "ns",
    _L,
)
"""How long (`ns`) in each 5 minutes `level` slots of a queue were held while `limit` was in force. `is_queued`: whether
a run waited meanwhile, NULL where telemetry does not tell. Rows of a bucket add up to its length."""

SLOT_HOURS = _schema(
    "project",
    _S,
    "hour_ns",
    _L,
    "queue environment task_id population",
    _S,
    "slot_ns",
    _SUM,
    "starts",
    _L,
    "assumed_ns",
    _SUM,
    "orphan_slots",
    _L,
)
"""Slot time per task of a queue in each hour; rows add up. Here `population` may be test: a slot is held whoever holds
it. `starts`: slots that started in the hour, `orphan_slots`: those of them whose end nobody saw; `assumed_ns`: the time
that rests on an end that is inferred or a wait that may have given the slot back."""

STATISTICS: dict[str, pa.Schema] = {
    "run_cohorts": RUN_COHORTS,
    "attempt_hours": ATTEMPT_HOURS,
    "flow_hours": FLOW_HOURS,
    "duration_hours": DURATION_HOURS,
    "phase_hours": PHASE_HOURS,
    "queue_levels": QUEUE_LEVELS,
    "slot_hours": SLOT_HOURS,
}
"""Kept by the statistics jobs from the run model; each can be computed again from it."""

PUBLIC: dict[str, pa.Schema] = {**RAW, **RUN_MODEL, **STATISTICS}
"""Every table a user may query."""
