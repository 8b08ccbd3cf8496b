"""What `runwell stats` shows of each statistic in a table: columns, their order, and what each means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from collector.analyse.measures import MEASURES


@dataclass(frozen=True, slots=True)
class Number:
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
    """Some numbers that share what they are of; rows are sorted by the column *order*, most first."""

    numbers: tuple[Number, ...]
    order: str
    title: str = ""

    @property
    def measures(self) -> list[str]:
        """The measures it shows."""
        return list(dict.fromkeys(n.measure for n in self.numbers))


_FAILED = Number("Failed", "run_failure_rate", "share", interval=True)
_RETRIED = Number("Retried", "run_retry_rate", "share", interval=True)
_RECOVERED = Number("Recovered", "eventual_success", "share", roomy=True)
_WASTED = Number("Wasted", "wasted_time", "total")
_HELD = Number("Held", "level", "mean")

SECTIONS: dict[str, tuple[Section, ...]] = {
    "tasks": (
        Section(
            (
                Number("Runs", "starts", "count"),
                _FAILED,
                _RETRIED,
                _RECOVERED,
                Number("p50", "execution", "p50", roomy=True),
                Number("p95", "execution", "p95"),
                Number("Queue wait p95", "queue_wait", "p95"),
                _WASTED,
            ),
            "Retried",
        ),
    ),
    "retries": (
        Section(
            (
                _RETRIED,
                Number("Attempts a run", "attempts_per_run", "mean"),
                _FAILED,
                _RECOVERED,
                Number("Masked", "masked_failure", "share", roomy=True),
                _WASTED,
                Number("Backoff", "backoff_time", "total"),
                Number("Too young", "immature_runs", "count"),
            ),
            "Retried",
        ),
    ),
    "trees": (
        Section(
            (
                Number("Amplification", "tree_amplification", "mean", interval=True),
                Number("At most", "tree_amplification", "max"),
            ),
            "Amplification",
            "Trees of runs, by task of the root",
        ),
        Section(
            (
                Number("Attempts a run", "attempts_per_run", "mean", interval=True),
                Number("At most", "attempts_per_run", "max"),
            ),
            "Attempts a run",
            "Their generations; 0 is the root's",
        ),
    ),
    "durations": (
        Section(
            (
                Number("Ended", "execution", "count"),
                Number("Queue wait p50", "queue_wait", "p50"),
                Number("Queue wait p95", "queue_wait", "p95"),
                Number("Execution p50", "execution", "p50"),
                Number("Execution p95", "execution", "p95"),
                Number("Execution p99", "execution", "p99", roomy=True),
                Number("Active p50", "active", "p50", roomy=True),
                Number("Waits p50", "wait", "p50", roomy=True),
                Number("End to end p95", "end_to_end", "p95"),
            ),
            "Execution p95",
        ),
    ),
    "throughput": (
        Section(
            (
                Number("Arrived", "arrivals", "count"),
                Number("Started", "starts", "count"),
                Number("Ended", "throughput", "count"),
                Number("Arrived an hour", "arrivals", "rate"),
                Number("Ended an hour", "throughput", "rate"),
                Number("Net", "net_arrivals", "rate"),
            ),
            "Started",
        ),
    ),
    "calls": (
        Section(
            (
                Number("Calls", "calls", "count"),
                Number("Failed", "call_failure_rate", "share", interval=True),
                Number("Amplification", "call_amplification", "mean"),
            ),
            "Failed",
            "Calls to services",
        ),
        Section(
            (
                Number("Count", "step", "count"),
                Number("p50", "step", "p50"),
                Number("p95", "step", "p95"),
                Number("p99", "step", "p99"),
            ),
            "p95",
            "Steps: from a log of the lifecycle to the next one of its operation",
        ),
    ),
    "queues": (
        Section(
            (
                _HELD,
                Number("p95", "level", "p95", roomy=True),
                Number("Peak", "level", "peak"),
                Number("Limit", "limit", "max"),
                Number("Saturation", "saturation", "share"),
                Number("At limit", "time_at_limit", "share"),
                Number("Throttled", "throttled", "share"),
                Number("Over limit", "over_limit", "share", roomy=True),
                Number("Backlog", "backlog", "count"),
                Number("To drain", "drain_time", "mean"),
            ),
            "Saturation",
        ),
    ),
    "slots": (
        Section(
            (
                Number("Share", "slot_share", "share"),
                Number("Slot time", "slot_share", "total"),
                Number("Orphans", "orphan_slots", "count"),
            ),
            "Slot time",
        ),
    ),
    "little": (
        Section(
            (
                _HELD,
                Number("By Little's law", "little_level", "mean"),
                Number("Difference", "little_difference", "mean"),
                Number("Limit needed", "needed_limit", "count"),
            ),
            "Held",
        ),
    ),
}
"""What a table of several tasks or queues shows; with one of them every number is shown."""

Kind = Literal["text", "time", "ns", "share", "number"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a list: what the API calls it, what the table does, and what it means.

    *optional*: left out where nothing is known; *roomy*: left out where the terminal is narrow.
    """

    name: str
    title: str
    kind: Kind
    text: str
    optional: bool = False
    roomy: bool = False


_TASK = Column("task_id", "Task", "text", "The task.")
_RUN = Column("run_id", "Run", "text", "The run's id; the Runs page finds it.")
_NUMBER = Column("number", "Attempt", "number", "The latest attempt of the run.")

LISTS: dict[str, tuple[Column, ...]] = {
    "funnel": (
        _TASK,
        Column("attempt", "Attempt", "number", "The first, second, … attempt of a run."),
        Column("reached", "Reached", "number", "Runs that got so far; runs too young to tell are left out."),
        Column("succeeded", "Succeeded", "number", "Runs that completed in it."),
        Column("retried", "Retried", "number", "Runs in which it failed and another attempt followed."),
        Column("failed", "Gave up", "number", "Runs that failed for good in it."),
        Column("unknown", "Unknown", "number", "Runs that fell silent in it.", roomy=True),
        Column("yield", "Yield", "share", MEASURES["attempt_yield"].text),
        Column("low", "from", "share", "Lower end of the yield's 95 % interval.", roomy=True),
        Column("high", "to", "share", "Upper end of it.", roomy=True),
        Column(
            "lost_recoveries",
            "Would lose",
            "number",
            "Recoveries lost, had so many attempts been the limit.",
            roomy=True,
        ),
        Column("saved_attempts", "Would spare", "number", "Attempts spared, had so many been the limit.", roomy=True),
    ),
    "failures": (
        _TASK,
        Column("failed", "Failed", "number", "Runs that failed for good."),
        Column("n", "of", "number", "Runs that completed or failed."),
        Column("rate", "Rate", "share", MEASURES["run_failure_rate"].text),
        Column("low", "from", "share", "Lower end of the 95 % interval; the list is sorted by it."),
        Column("high", "to", "share", "Upper end of it."),
        Column("baseline", "All others", "share", "Failure rate of the runs of all other tasks."),
        Column("excess", "Excess", "number", MEASURES["excess_failures"].text, roomy=True),
        Column("immature", "Too young", "number", MEASURES["immature_runs"].text, roomy=True),
        Column("provenance", "Known", "text", "The weakest of what the numbers rest on.", roomy=True),
    ),
    "holders": (
        Column("queue", "Queue", "text", "The queue."),
        _TASK,
        _RUN,
        _NUMBER,
        Column("from_ns", "Since", "time", "When it took the slot.", roomy=True),
        Column("held_ns", "Held", "ns", "For how long."),
        Column("is_orphan", "End not seen", "text", "yes: the run fell silent, and may hold it no more.", True),
    ),
    "stuck": (
        _TASK,
        _RUN,
        _NUMBER,
        Column(
            "stage",
            "Stage",
            "text",
            "long: runs longer than is usual for the task; silent: no record for longer than usual; stuck: both; lost: "
            "fell silent for good; ?: too few runs of the task have ended to tell.",
        ),
        Column("active_ns", "At work", "ns", "Time since the attempt started, waits taken off."),
        Column(
            "long_ns",
            "Long from",
            "ns",
            "From when on that is long: three times p95, or p99, or a minute, whichever is most; ?: nobody can tell.",
        ),
        Column("silent_ns", "Silent", "ns", "Time since its last record.", roomy=True),
        Column(
            "quiet_ns",
            "Silent from",
            "ns",
            "From when on that is silence: p99 of the longest silence of an attempt.",
            roomy=True,
        ),
        Column("since_ns", "Since", "time", "Start of the attempt.", roomy=True),
        Column("n", "n", "number", "Attempts of the task that tell what is usual; 20 are needed.", roomy=True),
        Column("queue", "Queue", "text", "Its queue.", roomy=True),
    ),
    "retrying": (
        _TASK,
        _RUN,
        Column("state", "State", "text", "waiting: the last attempt failed, the next has not begun; running: it has."),
        Column("number", "Attempts", "number", "Attempts so far."),
        Column("failed_ns", "Failed", "time", "When the last one failed.", roomy=True),
        Column("error_type", "Error", "text", "How it failed.", optional=True),
        Column("expected_ns", "Next by", "time", "When half of the task's retries had begun.", True),
        Column("late_ns", "Late from", "time", "When 95 % of them had.", optional=True, roomy=True),
        Column(
            "given_up_ns",
            "Given up",
            "time",
            "When runwell takes the run for failed if nothing comes.",
            optional=True,
            roomy=True,
        ),
        Column("n", "n", "number", "Retries that tell when the next one is usual.", optional=True, roomy=True),
        Column("queue", "Queue", "text", "Its queue.", roomy=True),
    ),
}
"""Statistics that are lists, not numbers by name."""

KEYS = {
    "project": "Project",
    "task_id": "Task",
    "queue": "Queue",
    "environment": "Environment",
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
}
"""What holds for all tables."""


def titled(measure: str, statistic: str, unit: str) -> str:
    """Return a number's name as people say it."""
    title = MEASURES[measure].title if measure in MEASURES else measure
    end = {"durations": "how many", "runs_per_hour": "an hour"}.get(unit) or STATISTICS.get(statistic, statistic)
    return f"{title}, {end}" if end else title
