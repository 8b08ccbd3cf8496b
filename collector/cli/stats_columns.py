"""What `runwell stats` shows of each statistic in a table: columns, their order, and what each means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from collector.analyse.measures import MEASURES


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table with a row a task or queue: one number of it.

    *interval*: the 95 % interval stands beside it. *roomy*: left out where the terminal is narrow.
    """

    title: str
    measure: str
    statistic: str
    interval: bool = False
    roomy: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Columns that share what they are of; rows are sorted by the one called *order*, most first."""

    columns: tuple[Column, ...]
    order: str
    title: str = ""

    @property
    def measures(self) -> list[str]:
        """The measures it shows."""
        return list(dict.fromkeys(n.measure for n in self.columns))


_FAILED = Column("Failed", "run_failure_rate", "share", interval=True)
_RETRIED = Column("Retried", "run_retry_rate", "share", interval=True)
_RECOVERED = Column("Recovered", "eventual_success", "share", roomy=True)
_WASTED = Column("Wasted", "wasted_time", "total")
_MEAN_LEVEL = Column("Held", "level", "mean")

SECTIONS: dict[str, tuple[Section, ...]] = {
    "tasks": (
        Section(
            (
                Column("Runs", "runs", "count"),
                _FAILED,
                _RETRIED,
                _RECOVERED,
                Column("p50", "execution", "p50", roomy=True),
                Column("p95", "execution", "p95"),
                Column("Queue wait p95", "queue_wait", "p95"),
                _WASTED,
            ),
            "Retried",
        ),
    ),
    "retries": (
        Section(
            (
                _RETRIED,
                Column("Attempts a run", "attempts_per_run", "mean"),
                _FAILED,
                _RECOVERED,
                Column("Masked", "masked_failure", "share", roomy=True),
                _WASTED,
                Column("Backoff", "backoff_time", "total"),
                Column("Too young", "immature_runs", "count"),
            ),
            "Retried",
        ),
    ),
    "trees": (
        Section(
            (
                Column("Amplification", "tree_amplification", "mean", interval=True),
                Column("At most", "tree_amplification", "max"),
            ),
            "Amplification",
            "Trees of runs, by task of the root",
        ),
        Section(
            (
                Column("Attempts a run", "attempts_per_run", "mean", interval=True),
                Column("At most", "attempts_per_run", "max"),
            ),
            "Attempts a run",
            "Their generations; 0 is the root's",
        ),
    ),
    "durations": (
        Section(
            (
                Column("Ended", "execution", "count"),
                Column("Queue wait p50", "queue_wait", "p50"),
                Column("Queue wait p95", "queue_wait", "p95"),
                Column("Execution p50", "execution", "p50"),
                Column("Execution p95", "execution", "p95"),
                Column("Execution p99", "execution", "p99", roomy=True),
                Column("Active p50", "active", "p50", roomy=True),
                Column("Waits p50", "wait", "p50", roomy=True),
                Column("End to end p95", "end_to_end", "p95"),
            ),
            "Execution p95",
        ),
    ),
    "throughput": (
        Section(
            (
                Column("Arrived", "arrivals", "count"),
                Column("Started", "starts", "count"),
                Column("Ended", "throughput", "count"),
                Column("Arrived an hour", "arrivals", "rate"),
                Column("Ended an hour", "throughput", "rate"),
                Column("Net", "net_arrivals", "rate"),
            ),
            "Started",
        ),
    ),
    "calls": (
        Section(
            (
                Column("Calls", "calls", "count"),
                Column("Failed", "call_failure_rate", "share", interval=True),
                Column("Amplification", "call_amplification", "mean"),
            ),
            "Failed",
            "Calls to services",
        ),
        Section(
            (
                Column("Count", "step", "count"),
                Column("p50", "step", "p50"),
                Column("p95", "step", "p95"),
                Column("p99", "step", "p99"),
            ),
            "p95",
            "Steps: from a log of the lifecycle to the next one of its operation",
        ),
    ),
    "queues": (
        Section(
            (
                _MEAN_LEVEL,
                Column("p95", "level", "p95", roomy=True),
                Column("Peak", "level", "peak"),
                Column("Limit", "limit", "max"),
                Column("Saturation", "saturation", "share"),
                Column("At limit", "time_at_limit", "share"),
                Column("Throttled", "throttled", "share"),
                Column("Over limit", "over_limit", "share", roomy=True),
                Column("Maybe over", "maybe_over_limit", "share", roomy=True),
                Column("Backlog", "backlog", "count"),
                Column("To drain", "drain_time", "mean"),
            ),
            "Saturation",
        ),
    ),
    "slots": (
        Section(
            (
                Column("Share", "slot_share", "share"),
                Column("Slot time", "slot_share", "total"),
                Column("Orphans", "orphan_slots", "count"),
            ),
            "Slot time",
        ),
    ),
    "little": (
        Section(
            (
                _MEAN_LEVEL,
                Column("By Little's law", "little_level", "mean"),
                Column("Difference", "little_difference", "mean"),
                Column("Limit needed", "needed_limit", "count"),
            ),
            "Held",
        ),
    ),
}
"""What a table of several tasks or queues shows; with one of them every number is shown."""

Kind = Literal["text", "time", "ns", "share", "number"]


@dataclass(frozen=True, slots=True)
class ListColumn:
    """A column of a list: what the API calls it, what the table does, and what it means.

    *optional*: left out where nothing is known; *roomy*: left out where the terminal is narrow.
    """

    name: str
    title: str
    kind: Kind
    text: str
    optional: bool = False
    roomy: bool = False


_TASK = ListColumn("task_id", "Task", "text", "The task.")
_RUN = ListColumn("run_id", "Run", "text", "The run's id; the Runs page finds it.")
_NUMBER = ListColumn("number", "Attempt", "number", "The latest attempt of the run.")

LISTS: dict[str, tuple[ListColumn, ...]] = {
    "funnel": (
        _TASK,
        ListColumn("attempt", "Attempt", "number", "The first, second, … attempt of a run."),
        ListColumn("reached", "Reached", "number", "Runs that got so far; runs too young to tell are left out."),
        ListColumn("succeeded", "Succeeded", "number", "Runs that completed in it."),
        ListColumn("retried", "Retried", "number", "Runs in which another attempt followed."),
        ListColumn("lost", "Lost", "number", "Of the retried, runs in which it left no record.", roomy=True),
        ListColumn("failed", "Gave up", "number", "Runs that failed for good in it."),
        ListColumn("skipped", "Skipped", "number", "Runs that had nothing to do in it; in no yield.", roomy=True),
        ListColumn("unknown", "Unknown", "number", "Runs that fell silent in it.", roomy=True),
        ListColumn("yield", "Yield", "share", MEASURES["attempt_yield"].text),
        ListColumn("low", "from", "share", "Lower end of the yield's 95 % interval.", roomy=True),
        ListColumn("high", "to", "share", "Upper end of it.", roomy=True),
        ListColumn(
            "lost_recoveries",
            "Would lose",
            "number",
            "Recoveries lost, had so many attempts been the limit.",
            roomy=True,
        ),
        ListColumn(
            "saved_attempts", "Would spare", "number", "Attempts spared, had so many been the limit.", roomy=True
        ),
    ),
    "failures": (
        _TASK,
        ListColumn("failed", "Failed", "number", "Runs that failed for good."),
        ListColumn("n", "of", "number", "Runs that completed or failed."),
        ListColumn("rate", "Rate", "share", MEASURES["run_failure_rate"].text),
        ListColumn("low", "from", "share", "Lower end of the 95 % interval; the list is sorted by it."),
        ListColumn("high", "to", "share", "Upper end of it."),
        ListColumn("baseline", "All others", "share", "Failure rate of the runs of all other tasks."),
        ListColumn("excess", "Excess", "number", MEASURES["excess_failures"].text, roomy=True),
        ListColumn("immature", "Too young", "number", MEASURES["immature_runs"].text, roomy=True),
        ListColumn("provenance", "Known", "text", "The weakest of what the numbers rest on.", roomy=True),
    ),
    "holders": (
        ListColumn("queue", "Queue", "text", "The queue."),
        _TASK,
        _RUN,
        _NUMBER,
        ListColumn("from_ns", "Since", "time", "When it took the slot.", roomy=True),
        ListColumn("held_ns", "Held", "ns", "For how long."),
        ListColumn("is_orphan", "End not seen", "text", "yes: the run fell silent, and may hold it no more.", True),
        ListColumn("provenance", "Known", "text", "inferred: nobody states that it holds the slot still.", roomy=True),
    ),
    "eta": (
        _TASK,
        _RUN,
        ListColumn("status", "Status", "text", "Its status."),
        ListColumn("queue", "Queue", "text", "Its queue.", roomy=True),
        ListColumn("position", "Place", "number", "Its place among those that wait; 1 starts next.", optional=True),
        ListColumn("waiting", "Of", "number", "How many wait in its queue.", optional=True, roomy=True),
        ListColumn("starts_ns", "Starts", "time", "When it is likely to start.", optional=True),
        ListColumn("starts_high_ns", "Starts by", "time", "When 9 of 10 such runs have started.", True, True),
        ListColumn("ends_ns", "Ends", "time", "When half of such runs have ended."),
        ListColumn("ends_low_ns", "Ends from", "time", "When 1 of 10 such runs has ended.", True, True),
        ListColumn("ends_high_ns", "Ends by", "time", "When 9 of 10 such runs have ended.", optional=True),
        ListColumn("n", "n", "number", "Runs of its task that took longer than it has; 20 are needed.", roomy=True),
        ListColumn("note", "Note", "text", "Why something is not told.", optional=True, roomy=True),
    ),
    "stuck": (
        _TASK,
        _RUN,
        _NUMBER,
        ListColumn(
            "stage",
            "Stage",
            "text",
            "long: runs longer than is usual for the task; silent: no record for longer than usual; stuck: both; lost: "
            "silent for twice as long as any usually is; ?: too few runs of the task have ended to tell.",
        ),
        ListColumn("active_ns", "At work", "ns", "Time since the attempt started, waits taken off."),
        ListColumn(
            "long_ns",
            "Long from",
            "ns",
            "From when on that is long: three times p95, or p99, or a minute, whichever is most; ?: nobody can tell.",
        ),
        ListColumn("silent_ns", "Silent", "ns", "Time since its last record.", roomy=True),
        ListColumn(
            "quiet_ns",
            "Silent from",
            "ns",
            "From when on that is silence: p99 of the longest silence of an attempt.",
            roomy=True,
        ),
        ListColumn("since_ns", "Since", "time", "Start of the attempt.", roomy=True),
        ListColumn("n", "n", "number", "Attempts of the task that tell what is usual; 20 are needed.", roomy=True),
        ListColumn("queue", "Queue", "text", "Its queue.", roomy=True),
    ),
    "retrying": (
        _TASK,
        _RUN,
        ListColumn(
            "state", "State", "text", "waiting: the last attempt failed, the next has not begun; running: it has."
        ),
        ListColumn("number", "Attempts", "number", "Attempts so far."),
        ListColumn("failed_ns", "Failed", "time", "When the last one failed.", roomy=True),
        ListColumn("error_group", "Error", "text", "How it failed, values taken out (docs/errors.md).", optional=True),
        ListColumn("expected_ns", "Next by", "time", "When half of the task's retries had begun.", True),
        ListColumn("late_ns", "Late from", "time", "When 95 % of them had.", optional=True, roomy=True),
        ListColumn(
            "given_up_ns",
            "Given up",
            "time",
            "When runwell takes the run for failed if nothing comes.",
            optional=True,
            roomy=True,
        ),
        ListColumn(
            "provenance",
            "Known",
            "text",
            "How it is known when the attempt failed; inferred: nobody saw it.",
            roomy=True,
        ),
        ListColumn("n", "n", "number", "Retries that tell when the next one is usual.", optional=True, roomy=True),
        ListColumn("queue", "Queue", "text", "Its queue.", roomy=True),
    ),
}
"""Statistics that are lists, not numbers by name."""

KEYS = {
    "project": "Project",
    "task_id": "Task",
    "queue": "Queue",
    "environment": "Environment",
    "platform_project": "Platform project",
    "version": "Version",
    "population": "Population",
    "hour_ns": "Hour",
    "bucket_ns": "From",
    "operation": "Operation",
    "phase": "Phase",
    "called_service": "Service",
    "generation": "Generation",
}
"""What rows may be of, in the words of the table."""

STATISTICS = {
    "share": "",
    "total": "total",
    "mean": "average",
    "count": "",
    "rate": "",
    "p50": "p50",
    "p95": "p95",
    "p99": "p99",
    "min": "lowest",
    "max": "highest",
    "peak": "peak",
}
"""What stands behind a measure's title."""

FOOT = {
    "p50, p95, p99": "half, 95 % and 99 % of the values are no larger",
    "95 %": "the interval that the value behind lies in, as sure as that",
    "n": "how many runs, attempts, durations, hours or 5-minute buckets the value rests on",
    "Known": "the weakest of what the value rests on: measured (a record says so), derived (computed from such), "
    "inferred (concluded from silence or time)",
    "Coverage": "for which share of all that should count the input is known",
    "?": "unknown: telemetry does not tell, or tells of too little",
    "+": "at least: of more nobody can tell; the note of a row a number (--every) says how many",
}
"""What holds for all tables."""


def titled(measure: str, statistic: str, unit: str) -> str:
    """Return a number's name as people say it."""
    title = MEASURES[measure].title if measure in MEASURES else measure
    end = {"durations": "how many", "runs_per_hour": "an hour"}.get(unit) or STATISTICS.get(statistic, statistic)
    return f"{title}, {end}" if end else title
