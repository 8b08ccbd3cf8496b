"""Every sentence the user sees."""

from __future__ import annotations

TITLE = "runwell"
UTC = "times in UTC"

OVERVIEW = "Overview"
OVERVIEW_SUB = "Test runs left out · times in UTC"
RUNS = "Runs"
RUNS_SUB = "Newest first · times in UTC"
RUN = "Run detail"
UNKNOWN = "unknown"
TASK_UNKNOWN = "Task unknown"
WAITS = {
    "for": "wait for a time",
    "until": "wait until a time",
    "child": "wait for a child run",
    "batch": "wait for a batch",
    "token": "wait for a token",
}

KPIS = {
    "runs": ("Runs", "started or queued in the range"),
    "success": ("Success rate", "completed of completed and failed"),
    "retry": ("Retry rate", "more than one attempt, of runs with a known count"),
    "p95": ("p95 duration", "first start to end, nearest rank"),
    "wait": ("p95 queue wait", "queued to first start, nearest rank"),
    "unknown": ("Unknown", "ended or silent without proof of how"),
}
AGAINST = "vs {span} before"
NO_BEFORE = "nothing before to compare"

OUTCOMES = "Runs by outcome"
OUTCOMES_SUB = "per {bucket}; recovered = completed after more than one attempt"
ATTENTION = "Needs attention"
ATTENTION_SUB = "ranked by runs touched; select one to see them"
ATTENTION_NONE = "Nothing stands out in this range."
TASK_FAILS = "{task} fails"
FAILS = "{n} of {ended} ended runs failed, {rate}{before}"
RATE_BEFORE = "; {rate} before"
TASK_SLOWER = "{task} is slower"
SLOWER = "p95 {before} → {now}, {n} runs"
RETRYING_NOW = "Retrying now"
RETRYING = "{n} runs wait for another attempt"
UNKNOWN_OUTCOMES = "Unknown outcomes"
UNKNOWNS = "{n} runs ended or fell silent without proof of how"
HEATMAP = "Failure and retry by task and hour"
HEATMAP_SUB = "share of runs that failed or needed another attempt, per {cell}; the 12 tasks with most of them"
HEATMAP_NONE = "No run failed or was retried in this range."
TASKS = "Tasks"
TASKS_SUB = (
    "failed of completed and failed, with its 95 % Wilson interval; p95 from 20 runs on, and of the equal period before"
)

EMPTY_TITLE = "No runs in this range"
EMPTY = (
    "Choose a longer range, or point a task logger at the collector: "
    "OTLP/HTTP on port 4318, OTLP/gRPC on port 4317. `runwell demo` shows the sample data."
)
AWAY_TITLE = "The store does not answer"
AWAY = "Start it with `runwell up`, or `runwell serve` in another terminal."
AGAIN = "Try again"
SEARCH = "run id, tag, correlation id, error…"
RUN_COUNT = "runs"
RUN_COUNT_ONE = "run"
NO_MATCH = "No run matches these filters in this range."
SELECT_HINT = "Select a row to open the run"
NO_RUN_TITLE = "No such run"
NO_RUN = "No run with this id has left telemetry here."
CHOOSE_RUN = "Open a run from the Runs page."
SEVERAL = "{n} runs share this id (another environment or dialect); this is the newest."

WATERFALL = "Waterfall"
WATERFALL_SUB = "{attempts} · {total} in all · select a bar to filter the logs"
WATERFALL_NONE = "No attempt, phase or wait of this run is known."
LOGS = "Logs"
LOGS_SUB = "{n} records{within} · select one to see it as received"
LOGS_WITHIN = " within the selected bar, of {n}"
LOGS_NONE = "No log of this run arrived."
LOGS_NONE_WITHIN = "No log lies within the selected bar."
SPANS = "Spans"
SPANS_SUB = "{n} spans · select one to see it as received"
CHILDREN = "Runs it triggered"
CHILDREN_SUB = "select one to open it"
RECORD = "Record as received"
RECORD_NONE = "No record of this run arrived."
RECORD_PICKED = "the selected one"
RECORD_FIRST = "the first one; select another"
RECORD_FIRST_ERROR = "the first error; select another"
RECORD_REST = "Record"
RECORD_RESOURCE = "Resource"
PARENT = "Open the parent run"
WALL = "Wall clock"
WORK = "Work only"
TRUNCATED = "Only the first {most} {what} are shown."

ENVIRONMENT = "Environment"
ALL_ENVIRONMENTS = "All environments"
FRESH = "Up to date"
BEHIND = "{lag} behind"
COUNTS = "{runs} runs · {logs} logs · {spans} spans"

PROVENANCE = {
    "measured": "measured: a record of its own says so",
    "phase": "from a phase: a log of the lifecycle says so",
    "derived": "derived: computed from measured values, or told by another run",
    "inferred": "inferred: concluded from silence or time",
    "unknown": "unknown: telemetry cannot prove it",
}
PROVENANCE_LEGEND = "● measured  ◐ derived or from a phase  ○ inferred  ? unknown"
