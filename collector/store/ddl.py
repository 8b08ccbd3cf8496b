"""Tables as SQL, from the Arrow schemas that name them.

No keys, indexes, enums, sequences or defaults: raw tables are append-only, and everything can be rebuilt.
"""

from __future__ import annotations

import pyarrow as pa

from collector.model.believable import EARLIEST_NS, LONGEST_NS
from collector.model.tables import PUBLIC
from collector.model.words import DECIDED, DEVELOPMENT, FAILED, OPEN, STOPPED, TERMINAL
from collector.store.parting import NAMED
from collector.store.version import VERSION as VERSION

_S, _L = pa.string(), pa.int64()

_LONG_TEXT = frozenset(
    {"body", "attributes", "events", "links", "histogram", "exemplars", "error_stack", "error_message", "text"}
)
"""Columns worth zstd; ids are not: finding a run in 20 million logs takes 0.04 s without and 0.19 s with it."""

FACTS: dict[str, pa.Schema] = {
    # Who triggered whom, one row per record that says so. `source` measured: the child says so; derived: the
    # parent's trigger span does, which gives `started_ns`, `ended_ns` and whether it `waits` for the child.
    "run_links": pa.schema(
        [
            *[(name, _S) for name in ("project", "dialect", "environment", "platform_project")],
            ("seq", _L),
            *[
                (name, _S)
                for name in (
                    "child_run_key",
                    "child_run_id",
                    "child_batch_id",
                    "child_task_id",
                    "parent_run_key",
                    "parent_run_id",
                    "source",
                )
            ],
            ("started_ns", _L),
            ("ended_ns", _L),
            ("waits", pa.bool_()),
        ]
    ),
    # Which run belongs to which batch.
    "run_batches": pa.schema([("project", _S), ("seq", _L), ("batch_id", _S), ("run_key", _S)]),
    # Logs that stand in a span, and so belong to that span's run: they name none, or only in a body or a map, or by a
    # bare number without all that tells such runs apart (then `run_id` and what they state).
    "log_orphans": pa.schema(
        [
            ("project", _S),
            ("received_ns", _L),
            ("seq", _L),
            ("row", _L),
            *[(name, _S) for name in ("trace_id", "span_id", "run_key", "run_id", "environment", "queue")],
        ]
    ),
    # Orphaned logs whose span told their run; `states`: they name one themselves, which has them no more.
    "log_runs": pa.schema(
        [
            *[("project", _S), ("seq", _L), ("row", _L), ("run_key", _S), ("attempt", pa.int32())],
            ("states", pa.bool_()),
        ]
    ),
    # Open runs, and when the clock alone may change their status.
    "run_due": pa.schema([("project", _S), ("run_key", _S), ("due_ns", _L)]),
    # Where in the journal each run (or batch) is and where its rows stand; see store/places.
    "places": pa.schema([(name, _L) for name in ("key", "low", "high", "built_seq", "written_seq", "common")]),
    # What is stated of run ids of which more than one thing is, and whose it is; see store/parting.
    "run_statements": pa.schema(
        [
            *[(name, _S) for name in ("project", "dialect", "run_id", "environment", "service", "queue", "stated_key")],
            ("rank", _L),
            ("run_key", _S),
            ("ambiguous", pa.bool_()),
            ("common", _L),
        ]
    ),
    # When a bare number was given to another run; see store/statements.
    "run_cuts": pa.schema(
        [*[(name, _S) for name in ("project", "run_key", "cut_key")], ("from_ns", _L), ("until_ns", _L)]
    ),
    # What each run adds to findings, replaced with the run; `run_key` NULL: what only a whole window shows.
    "run_findings": pa.schema(
        [
            *[(name, _S) for name in ("project", "run_key", "code", "severity", "task_id", "operation", "key")],
            *[(name, _L) for name in ("count", "first_seen_ns", "last_seen_ns")],
            ("since_version", _S),
            ("details", pa.list_(_S)),
            ("places", pa.list_(_S)),
            ("window", pa.bool_()),
        ]
    ),
    # Which runs were written anew at which tick of the runs job; see store/changes.
    "run_changes": pa.schema([("tick", _L), ("seq", _L), ("project", _S), ("run_key", _S)]),
    # Hours whose queue levels have to be computed again.
    "level_hours": pa.schema([("hour_ns", _L)]),
    # What could not be worked out and was left out alone, and why; see store/aside.
    "set_aside": pa.schema(
        [
            *[(name, _S) for name in ("project", "stage", "kind", "key", "run_id")],
            *[(name, _L) for name in ("first_seq", "last_seq", "row")],
            ("reason", _S),
            ("since_ns", _L),
        ]
    ),
    # How far a stage or job has come in the journal.
    "watermark": pa.schema([("name", _S), ("seq", _L), ("row", _L)]),
    "meta": pa.schema([("name", _S), ("value", _S)]),
}
"""Private tables: facts that the run model is computed from, and bookkeeping."""

BUILT = ("runs", "attempts", "phases", "waits")
"""Tables with a private column `built_seq`: how far the journal was read when the row was built. It ascends with the
rows, so that the old rows of a run are found without reading the table."""

PRIVATE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(BUILT, ("built_seq",)),
    # From when to when at most a run waits for a slot or holds one; open runs until the clock has its say.
    "runs": ("built_seq", "held_from_ns", "held_until_ns"),
}
"""Columns (BIGINT) that a table has beyond its public ones."""

KEPT_BY = {
    **dict.fromkeys(("run_cohorts", "attempt_hours"), "retries"),
    "flow_hours": "throughput",
    "duration_hours": "durations",
    "phase_hours": "calls",
    **dict.fromkeys(("queue_levels", "slot_hours"), "concurrency"),
}
"""Statistics table → the job that makes it anew from all runs when it has no position (`store/changes`)."""

BEFORE: dict[str, list[str]] = {
    name: [c for c in PUBLIC[name].names if c not in (*_LONG_TEXT, "tags", "machine", "task_file", "set_aside")]
    for name in BUILT
}
"""Columns of the run tables that the statistics may read, and that `before_…` keeps."""


def _stored(name: str, schema: pa.Schema) -> pa.Schema:
    return pa.schema([*schema, *((column, _L) for column in PRIVATE.get(name, ()))])


TABLES: dict[str, pa.Schema] = {
    **{name: _stored(name, schema) for name, schema in PUBLIC.items()},
    **{
        f"before_{name}": pa.schema([*(PUBLIC[name].field(c) for c in columns), ("tick", _L)])
        for name, columns in BEFORE.items()
    },
    **FACTS,
}

_TYPES = {
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint32(): "UINTEGER",
    pa.uint64(): "UBIGINT",
    pa.float64(): "DOUBLE",
    pa.decimal128(38): "HUGEINT",
    pa.timestamp("us"): "TIMESTAMP",
    pa.list_(pa.string()): "VARCHAR[]",
}


def sql_type(kind: pa.DataType) -> str:
    """Return the SQL type of an Arrow type."""
    return _TYPES[kind]


def create(name: str) -> str:
    """Return the CREATE TABLE statement of a table."""
    columns = ", ".join(
        f'"{field.name}" {sql_type(field.type)}' + (" USING COMPRESSION zstd" if field.name in _LONG_TEXT else "")
        for field in TABLES[name]
    )
    return f'CREATE TABLE IF NOT EXISTS "{name}" ({columns})'


VIEWS = {
    # Level rows with the limit that is inferred for a queue where nobody stated one. What is inferred with low
    # confidence is no more than a lower bound, and telemetry does not name the concurrency key of a run.
    "queue_levels_limited": """
        WITH inferred AS (
            SELECT project, queue, environment, platform_project, arg_max("limit", from_ns) AS own_limit
            FROM queue_limits l WHERE source = 'inferred' AND concurrency_key IS NULL
              AND confidence IS DISTINCT FROM 'low' AND NOT EXISTS (
                  SELECT 1 FROM queue_limits s WHERE s.source = 'settings' AND s.concurrency_key IS NULL
                  AND s.project = l.project AND s.queue = l.queue
                  AND (s.environment IS NULL OR s.environment IS NOT DISTINCT FROM l.environment)
                  AND (s.platform_project IS NULL OR s.platform_project IS NOT DISTINCT FROM l.platform_project))
            GROUP BY ALL
        )
        SELECT l.* REPLACE (
            coalesce(l."limit", own_limit) AS "limit",
            CASE WHEN l."limit" IS NULL AND own_limit IS NOT NULL THEN 'inferred' ELSE limit_source END AS limit_source
        ) FROM queue_levels l LEFT JOIN inferred i ON i.project = l.project AND i.queue = l.queue
        AND i.environment IS NOT DISTINCT FROM l.environment
        AND i.platform_project IS NOT DISTINCT FROM l.platform_project
    """,
    # Logs that state a run and are given to that of the span they stand in.
    "given_logs": """
        SELECT project AS of_project, seq AS of_seq, "row" AS of_row, min(run_key) AS span_key FROM log_runs
        WHERE states GROUP BY ALL
    """,
    # What raw rows have for a key, where it is not that of their run, and whose they are that begin within bounds.
    "moved_keys": f"""
        SELECT s.project AS of_project, s.stated_key, coalesce(c.cut_key, s.run_key) AS of_run_key,
            c.from_ns, c.until_ns
        FROM run_statements s LEFT JOIN run_cuts c ON c.project = s.project AND c.run_key = s.run_key
        WHERE s.rank < {NAMED} AND (s.run_key <> s.stated_key OR c.cut_key IS NOT NULL)
    """,  # noqa: S608 -- a number of ours
}
"""Private views: SQL that more than one reader would repeat."""

MACROS = {
    # Whether a row is of what is wanted: any where nobody says which, what states none where that is empty. So DuckDB
    # compares alone where something is wanted; coalesce(value, '') = wanted takes twice as long.
    "is_of(value, wanted)": "(wanted IS NULL OR value = wanted OR (wanted = '' AND value IS NULL))",
    # The effective time of a record in ns, as `analyse.evidence.exact_ns`.
    "exact_ns(source, own, effective, arrived)": f"""
        CASE WHEN (CASE WHEN source = 'time' THEN try_cast(own AS BIGINT) ELSE epoch_us(effective) * 1000 END)
                  BETWEEN {EARLIEST_NS} AND arrived + {LONGEST_NS}
             THEN (CASE WHEN source = 'time' THEN try_cast(own AS BIGINT) ELSE epoch_us(effective) * 1000 END)
             ELSE arrived END
    """,
    # Whether a record's effective time is that of a clock that is not set.
    "is_unset(effective)": f"coalesce(epoch_us(effective) < {EARLIEST_NS // 1000}, false)",
    # How long a span lasted, 0 where that is not known.
    "lasted_ns(ns)": f"CASE WHEN ns BETWEEN 0 AND {LONGEST_NS} THEN ns ELSE 0 END",
    "is_failed(status)": f"status IN {FAILED}",
    "is_open(status)": f"status IN {OPEN}",
    "is_stopped(status)": f"status IN {STOPPED}",
    # Whether a run ended by itself, well or not.
    "is_decided(status)": f"status IN {DECIDED}",
    "is_over(status)": f"status IN {TERMINAL}",
    "is_development(environment)": f"coalesce(lower(environment) IN {DEVELOPMENT}, false)",
    "is_live(environment, is_test, is_replay)": (
        "(is_test IS NOT TRUE AND is_replay IS NOT TRUE AND NOT is_development(environment))"
    ),
    # Which population counts where nobody says which, in environment e or, if that is NULL, in all: live runs count;
    # development runs only where a development environment is chosen or the store has no live run.
    "counted_population(p, e)": """
        CASE WHEN is_development(e) THEN 'development'
             WHEN e IS NOT NULL OR EXISTS (
                 SELECT 1 FROM runs
                 WHERE project = p AND is_live(environment, is_test, is_replay)
             ) THEN 'live' ELSE 'development' END
    """,
    # Whether a row of `runs` is of that population. Replays and test runs never are.
    "is_counted(environment, is_test, is_replay, p, e)": (
        "(is_test IS NOT TRUE AND is_replay IS NOT TRUE "
        "AND is_development(environment) = (counted_population(p, e) = 'development'))"
    ),
    # Runs of that population, of environment e and platform project x, by hour, status and attempts, of whole hours
    # [a, b). Those that never started are few and in no hourly table.
    "run_hours(p, a, b, e, x)": """TABLE
        SELECT hour_ns, task_id, platform_project, outcome AS status,
               CASE WHEN outcome NOT IN ('unknown', 'queued', 'expired') THEN attempts END AS attempt_count, runs
        FROM run_cohorts
        WHERE project = p AND population = counted_population(p, e) AND hour_ns >= a AND hour_ns < b
          AND is_of(environment, e) AND is_of(platform_project, x)
        UNION ALL
        SELECT at_ns // 3600000000000 * 3600000000000, task_id, platform_project, coalesce(outcome, status),
               attempt_count, 1
        FROM runs
        WHERE project = p AND at_ns >= a AND at_ns < b AND started_ns IS NULL
          AND is_counted(environment, is_test, is_replay, p, e)
          AND is_of(environment, e) AND is_of(platform_project, x)
    """,
    # Histograms of how long these runs took and waited.
    "time_hours(p, a, b, e, x)": """TABLE
        SELECT hour_ns, measure, ix, n FROM duration_hours
        WHERE project = p AND population = counted_population(p, e) AND measure IN ('execution', 'queue_wait')
          AND hour_ns >= a AND hour_ns < b
          AND is_of(environment, e) AND is_of(platform_project, x)
    """,
    # Since when levels of queues are known: the first sign of telemetry in the first hour that has any. It may be the
    # slot of an attempt that was dequeued before its records begin.
    "levels_since(p)": """
        (SELECT CASE WHEN told.ns < kept.ns + 3600000000000 THEN greatest(told.ns, kept.ns) ELSE kept.ns END
         FROM (SELECT min(bucket_ns) AS ns FROM queue_levels WHERE project = p) kept, (
             SELECT least(
                 (SELECT min(first_seen_ns) FROM runs WHERE project = p),
                 (SELECT min(least(dequeued_ns, started_ns)) FROM attempts WHERE project = p)) AS ns
         ) told)
    """,
    # What a bucket of a histogram stands for, as `analyse.durations.bucket_ns`.
    "bucket_estimate(ix)": (
        "CASE WHEN ix > -159 THEN round(2 * pow(2, ix / 16.0) / (pow(2, 1 / 16.0) + 1) * 1e6)::BIGINT "
        "WHEN ix IS NOT NULL THEN 0 END"
    ),
}
"""Private macros, likewise."""
