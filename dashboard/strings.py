"""The sentences of the pages. Titles of columns and series, help and texts for screen readers stand beside them."""

from __future__ import annotations

TITLE = "runwell"

OVERVIEW = "Overview"
OVERVIEW_SUB = "Test runs and replays left out · times in UTC"
RUNS = "Runs"
RUNS_SUB = "Times in UTC"
RUN = "Run detail"
UNKNOWN = "unknown"
TASK_UNKNOWN = "Task unknown"
WAITS = {
    "for": "wait for a time",
    "until": "wait until a time",
    "child": "wait for a child run",
    "batch": "wait for a batch",
    "token": "wait for a token",
    "redelivery": "wait to be taken up again",
}

KPIS = {
    "runs": ("Runs", "started or queued in the range"),
    "success": ("Success rate", "completed of completed and failed; skipped and too young ones apart"),
    "retry": ("Retry rate", "more than one attempt, of runs with an ended one; too young ones apart"),
    "p95": ("p95 duration", "first start to end"),
    "at_limit": ("Time at limit", "all slots held, of the time of queues with a known limit"),
    "violations": ("Violations", "of the conventions, everywhere; line: ten days"),
}
NEW_SINCE = "since a day"
NOTHING_NEW = "nothing new since a day"
AGAINST = "vs {span} before"
NOT_JUDGED = "Rules have judged nothing yet"
NO_BEFORE = "nothing before to compare"

OUTCOMES = "Runs by outcome"
OUTCOMES_SUB = "per {bucket}; recovered = completed after more than one attempt"
ATTENTION = "Needs attention"
ATTENTION_SUB = "what fails, fills up or slows down; select one"
ATTENTION_STORE = "what the store has trouble with"
STATUS_UNKNOWN = "The store does not say how it is"
WRITER_FAILS = "The store cannot write"
WRITER_FAILS_DETAIL = "{reason}; nothing new is shown until it can; runwell doctor says what helps"
JOB_FAILS = "Job {job} fails"
JOBS_FAIL = "A job fails"
JOB_FAILS_DETAIL = "{reason}; its numbers stay as they were"
SET_ASIDE = "{kind} {name} is set aside"
SET_ASIDE_WHY = {
    "applied": "It could not be written",
    "facts": "What links it to runs could not be worked out",
    "runs": "It could not be worked out",
    "rules": "It could not be applied",
    "rules_window": "It could not be applied",
}
SET_ASIDE_WHY_LEFT_OUT = "It is left out of {stage}"
SET_ASIDE_DETAIL = "{why}: {reason}"
SET_ASIDE_ONE_OF = "one of {n} set aside"
SET_ASIDE_COUNT = "{n} set aside"
SET_ASIDE_ASK = "could not be worked out; runwell doctor names them"
RUN_SET_ASIDE = (
    "**This run could not be worked out in full and is set aside**: {reason}. What is not told here is unknown. "
    "Its records are kept as they were received. It is tried again when it changes and after an upgrade."
)
ATTENTION_NONE = "Nothing stands out in this range."
TASK_FAILS = "{task} fails"
FAILS = "{n} runs failed; {rate} of {ended} that cannot retry any more{before}"
RATE_BEFORE = "; {rate} before"
TASK_SLOWER = "{task} is slower"
SLOWER = "p95 {before} → {now}, {n} runs"
RETRYING_NOW = "Retrying now"
RETRYING = "{n} runs wait for another attempt"
QUEUE_FULL = "{queue} is full"
QUEUE_FULL_DETAIL = "{share} of the time at its limit of {limit}, runs waiting"
NEW_VIOLATIONS = "{n} new findings"
NEW_VIOLATIONS_DETAIL = "the worst: {code}, {summary}"
UNKNOWN_OUTCOMES = "Unknown outcomes"
UNKNOWNS = "{n} ended or fell silent without proof of how"
HEATMAP = "Failure and retry by task and hour"
HEATMAP_SUB = "share of runs that failed or needed another attempt, per {cell}; the 12 tasks with most of them"
HEATMAP_NONE = "No run failed or was retried in this range."
TASKS = "Tasks"
TASKS_SUB = (
    "failed of completed and failed ones too old to retry, with its 95 % Wilson interval; p95 from 20 runs on, and "
    "of the equal period before"
)
ESTIMATED = "; percentiles are estimated from hourly histograms, within 2.2 %"

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
RUNS_AT = {
    "active": "under way or ended in the range, the last to start first",
    "start": "started in the range, else queued or first seen, the last to start first",
    "end": "ended in the range, the last to end first",
}
RUNS_AFFECTED = "affected in the range, the last to start first"
COUNTED_HELP = (
    "Only runs that figures count: no test runs and replays, development runs only where they are all there is"
)
HOURS_HELP = "The range is widened to whole hours, as the page counts that led here"
NO_MATCH = "No run matches these filters in this range."
SELECT_HINT = "Select a row to open the run"
NO_RUN = "No run with this id has left telemetry here."
CHOOSE_RUN = "Open a run from the Runs page."
SEVERAL = "{n} runs have this id"
SEVERAL_NEWEST = "{n} runs have this id; this is the newest"
SEVERAL_SUB = (
    "One id may be given to several runs: in another environment or, where it is a number, by another queue or service "
    "and again after a long pause. Select one to open it."
)
SAME_ID = "Runs with this id"
SHOWN_HERE = "shown here"
LEFT_OPEN = "left open"
LEFT_OPEN_LEGEND = "*left open*: which run of that id its records are of"
RUN_LEFT_OPEN = (
    "**Its records leave open which of several runs with this id they are of**, so they stand alone here; rule TEL008 "
    "says what they do not state. What is missing in this run may stand in one of the others."
)

WATERFALL = "Waterfall"
WATERFALL_SUB = "{attempts} · {total} in all · select a bar to filter the logs"
ON_VERSION = " (version {version})"
WATERFALL_NONE = "No attempt, phase or wait of this run is known."
LOGS = "Logs"
LOGS_SUB = "{n} records{within} · select one to see it as received"
LOGS_WITHIN = " within the selected bar, of {n}"
LOGS_NONE = "No log of this run arrived."
LOGS_NONE_WITHIN = "No log lies within the selected bar."
SPANS = "Spans"
SPANS_SUB = "{n} spans · select one to see it as received"
LIKELY = {"starts": "Likely to start", "ends": "Likely to end"}
LIKELY_RANGE = {"starts": "8 of 10 start in", "ends": "8 of 10 end in"}
LIKELY_IN = "in {span}"
LIKELY_NOW = "any moment"
PLACE = "Place in the queue"
PLACE_OF = "{position} of {n}"
PLACE_AT_LEAST = "at least {position} of {n}"
CHILDREN = "Runs it triggered"
CHILDREN_SUB = "select one to open it"
RECORD = "Record as received"
RECORD_NONE = "No record of this run arrived."
RECORD_PICKED = "the selected one"
RECORD_FIRST = "the first one; select another"
RECORD_FIRST_ERROR = "the first error; select another"
RECORD_FAILURE = "the one that tells the failure; select another"
RECORD_REST = "Record"
RECORD_RESOURCE = "Resource"
PARENT = "Open the parent run"
WALL = "Wall clock"
WORK = "Work only"
PART = "{n} of {total} {what} are shown here"
PART_SOME = "{n} {what} are shown here"
PARTS = {"first": "First", "earlier": "Earlier", "later": "Later", "last": "Last"}
FAILURE = "What tells the failure"

ENVIRONMENT = "Environment"
ALL_ENVIRONMENTS = "All environments"
PLATFORM_PROJECT = "Project of the platform"
ALL_PLATFORM_PROJECTS = "All projects"
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

TASKS_PAGE = "Tasks"
TASKS_PAGE_SUB = "Test runs and replays left out · times in UTC"
CHOOSE_TASK = "Task"
NO_TASKS = "**No task ran in this range.** " + EMPTY
ATTEMPT_DURATION = "Attempt duration"
ATTEMPT_DURATION_SUB = "p50, p95, p99 per {bucket}, nearest rank; p95 from 20 attempts in a bucket on, p99 from 100"
ATTEMPT_DURATION_ESTIMATED = (
    "p50, p95, p99 per {bucket}, estimated from hourly histograms, within 2.2 %; "
    "p95 from 20 attempts in a bucket on, p99 from 100"
)
ATTEMPT_DURATION_NONE = "No attempt of this task ended in this range."
FUNNEL = "Retry funnel"
FUNNEL_SUB = "runs that reached each attempt, share that succeeded in it with 95 % interval; too young ones left out"
FUNNEL_NONE_YET = "No run of this task is old enough to tell whether a retry follows."
FUNNEL_YIELD = "{n} succeeded here · {rate} ({low} to {high})"
FUNNEL_NONE = "none of these has ended"
ATTEMPT = "Attempt {number}"
GAVE_UP = "Gave up"
ERRORS = "Errors"
ERRORS_SUB = "attempts that failed, by what happened: values are taken out of messages"
ERRORS_SELECT = "; select one to see its runs"
ERRORS_SINCE = "The first of all that are kept."
ERROR_GROUP = "Error"
VERSION = "Version"
AFFECTED = "Affected"
SPAN = "Time range"
ABSENT = "Nothing of **{name}** in this range."
ERRORS_NONE = "No attempt of this task failed in this range."
STEPS = "Phases and calls"
STEPS_SUB = "from a log of the lifecycle to the next one of its operation; failure rate with 95 % interval"
STEPS_NONE = "This task logs no phases or calls."
ALL_TASKS = "All tasks"
ALL_TASKS_SUB = "{n}, sorted by retry rate; select one to see it above; trend: retry rate per hour with runs"
CI = "95 %: {low} to {high}, n\N{NO-BREAK SPACE}{n}"
OF = "n\N{NO-BREAK SPACE}{n}"
BY_TIME = "weighted by time"
NONE_WAITS = "no run known to wait"
FIGURES = {
    "runs": "Runs",
    "run_failure_rate": "Failure rate",
    "run_retry_rate": "Retry rate",
    "eventual_success": "Recovery",
    "execution": "Execution p95",
    "queue_wait": "Queue wait p95",
    "wasted_time": "Wasted time",
}

WHOLE_HOURS = "counted in whole hours, from {at}"
TASK_COUNT = "{n} tasks"
TASK_COUNT_ONE = "1 task"
SHOW_RUNS = "Show its runs:"
NO_RUNS_SHOWN = (
    "Its runs cannot be listed alone: the Runs page has no filter for what states no project or environment."
)
RUNS_ALL = "all"
RUNS_FAILED = "failed"
RUNS_RETRIED = "retried"
RUNS_OPEN = "under way"

QUEUES = "Queues"
QUEUES_SUB = "Concurrency, saturation, waiting · times in UTC"
NO_QUEUES = "**No queue held a slot in this range.** " + EMPTY
SATURATION = "Saturation"
SATURATION_SUB = "slots held, % of the limit, weighted by time; orange = at or near the limit; blank = no telemetry yet"
SATURATION_NONE = "No limit of these queues is known: state them under [queues.limits], or wait until one is inferred."
LIMIT_UNKNOWN = "Limit unknown, so not shown above: {queues}"
CHOOSE_QUEUE = "Queue"
LEVELS = "Slots held against the limit"
LEVELS_SUB = "average {mean} · p95 {p95} · peak {peak} of {limit} · {at_limit} of the time at the limit"
LIMIT_SLOTS = "{n} slots ({source})"
LIMIT_NONE = "an unknown limit"
LIMIT_SOURCES = {"settings": "from settings", "inferred": "inferred from load"}
LEVEL_TIME = "Time at each level"
LEVEL_TIME_SUB = "share of time; orange = at the limit"
QUEUE_WAITS = "Queue wait"
QUEUE_WAITS_SUB = "queued to start of the first attempt, per {bucket}; p95 from 20 runs in a bucket on"
QUEUE_WAITS_INFERRED = "; inferred for {n} of {all} runs, which a trigger may have put off"
QUEUE_WAITS_NONE = "Telemetry tells of no queue wait here: no run says when it was queued."
SLOT_SHARE = "Slot share"
SLOT_SHARE_SUB = "slot time of each task among the slot time of the queue"
SLOT_SHARE_NONE = "No slot was held in this range."
SLOT_RUNS = "{time} of slot time"
HOLDERS = "Holders now"
HOLDERS_SUB = "who holds a slot at this moment, the longest first; select one to open it"
HOLDERS_NONE = "No slot of this queue is held now."
ORPHAN = "end not seen"
QUEUE_FIGURES = {
    "saturation": "Saturation",
    "time_at_limit": "Time at limit",
    "throttled": "Throttled",
    "backlog": "Backlog now",
    "drain_time": "Time to drain",
    "needed_limit": "Limit needed",
}

CONVENTIONS = "Conventions"
CONVENTIONS_SUB = "Rules checked on every record and run"
CONVENTION_KPIS = {
    "compliance": ("Runs without an error", "of the runs in the range: no finding at level error"),
    "violations": ("Violations", "records and runs that break a rule; the line: per day of ten"),
    "findings": ("Findings", "violations of one rule by one task, operation and key"),
    "rules": ("Rules broken", "of the rules that are on"),
    "covered": ("Guideline covered", "sentences that telemetry can show, fully or partly"),
}
IN_RANGE = "seen in the range"
ARE_ERRORS = "are errors"
BREAK_ONE = "break a rule at level error"
NEW_FINDINGS = "findings new since a day"
FULLY = "of them fully"
RULES = "Rules"
RULES_SUB = "the worst first; select a rule to see its evidence"
RULES_EVERY = "Also rules that nothing breaks"
RULES_NONE = "No rule was broken in this range."
FINDINGS_SUB = "{records} violations in {findings} findings; select one to see its evidence"
FINDINGS_NONE = "Nothing breaks this rule in this range."
EVIDENCE = "Evidence: {n} records as received, the earliest first; what is private is left out"
FIX = "How to fix"
DIFF = "Attributes of the record, before and after"
TRANSFORM = "OpenTelemetry Collector: rename the keys on the way in"
TASK_FILE = "Source: {file}"
WHY = "Why, and what is not flagged"
NOT_FLAGGED = "Not flagged"
COVERAGE = "Guideline coverage"
COVERAGE_SUB = (
    "{n} sentences: {checked} checked, {partly} partly, {none} not observable; those are never shown as passed"
)
RUN_FINDINGS = "Conventions on this run"
RUN_FINDINGS_SUB = "{n} findings in {rules} rules"
RUN_FINDINGS_NONE = "This run breaks no rule."

REPORTS = "Reports"
REPORTS_SUB = "What changed, against what is usual · all environments · times in the zone of the report"
REPORT_CHOOSE = "Report"
REPORT_LABEL = "{schedule} · {period} · {found}"
REPORT_MAKE = "Make a report now"
REPORT_MAKE_SUB = "Of the time up to now, against the weeks before. It is kept, and sent nowhere."
REPORT_SPANS = {"24h": "the last 24 hours", "7d": "the last 7 days"}
REPORT_MAKE_GO = "Make it"
REPORT_MAKING = "Reading and judging…"
REPORT_NONE_TITLE = "No report yet"
REPORT_NONE = "Make one now, or let a schedule make them: the settings below."
REPORT_UNKNOWN = "That report is not kept here any more, or is of another version. Choose one that is."
ANOMALIES = "Anomalies"
ANOMALIES_SUB = "new ones first, the gravest first; select one"
ANOMALY_MORE = "{n} more, less grave, are not shown."
BEYOND = "runs, attempts, calls or findings beyond what was expected"
OBSERVED = "observed"
EXPECTED = "expected"
BAND = "usual range"
CHART_SUB = "observed {observed} · expected {expected}"
CHART_NONE = "There is nothing to draw over time."
DIFFERENT = "What is different"
DIFFERENT_SUB = "share of the affected runs that have it, against the other runs of the same time"
DIFFERENT_NONE = "No dimension sets the affected runs apart from the others."
DIFFERENT_MORE = "vs {others} of others"
DIFFERENT_NOTE = "{hits} against {others}; accounts for {share} of the excess"
NEAREST = "Nearest change: {label}, {at}"
TOGETHER = "Seen at the same time:"
EXAMPLES = "Runs to look at"
EXAMPLES_SUB = "affected ones, and a healthy one to compare; select one to open it"
EXAMPLES_NONE = "No single run stands for this."
EXAMPLE_HEALTHY = "healthy"
EXAMPLE_AFFECTED = "affected"
BROKEN_HERE = "Conventions these runs break:"
WHY_REPORTED = "Why it is reported"
WHY_REPORTED_SUB = "the threshold, what is usual, and how often the same test would have fired"
SAY_TITLE = "Was this expected?"
SAY_SUB = "an expected one is listed apart from the next report on, and does not count as new"
SAY_NOTE = "Note, for those who read it later"
SAY_UNTIL = "Until"
SAY_UNTILS = {"for good": 0, "a day": 1, "a week": 7, "30 days": 30}
SAY_GO = "This was expected"
SAY_BACK = "Take that back"
SAID = "Called expected{until}: {note}"
SAID_UNTIL = " until {at}"
NO_NOTE = "no note"
CHECKED = "What was checked"
CHECKED_SUB = "series with enough data are assessed; the rest is too little to tell"
CHECKED_NONE = "No check has been made: there is no telemetry to judge."
GAPS = "Not assessed, because no telemetry arrived"
LEFT_OUT = "Could not be judged:"
PERIOD_TOTALS = "The period in numbers"
PERIOD_TOTALS_SUB = "{tasks} tasks; against the stretch of the same length just before"
TOTAL_NAMES = {"runs": "runs", "ended": "ended", "failed": "failed", "retried": "retried"}
ALL_REPORTS = "All reports"
ALL_REPORTS_SUB = "the newest first; select one to see it above"
NEXT = "Schedules"
NEXT_SUB = "when each makes its next report"
NEXT_NONE = "No schedule makes reports yet. Put this into `runwell.toml` and start runwell again:"
NEXT_TOML = """[reports]
zone = "{zone}"

[[reports.schedules]]
name = "morning"
cron = "0 9 * * 1-5"
period = "PT24H"
"""
NEW_ANOMALIES = "{n} new anomalies"
NEW_ANOMALY = "1 new anomaly"
NEW_ANOMALIES_DETAIL = "{schedule}, {period}"
