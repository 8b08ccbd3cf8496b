"""Write a store file with a month of runs: `python -m bench.generate DIRECTORY --attempts 1000000 --logs 10000000`.

Rows go straight into our own tables, by one seeded SQL statement a table, in the order the store would have written
them. Runs per task and hour, retries, durations and queues vary as they do in production; the numbers are invented.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from collector.control import CHECKPOINTED, Control
from collector.jobs.runner import Runner
from collector.settings import Queues, Settings, Store
from collector.store import changes, run_tables
from collector.store.apply import NAME as APPLIED
from collector.store.database import Database
from collector.store.handle import Handle
from collector.store.places import Memory

START_NS = 1_790_000_000 * 10**9 // 3_600_000_000_000 * 3_600_000_000_000
DAYS = 30
END_NS = START_NS + DAYS * 86_400 * 10**9
SEQ_NS = 5 * 10**9
"""One journal group every five seconds."""
LAST_SEQ = (END_NS - START_NS) // SEQ_NS
LIMITS = Queues(limits={f"queue-{i}": 5 + 5 * (i % 4) for i in range(0, 20, 2)})

_PLAN = """
CREATE TEMP TABLE plan AS
WITH base AS (
    SELECT i,
           md5('run' || i) AS run_key,
           'run_' || substr(md5('id' || i), 1, 20) AS run_id,
           hash(i, 1) / 18446744073709551615.0 AS u1, hash(i, 2) / 18446744073709551615.0 AS u2,
           hash(i, 3) / 18446744073709551615.0 AS u3, hash(i, 4) / 18446744073709551615.0 AS u4,
           -- A day has a shape: time is bent so that noon is three times as busy as midnight.
           i::DOUBLE / $runs * $days AS day
    FROM range($runs) t(i)
), shaped AS (
    SELECT *,
           least(199, floor(exp(u1 * ln(201)) - 1))::INTEGER AS task,
           $start + ((day - 0.07 * sin(2 * pi() * day)) * 86400e9)::BIGINT AS queued_ns,
           CASE WHEN u2 < 0.78 THEN 1 WHEN u2 < 0.92 THEN 2 WHEN u2 < 0.98 THEN 3 ELSE 4 END AS attempts
    FROM base
)
SELECT *, 'task-' || task AS task_id, 'queue-' || (task % 20) AS queue,
       queued_ns + (exp(3 * u3) * 2e8)::BIGINT AS started_ns,
       (exp(0.9 * sqrt(-2 * ln(u3 + 1e-9)) * cos(2 * pi() * u4) + ln(2 + task % 30)) * 1e9)::BIGINT AS wall_ns,
       CASE WHEN attempts = 4 OR u4 < 0.01 THEN 'failed' ELSE 'completed' END AS status
FROM shaped
"""
_ATTEMPTS = """
CREATE TEMP TABLE tries AS
SELECT p.*, n AS number, p.started_ns + (n - 1) * (p.wall_ns + 3000000000) AS a_ns,
       p.started_ns + (n - 1) * (p.wall_ns + 3000000000) + p.wall_ns AS b_ns,
       CASE WHEN n < p.attempts THEN 'failed' ELSE p.status END AS attempt_status
FROM plan p, unnest(range(1, p.attempts + 1)) t(n)
"""


def generate(h: Handle, attempts: int, logs: int) -> None:
    """Fill all tables up to the run model."""
    runs = int(attempts / 1.32)
    _step("plan", lambda: h.run(_PLAN, {"runs": runs, "days": float(DAYS), "start": START_NS}))
    _step("attempts", lambda: h.run(_ATTEMPTS))
    ended = "p.started_ns + p.attempts * p.wall_ns + (p.attempts - 1) * 3000000000"
    seq = f"least({LAST_SEQ}, greatest(1, (({ended}) - {START_NS}) // {SEQ_NS} + 1))"
    first = f"least({LAST_SEQ}, greatest(1, (p.queued_ns - {START_NS}) // {SEQ_NS} + 1))"
    h.run(f"CREATE TEMP TABLE seqs AS SELECT i, {seq} AS seq, {first} AS low, {ended} AS ended_ns FROM plan p")
    _step("runs", lambda: h.run(_RUNS))
    _step("attempt rows", lambda: h.run(_ATTEMPT_ROWS))
    _step("spans", lambda: h.run(_SPANS, {"start": START_NS, "seq_ns": SEQ_NS, "last": LAST_SEQ}))
    _step("phases", lambda: h.run(_PHASES))
    _step("places", lambda: h.run(_PLACES))
    each = max(1, round(logs / runs))
    for part in range(0, runs, 500_000):
        window = {
            "start": START_NS,
            "seq_ns": SEQ_NS,
            "last": LAST_SEQ,
            "each": each,
            "low": part,
            "high": part + 500_000,
        }
        _step(f"logs of runs from {part}", lambda w=window: h.run(_LOGS, w))  # type: ignore[misc]
    changes.move(h, [run_tables.NAME], 1, LAST_SEQ)
    changes.move(h, [APPLIED], 0, LAST_SEQ)


_RUNS = """
INSERT INTO runs BY NAME
SELECT 'default' AS project, run_key, run_id, 'trigger_dev' AS dialect, task_id, 'measured' AS task_source, queue,
       'measured' AS queue_source, 'PRODUCTION' AS environment, '2026' || (100 + queued_ns // 172800000000000 % 50)
       AS version, run_id AS root_run_id, status, 'measured' AS status_source, attempts AS attempt_count,
       'measured' AS attempt_count_source, queued_ns, 'derived' AS queued_source, started_ns,
       'measured' AS started_source, s.ended_ns, 'measured' AS ended_source,
       make_timestamp(started_ns // 1000) AS started_at, make_timestamp(s.ended_ns // 1000) AS ended_at,
       started_ns - queued_ns AS queue_wait_ns, 'derived' AS queue_wait_source, attempts * wall_ns AS active_ns,
       0 AS wait_ns, (attempts - 1) * 3000000000 AS backoff_ns, s.ended_ns - queued_ns AS end_to_end_ns,
       CASE WHEN status = 'failed' THEN 'HttpError' END AS error_type, queued_ns AS first_seen_ns,
       s.ended_ns AS last_seen_ns, s.low AS first_seq, s.seq AS last_seq, 3 AS log_count, attempts AS span_count,
       'spans+logs' AS coverage, started_ns AS at_ns, s.seq AS built_seq, queued_ns AS held_from_ns,
       s.ended_ns AS held_until_ns
FROM plan JOIN seqs s USING (i) ORDER BY s.seq
"""
_ATTEMPT_ROWS = """
INSERT INTO attempts BY NAME
SELECT 'default' AS project, run_key, run_id, task_id, queue, number::INTEGER AS number, attempt_status AS status,
       'measured' AS status_source, a_ns AS started_ns, 'measured' AS started_source, b_ns AS ended_ns,
       'measured' AS ended_source, make_timestamp(a_ns // 1000) AS started_at, make_timestamp(b_ns // 1000) AS ended_at,
       wall_ns, wall_ns AS active_ns, 0 AS wait_ns, s.seq AS built_seq
FROM tries JOIN seqs s USING (i) ORDER BY s.seq
"""
_SPANS = """
INSERT INTO spans BY NAME
SELECT 'default' AS project, least($last, greatest(1, (b_ns - $start) // $seq_ns + 1)) AS seq, 0 AS "row",
       b_ns AS received_ns, md5('t' || i) AS trace_id, substr(md5('s' || i || number), 1, 16) AS span_id,
       'Attempt ' || number AS name, 1 AS kind, a_ns::UBIGINT AS start_time_unix_nano,
       b_ns::UBIGINT AS end_time_unix_nano, make_timestamp(a_ns // 1000) AS time, 'time' AS time_source,
       wall_ns AS duration_ns, CASE WHEN attempt_status = 'failed' THEN 2 ELSE 0 END AS status_code,
       '[]' AS events, '{"ctx.attempt.number":' || number || '}' AS attributes, 'trigger_dev' AS dialect, run_key,
       run_id, task_id, number::INTEGER AS attempt, queue, 'PRODUCTION' AS environment, 'attempt' AS span_type,
       false AS is_partial
FROM tries ORDER BY 2
"""
_PHASES = """
INSERT INTO phases BY NAME
SELECT 'default' AS project, run_key, run_id, number::INTEGER AS attempt, 'work_' || (task % 10) AS operation,
       'calling' AS phase, 'service-' || (task % 7) AS called_service, a_ns AS started_ns,
       a_ns + wall_ns // 2 AS ended_ns, wall_ns // 2 AS duration_ns,
       CASE WHEN attempt_status = 'failed' THEN 'failed' ELSE 'completed' END AS outcome, s.seq AS built_seq
FROM tries JOIN seqs s USING (i) ORDER BY s.seq
"""
_PLACES = """
INSERT INTO places BY NAME
SELECT ('0x' || substr(run_key, 1, 15))::BIGINT AS key, s.low, s.seq AS high, s.seq AS built_seq, s.seq AS written_seq
FROM plan JOIN seqs s USING (i) ORDER BY s.seq
"""
_LOGS = """
INSERT INTO logs BY NAME
SELECT 'default' AS project,
       least($last, greatest(1, (started_ns + k * wall_ns // $each - $start) // $seq_ns + 1)) AS seq, k AS "row",
       started_ns + k * wall_ns // $each AS received_ns, (started_ns + k * wall_ns // $each)::UBIGINT AS time_unix_nano,
       make_timestamp((started_ns + k * wall_ns // $each) // 1000) AS time, 'time' AS time_source, 9 AS severity_number,
       'INFO' AS severity_text, 'work_' || (task % 10) || '_calling_service-' || (k % 7) AS body, 'string' AS body_type,
       md5('t' || i) AS trace_id, substr(md5('s' || i || 1), 1, 16) AS span_id,
       '{"correlation_id":"doc-' || substr(run_key, 1, 8) || '","k":' || k || '}' AS attributes,
       'trigger_dev' AS dialect, 'logger' AS source, repeat('s', 32) AS scope_id, run_key, run_id, task_id,
       1 AS attempt, queue, 'PRODUCTION' AS environment,
       'doc-' || substr(run_key, 1, 8) AS correlation_id
FROM plan, unnest(range($each)) t(k) WHERE i >= $low AND i < $high ORDER BY 2
"""


def _step(name: str, act: object) -> None:
    began = time.perf_counter()
    act()  # type: ignore[operator]
    print(f"{name}: {time.perf_counter() - began:.1f} s", flush=True)


def main() -> None:
    """Generate what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--attempts", type=int, default=1_000_000)
    parser.add_argument("--logs", type=int, default=10_000_000)
    args = parser.parse_args()
    settings = Settings(data=args.directory, store=Store(memory="4GiB"), queues=LIMITS)  # type: ignore[arg-type]
    database = Database.open(args.directory, settings.store)
    database.writing(lambda h: generate(h, args.attempts, args.logs))
    database.checkpoint()
    control = Control.open(args.directory)
    runner = Runner(database, control, Memory(), settings)
    _step("statistics from nothing", lambda: _settle(runner))
    database.reading(_check)
    database.checkpoint()
    database.close()
    for mark in (APPLIED, CHECKPOINTED):  # receive goes on with the next number
        control.set_mark(mark, LAST_SEQ)
    control.close()


def _check(h: Handle) -> None:
    """End where the statistics do not count every run."""
    runs = h.value("SELECT count(*) FROM runs")
    for table, kind in (("run_cohorts", "true"), ("flow_hours", "event = 'started'"), ("duration_hours", _EXECUTION)):
        counted = "n" if table == "duration_hours" else "runs"
        counts = h.value(f"SELECT sum({counted})::BIGINT FROM {table} WHERE {kind}")
        if counts != runs:
            raise SystemExit(f"{table} counts {counts} of {runs} runs")


_EXECUTION = "measure = 'execution'"


def _settle(runner: Runner) -> None:
    while runner.run(END_NS):
        pass
    if runner.errors:
        raise SystemExit(str(runner.errors))


if __name__ == "__main__":
    main()
