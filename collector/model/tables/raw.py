"""The raw tables: what arrived, a row a record, in OTLP's names, and the columns that are read out of it at once.

`store` adds the position in the journal (`POSITION`) as it applies a record, and cuts long texts (`LONG`); `decode` and
journal know nothing of it.
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
    ubigint,
    uinteger,
    varchar,
    varchars,
)

# fmt: off
POSITION = (
    bigint("seq", "Number of the journal group that the record came in; ascends in the order of arrival."),
    bigint("row", "Place among the rows that its group has in this table, from 0."),
)
LONG = (
    bigint("long_bytes", "Bytes of those texts of this row that have more than 12 KiB: `long_texts` has them, and only "
        "who opens the file itself sees them cut. NULL when none, and in rows written before version 4."),
    varchar("long_hash", "Hash of those texts, 32 hex digits: rows whose long texts differ have another. NULL when "
        "none."),
)
_ARRIVAL = bigint("received_ns", "When the request arrived, by this machine's clock, ns since 1970 UTC.")
_SENDER = (
    varchar("resource_id", "Who sent it: `resources.resource_id`."),
    varchar("scope_id", "Which library or logger wrote it: `scopes.scope_id`."),
)


def _effective(whose: str, observed: str) -> tuple[Column, Column]:
    """Return the effective time of *whose*; *observed*: what `time_source` also may be."""
    return (
        timestamp("time", f"Effective time {whose}, UTC in microseconds: as sent where that is possible, else "
            "replaced."),
        varchar("time_source", f"Where `time` comes from: `time` (as sent), {observed}`received` (none was sent: "
            "arrival), `time_unit_suspect` (sent in s, ms or us: converted), `time_future` (more than ten minutes "
            "ahead: arrival)."),
    )


def _dropped(what: str, field: str) -> Column:
    """Return the column that counts *what* its sender left out, as OTLP *field* says."""
    name = f"dropped_{what}_count"
    return uinteger(name, f"OTLP `{field}`: how many {what} the sender left out.")


RESOURCES = Table(
    "One resource as senders describe themselves, a process or a service; kept once, however often it is sent.",
    ("project", "resource_id"),
    (
        PROJECT,
        *LONG,
        varchar("resource_id", "Hash of all that the row says, 32 hex digits; records name it."),
        varchar("service_name", "Attribute `service.name`; NULL when it is no text, `__other__` beyond the cap "
            "`names.services`."),
        varchar("environment", "Attribute `deployment.environment.name`, else `ctx.environment.type`; NULL when it is "
            "no text."),
        varchar("attributes", "OTLP `Resource.attributes` as a JSON object."),
        varchar("schema_url", "OTLP `schemaUrl` of the block that the resource came in (`ResourceLogs` and its like); "
            "NULL when empty."),
        _dropped("attributes", "Resource.droppedAttributesCount"),
        varchar("entity_refs", "OTLP `Resource.entityRefs` as a JSON list; NULL when there are none."),
    ),
)

SCOPES = Table(
    "One instrumentation scope, the library or logger that wrote records; kept once, however often it is sent.",
    ("project", "scope_id"),
    (
        PROJECT,
        *LONG,
        varchar("scope_id", "Hash of all that the row says, 32 hex digits; records name it."),
        varchar("name", "OTLP `InstrumentationScope.name`; NULL when empty."),
        varchar("version", "OTLP `InstrumentationScope.version`; NULL when empty."),
        varchar("attributes", "OTLP `InstrumentationScope.attributes` as a JSON object."),
        varchar("schema_url", "OTLP `schemaUrl` of the block that the scope came in (`ScopeLogs` and its like); NULL "
            "when empty."),
        _dropped("attributes", "InstrumentationScope.droppedAttributesCount"),
    ),
)


def _of_its_run(but: str = "") -> tuple[Column, ...]:
    """Return what a record states of its run; *but*: what else may tell the run of one that states none."""
    return (
        varchar("dialect", "Whose keys the record is read by: `trigger_dev` or `generic` (plain OpenTelemetry)."),
        varchar("run_key", "Key of the run it counts for by what it states, as `runs.run_key`; NULL when it states no "
            f"run id{but}."),
        varchar("run_id", "Run id that the record states: `$metadata.ctx.run.id` of Trigger.dev, else `run_id` in one "
            "of its spellings; NULL when none."),
        varchar("task_id", "Task that the record states; NULL when none, `__other__` beyond the cap `names.tasks`."),
        varchar("task_file", "Source file of the task, or of the code that logs, as the record states; NULL when "
            "none."),
        integer("attempt", "Attempt number that the record states, 0 to 10,000; NULL when none or no such number."),
        varchar("queue", "Queue that the record states; NULL when none."),
        varchar("environment", "Environment that the record states, else its resource, such as `PRODUCTION`; NULL when "
            "neither does."),
        varchar("platform_project", "Project of the platform that runs it, as the record states, else its resource "
            "(Trigger.dev's `ctx.project.ref`); NULL when neither does, and in rows written before version 7."),
        varchar("version", "Version of the task's code that the record states, else its resource; NULL when neither "
            "does."),
        varchar("machine", "Machine size (Trigger.dev's `ctx.machine.name`) or host (`host.name`) that the record "
            "states, else its resource; NULL when neither does."),
        varchar("batch_id", "Batch that the run was triggered in, as the record states; NULL when none."),
        varchar("idempotency_key", "Idempotency key that the run was triggered with, as the record states; NULL when "
            "none."),
        boolean("is_test", "Whether the record says that its run is a test; NULL when it does not say."),
        boolean("is_replay", "Whether the record says that its run replays another; NULL when it does not say."),
        varchar("parent_run_id", "Run id of the run's parent, as the record states; NULL when none, and always in "
            "Trigger.dev's records."),
        varchar("correlation_id", "Id that ties together what belongs to one matter, as the logger states; NULL when "
            "none."),
        varchar("request_id", "Id of the request that is worked on, as the logger states; NULL when none."),
    )


def _event(where: str) -> tuple[Column, Column, Column]:
    """Return the columns of a message in the conventions' form, read from *where*."""
    return (
        varchar("operation", f"Operation of `{{operation}}_{{phase}}` in {where}; NULL when that is not its form, "
            "`__other__` beyond the cap `names.operations`."),
        varchar("phase", f"Phase in {where}: `started`, `validating`, `calling`, `completed` or `failed`; NULL when it "
            "has another form."),
        varchar("called_service", f"Service of `{{operation}}_calling_{{service}}` in {where}; NULL when it has "
            "another form."),
    )


_STATUS = integer("http_status", "HTTP status that the record states, 0 to 999; NULL when none or no such number.")

LOGS = Table(
    "One log record as it arrived; a record that came again in another request is a row of its own, and counts once in "
    "the run model.",
    ("seq", "row"),
    (
        PROJECT,
        *POSITION,
        *LONG,
        _ARRIVAL,
        ubigint("time_unix_nano", "OTLP `LogRecord.timeUnixNano` as sent; 0 when not sent."),
        ubigint("observed_time_unix_nano", "OTLP `LogRecord.observedTimeUnixNano` as sent; 0 when not sent."),
        *_effective("of the event", "`observed` (only an observed time was sent), "),
        integer("severity_number", "OTLP `LogRecord.severityNumber`: 1 trace, 5 debug, 9 info, 13 warn, 17 error, 21 "
            "fatal, each up to 3 more; 0 when not sent."),
        varchar("severity_text", "OTLP `LogRecord.severityText` as sent; NULL when empty."),
        varchar("body", "OTLP `LogRecord.body`: a text as it is, anything else as JSON; NULL when empty, cut at "
            "`limits.log_body`."),
        varchar("body_type", "What `body` was sent as: `string`, `bool`, `int`, `double`, `bytes`, `array`, `kvlist` "
            "or `empty`."),
        varchar("event_name", "OTLP `LogRecord.eventName`; NULL when empty."),
        varchar("trace_id", "OTLP `LogRecord.traceId`, 32 hex digits; NULL when not sent or invalid."),
        varchar("span_id", "OTLP `LogRecord.spanId`, 16 hex digits; NULL when not sent or invalid."),
        uinteger("flags", "OTLP `LogRecord.flags`; the lowest bit says that the trace is sampled."),
        _dropped("attributes", "LogRecord.droppedAttributesCount"),
        *_SENDER,
        varchar("attributes", "OTLP `LogRecord.attributes` as a JSON object, at most `limits.attributes` of them."),
        *_of_its_run(" (the run of its span may still count it)"),
        *_event("the body or the first text of its list, else in the event name or the attribute `event.name`"),
        varchar("source", "Who wrote it: `logger` (the task's logger), `console` (`console.log` and its like), "
            "`platform` (Trigger.dev's own lines); NULL when a Trigger.dev log has no severity text."),
        varchar("error_type", "Type of the error that the attributes state; NULL when none."),
        varchar("error_message", "Message of the error that the attributes state; NULL when none."),
        _STATUS,
        double("reported_ms", "Duration that the record claims (`processing_time_ms`, `duration_ms`, `elapsed_ms`, "
            "`took_ms`), ms; NULL when none or an impossible one."),
        double("queue_wait_ms", "How long the run waited in its queue, as the record claims, ms; NULL when it does not "
            "or that is impossible, and always in Trigger.dev's records."),
        double("delay_ms", "For how long the run was put off when it was queued, as the record claims, ms; NULL when "
            "it does not or that is impossible, and always in Trigger.dev's records."),
        bigint("due_at_ns", "When the run was due, as the record claims (`due_at`), ns since 1970 UTC; NULL likewise."),
        integer("max_attempts", "How many attempts the run may take at most, as the record claims, 1 to 10,000; NULL "
            "likewise."),
        varchar("priority", "Priority of the run, a word or a number, as the record claims; NULL when none, and always "
            "in Trigger.dev's records."),
        varchar("keys_from", "Where the keys of its run stand when the attributes name none: `body`, or the map "
            "`extra` or `context` among the attributes; NULL when the attributes name the run, or nothing does."),
    ),
)

SPANS = Table(
    "One span as it arrived; a partial one stands for a span that is still open, and one that came again in another "
    "request is a row of its own.",
    ("seq", "row"),
    (
        PROJECT,
        *POSITION,
        *LONG,
        _ARRIVAL,
        varchar("trace_id", "OTLP `Span.traceId`, 32 hex digits."),
        varchar("span_id", "OTLP `Span.spanId`, 16 hex digits."),
        varchar("parent_span_id", "OTLP `Span.parentSpanId`, 16 hex digits; NULL in a root span and when invalid."),
        varchar("trace_state", "OTLP `Span.traceState`; NULL when empty."),
        uinteger("flags", "OTLP `Span.flags`: bit 0 sampled, bit 9 the parent is remote, bit 8 says that bit 9 is "
            "known."),
        varchar("name", "OTLP `Span.name`; empty when not sent."),
        integer("kind", "OTLP `Span.kind`: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer."),
        ubigint("start_time_unix_nano", "OTLP `Span.startTimeUnixNano` as sent; 0 when not sent."),
        ubigint("end_time_unix_nano", "OTLP `Span.endTimeUnixNano` as sent; 0 when not sent. Says nothing of the end "
            "in a partial span."),
        *_effective("of the start", ""),
        bigint("duration_ns", "End less start by the span's own clock, ns (an end more than ten minutes ahead counts "
            "as arrival); NULL when one is missing, and when it comes out negative or above 366 days."),
        integer("status_code", "OTLP `Span.status.code`: 0 unset, 1 ok, 2 error."),
        varchar("status_message", "OTLP `Span.status.message`; NULL when empty."),
        varchar("events", "OTLP `Span.events` as a JSON list in OTLP/JSON's names, attributes as an object; `[]` when "
            "none."),
        varchar("links", "OTLP `Span.links` as a JSON list in OTLP/JSON's names, attributes as an object; `[]` when "
            "none."),
        _dropped("attributes", "Span.droppedAttributesCount"),
        _dropped("events", "Span.droppedEventsCount"),
        _dropped("links", "Span.droppedLinksCount"),
        *_SENDER,
        varchar("attributes", "OTLP `Span.attributes` as a JSON object, at most `limits.attributes` of them."),
        *_of_its_run(),
        *_event("the span's name"),
        varchar("source", "Always NULL: only logs have different writers."),
        varchar("error_type", "Type of the last `exception` event, else of the error that the attributes state; NULL "
            "when none."),
        varchar("error_message", "Message of the last `exception` event, else of the error that the attributes state; "
            "NULL when none."),
        _STATUS,
        varchar("span_type", "What the span is in its dialect: `attempt`, `run` (the task's own function), `hook`, "
            "`wait`, `trigger` (starts other runs), `call` (to another service), `retry` (inside an attempt), `user` "
            "(any other)."),
        varchar("wait_kind", "What the attempt waits for in this span: `for` or `until` (a time), `token`, `child`, "
            "`batch`; NULL when it does not wait, and always in generic spans."),
        varchar("child_run_id", "Run id of the run that this trigger span started; NULL when it names none."),
        varchar("child_task_id", "Task that this trigger span started; NULL when it names none, `__other__` beyond the "
            "cap `names.tasks`."),
        varchar("child_batch_id", "Batch that this trigger span started; NULL when it names none."),
        boolean("is_partial", "Whether it stands for a span that is still open, as Trigger.dev sends them; NULL in "
            "generic spans."),
        varchar("real_span_id", "Span id of the span that a partial one stands for; NULL in any other."),
        varchars("tags", "Tags of the run that the span states; NULL when none."),
        double("compute_ms", "Computing time that the platform states (`$usage.durationMs`, `compute_ms`), ms; NULL "
            "when none or an impossible one."),
        double("cost_cents", "Cost that the platform states (`$usage.costInCents`, `cost_cents`), cents; NULL when "
            "none or an impossible one."),
        bigint("dequeued_ns", "When the platform took the attempt from its queue "
            "(`$metrics.events.dequeue.timestamp`), ns since 1970 UTC; NULL when it does not say."),
        varchar("start_kind", "How the attempt's process was started, `cold` or `warm` (`$style.variant`); NULL when "
            "it does not say."),
        varchar("error_stack", "Stack trace of the last `exception` event; NULL when none."),
    ),
)

METRIC_POINTS = Table(
    "One data point of a metric as it arrived.",
    ("seq", "row"),
    (
        PROJECT,
        *POSITION,
        *LONG,
        _ARRIVAL,
        varchar("name", "OTLP `Metric.name`; empty when not sent."),
        varchar("description", "OTLP `Metric.description`; NULL when empty."),
        varchar("unit", "OTLP `Metric.unit`, such as `By` or `s`; NULL when empty."),
        varchar("type", "Which `Metric.data` it is a point of: `gauge`, `sum`, `histogram`, `exponential_histogram` or "
            "`summary`."),
        ubigint("time_unix_nano", "OTLP `timeUnixNano` of the point as sent; 0 when not sent."),
        ubigint("start_time_unix_nano", "OTLP `startTimeUnixNano` of the point as sent: since when it counts; 0 when "
            "not sent."),
        *_effective("of the point", ""),
        double("value", "Value of a gauge or sum, OTLP `asDouble` or `asInt`; NULL in other types and without a "
            "value."),
        bigint("value_int", "The same, exact, where it was sent as `asInt`; NULL otherwise."),
        varchar("histogram", "What a point of the other three types holds (count, sum, buckets or quantiles) as a JSON "
            "object in OTLP/JSON's names; NULL in gauges and sums."),
        varchar("temporality", "OTLP `aggregationTemporality`: `delta`, `cumulative` or `unspecified`; NULL in gauges "
            "and summaries, which have none."),
        boolean("is_monotonic", "OTLP `Sum.isMonotonic`: whether it never falls; NULL in other types."),
        uinteger("flags", "OTLP `flags` of the point; the lowest bit says that no value was recorded."),
        varchar("exemplars", "OTLP `exemplars` of the point as a JSON list; NULL when none."),
        varchar("metadata", "OTLP `Metric.metadata` as a JSON object; NULL when none."),
        *_SENDER,
        varchar("attributes", "OTLP `attributes` of the point as a JSON object, at most `limits.attributes` of them."),
    ),
)
LONG_TEXTS = Table(
    "A slice of a text that is too long to stand in its row: `string_agg(text, '' ORDER BY part)` of one column of a "
    "row is the text as it was received.",
    ("project", "table_name", "seq", "row", "id", "column_name", "part"),
    (
        PROJECT,
        varchar("table_name", "Which table the row is in: `resources`, `scopes`, `logs`, `spans` or `metric_points`."),
        bigint("seq", "Journal group of the row, its `seq`; NULL in `resources` and `scopes`."),
        bigint("row", "Place of the row in its group, its `row`; NULL in `resources` and `scopes`."),
        varchar("id", "`resource_id` or `scope_id` of the row; NULL in the other tables."),
        varchar("column_name", "Which column of the row the text is of; a list of texts is a JSON list here."),
        integer("part", "Number of the slice in its text, from 0."),
        varchar("text", "The slice, at most 12 KiB."),
    ),
)
# fmt: on

RECEIVED = {"resources": RESOURCES, "scopes": SCOPES, "logs": LOGS, "spans": SPANS, "metric_points": METRIC_POINTS}
"""What records become."""
TABLES = {**RECEIVED, "long_texts": LONG_TEXTS}
