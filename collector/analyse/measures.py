"""What every number of a report means: one sentence each, for `--explain` and the pages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """A title, and a sentence that says what is counted against what."""

    title: str
    text: str


_RETRIES = {
    "run_retry_rate": Measure(
        "Retry rate",
        "Runs with more than one attempt among runs with an attempt that ended, by start of the first one.",
    ),
    "attempts_per_run": Measure("Attempts per run", "Attempts per run that has an attempt that ended."),
    "attempt_retry_ratio": Measure("Retried attempts", "Attempts that are not the first of their run, among attempts."),
    "attempt_failure_rate": Measure(
        "Attempt failure rate",
        "Failed attempts among those that completed or failed; one that left no record before a later one has failed.",
    ),
    "load_amplification": Measure(
        "Load amplification",
        "Attempts per first attempt, those without a record included: work done against work asked for.",
    ),
    "run_failure_rate": Measure(
        "Failure rate",
        "Runs that failed for good among runs that completed or failed; canceled, expired and skipped ones apart.",
    ),
    "run_success_rate": Measure(
        "Success rate",
        "Runs that completed among runs that completed or failed; canceled, expired and skipped ones apart.",
    ),
    "first_attempt_success": Measure(
        "First-attempt success", "Runs completed by their first attempt, among those that completed or failed."
    ),
    "masked_failure": Measure(
        "Masked failure", "Runs that completed only on a retry, among those that completed or failed."
    ),
    "eventual_success": Measure("Recovery", "Runs that completed in the end, among ended runs that retried."),
    "attempt_yield": Measure(
        "Yield of attempt k", "Runs that completed with attempt k among runs whose attempt k ended."
    ),
    "wasted_time": Measure(
        "Wasted time", "Duration of attempts that were not their run's last, and of the last one if it failed."
    ),
    "backoff_time": Measure(
        "Backoff time", "Time between attempts; waiting in the queue again is left out where telemetry tells it."
    ),
    "retry_latency": Measure(
        "Retry latency", "In runs that recovered, from the end of the first attempt to the end of the last."
    ),
    "cost": Measure(
        "Cost", "Cost of runs as their platform states it; what an attempt without a record cost is not in it."
    ),
    "wasted_cost": Measure("Wasted cost", "Cost of attempts that count as wasted time."),
    "canceled_runs": Measure("Canceled", "Runs that were canceled; in no rate."),
    "expired_runs": Measure("Expired", "Runs that expired before they started; in no rate."),
    "skipped_runs": Measure(
        "Skipped", "Runs that say they had nothing to do: they count as throughput, in no duration, failure or success."
    ),
    "open_runs": Measure("Open", "Runs that have not ended yet, started or not."),
    "unknown_runs": Measure(
        "Unknown", "Runs that fell silent without an end, or of which nothing was heard since they were triggered."
    ),
    "immature_runs": Measure(
        "Too young", "Runs left out because they started so recently that a retry may still follow."
    ),
    "tree_amplification": Measure(
        "Tree amplification", "Attempts per run of each generation of a tree of runs, multiplied over the generations."
    ),
}

_DURATIONS = {
    "queue_wait": Measure("Queue wait", "From when a run was queued and due to the start of its first attempt."),
    "requeue_wait": Measure("Queue wait of retries", "From when a retry was due to its start."),
    "execution": Measure(
        "Execution",
        "From the start of the first attempt to the end of the last, less the time between deliveries of one.",
    ),
    "attempt": Measure(
        "Attempt", "From the start of an attempt to its end, waits included, less the time between its deliveries."
    ),
    "boot": Measure("Start-up", "From when an attempt was taken from its queue to its start, part of its queue wait."),
    "active": Measure("Active", "Time in attempts less the waits in them and the time between their deliveries."),
    "wait": Measure("Waits", "Time in waits for a time, a token, a child or a batch, overlaps counted once."),
    "gap": Measure("Between attempts", "From the end of an attempt to the start of the next."),
    "backoff": Measure("Backoff", "Time between two attempts less the time the second waited in the queue."),
    "end_to_end": Measure("End to end", "From when a run was queued and due to its end."),
    "unexplained": Measure(
        "Unexplained", "End to end less queue wait, attempts and time between attempts, as a distance from zero."
    ),
}

_QUEUES = {
    "level": Measure("Slots held", "Slots of the queue held, averaged over time, idle time included."),
    "limit": Measure(
        "Limit", "Slots the queue may hold at once, the highest of the time range; the note says how that is known."
    ),
    "saturation": Measure(
        "Saturation", "Slots held, at most the limit, against the limit, over the time a limit is known."
    ),
    "time_at_limit": Measure("Time at limit", "Share of time with all slots held, while a limit above 0 is known."),
    "throttled": Measure(
        "Throttled",
        "Share of time with all slots held and a run waiting for certain; full without waiting is no fault, and a run "
        "that was only triggered may not have been due yet.",
    ),
    "over_limit": Measure(
        "Over the limit",
        "Share of time with more slots held for certain than the limit: the limit or the telemetry is wrong.",
    ),
    "maybe_over_limit": Measure(
        "Maybe over",
        "Share of time with more slots counted than the limit, but not for certain: attempts that wait may have given "
        "theirs back, the end of some is only inferred, or it was for no longer than clocks differ.",
    ),
    "paused": Measure("Paused", "Share of time with a limit of 0."),
    "slot_share": Measure("Slot share", "Slot time of a task among the slot time of its queue."),
    "little_level": Measure(
        "Level by Little's law", "Starts per second times time held; agrees with the average level."
    ),
    "little_difference": Measure(
        "Little's law check", "Average level less level by Little's law; slots that cross the edges explain it."
    ),
    "needed_limit": Measure("Limit needed", "Least limit that keeps the average level at 70 % of it."),
    "backlog": Measure(
        "Backlog",
        "Runs that wait for their first slot now, as far as their parents tell and their queue did not pass them over.",
    ),
    "backlog_unheard": Measure(
        "Backlog unheard of",
        "Of the backlog, runs with the status unknown: nobody heard of them since they were triggered, and only that "
        "their queue starts in order says that they wait.",
    ),
    "backlog_age": Measure("Backlog age", "How long the oldest waiting run has waited."),
    "drain_time": Measure(
        "Time to drain", "Backlog against how much faster runs end than arrive; never if they do not."
    ),
    "orphan_slots": Measure("Orphan slots", "Slots whose end nobody saw; not counted after their last sign of life."),
}

_FLOW = {
    "runs": Measure(
        "Runs",
        "Runs that started; where no start is known, that were queued, else first seen. As the list of runs has it.",
    ),
    "arrivals": Measure("Arrivals", "Runs queued, or started where queueing is not told."),
    "starts": Measure("Starts", "Runs whose first attempt started."),
    "throughput": Measure("Throughput", "Runs that ended, however they ended."),
    "net_arrivals": Measure("Net arrivals", "Arrivals less ends: how fast work piles up."),
    "excess_failures": Measure("Excess failures", "Failed runs beyond what the rate of all other tasks would give."),
}

_STEPS = {
    "calls": Measure("Calls", "Calls to a service."),
    "call_failure_rate": Measure(
        "Call failure rate", "Calls that their operation's next record says failed, among ended."
    ),
    "call_amplification": Measure(
        "Call amplification", "Calls made against those that one attempt of each run would have needed."
    ),
    "step": Measure("Step", "Duration of a phase or call, until the next record of its operation."),
}

MEASURES: dict[str, Measure] = {**_RETRIES, **_DURATIONS, **_QUEUES, **_FLOW, **_STEPS}
"""Measure name → what it means."""
