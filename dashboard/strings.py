"""Every sentence the user sees."""

from __future__ import annotations

TITLE = "runwell"
UTC = "times in UTC"

OVERVIEW = "Overview"
OVERVIEW_SUB = "Do the runs run well? Test runs are left out; times in UTC"
RUNS = "Runs"
RUNS_SUB = "Every run that left telemetry, newest first; times in UTC"
RUN = "Run detail"

KPI_RUNS = "started or queued in the range"
KPI_SUCCESS = "completed of completed + failed"
KPI_RETRY = "more than one attempt, of runs with a known count"
KPI_P95 = "first start to end, p95 nearest rank"
KPI_WAIT = "queued to first start, p95 nearest rank"
KPI_UNKNOWN = "ended or silent without proof of how"

OUTCOMES = "Runs by outcome"
OUTCOMES_SUB = "per {bucket}; recovered = completed after more than one attempt"
ATTENTION = "Needs attention"
ATTENTION_SUB = "ranked by what the numbers can support"
ATTENTION_NONE = "Nothing stands out in this range."
HEATMAP = "Failure and retry by task and hour"
HEATMAP_SUB = "share of runs that failed or needed another attempt; the 12 tasks with most of them"
HEATMAP_NONE = "No run failed or was retried in this range."
TASKS = "Tasks"
TASKS_SUB = (
    "failure rate with its 95 % Wilson interval; p95 only from 20 runs on; change against the equal period before"
)

EMPTY_TITLE = "No runs in this range"
EMPTY = (
    "Choose a longer range, or point a task logger at the collector: "
    "OTLP/HTTP on port 4318, OTLP/gRPC on port 4317. `runwell demo` shows the sample data."
)
AWAY_TITLE = "The store does not answer"
AWAY = "Start it with `runwell up`, or `runwell serve` in another terminal, then reload this page."
SEARCH = "run id, tag, correlation id, error…"
NO_MATCH = "No run matches these filters in this range."
SELECT_HINT = "Select a row to open the run"
NO_RUN_TITLE = "No such run"
NO_RUN = "No run with this id has left telemetry here."
CHOOSE_RUN = "Open a run from the Runs page."
SEVERAL = "{n} runs share this id (another environment or dialect); this is the newest."

WATERFALL = "Waterfall"
WATERFALL_SUB = "{attempts} · {total} in all; select a bar to filter the logs"
WATERFALL_NONE = "No attempt, phase or wait of this run is known."
LOGS = "Logs"
LOGS_SUB = "{n} records{within}; select one to see it as received"
LOGS_NONE = "No log of this run arrived."
SPANS = "Spans"
CHILDREN = "Runs it triggered"
CHILDREN_SUB = "select one to open it"
RECORD = "Record as received"
RECORD_NONE = "Select a log or span."
PARENT = "Open the parent run"
WALL = "Wall clock"
WORK = "Work only"
TRUNCATED = "Only the first {most} {what} are shown."

FRESH = "Up to date"
BEHIND = "{lag} behind"
COUNTS = "{logs} logs · {spans} spans · {runs} runs"

PROVENANCE = {
    "measured": "measured: a record of its own says so",
    "phase": "from a phase: a log of the lifecycle says so",
    "derived": "derived: computed from measured values, or told by another run",
    "inferred": "inferred: concluded from silence or time",
    "unknown": "unknown: telemetry cannot prove it",
}
PROVENANCE_LEGEND = "● measured  ◐ derived or from a phase  ○ inferred  ? unknown"
