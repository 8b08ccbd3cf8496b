"""The closed vocabularies of the run model."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """What a run is doing, or how it ended.

    Telemetry never says `timed_out`, `crashed` or `expired`; the platform's own API does, which is a source to come.
    """

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class Source(StrEnum):
    """Where a value comes from: its provenance, shown beside every number."""

    MEASURED = "measured"  # stated by a record of its own
    PHASE = "phase"  # stated by a lifecycle phase in a log; only used for a status
    DERIVED = "derived"  # computed from measured values, or told by another run's record
    INFERRED = "inferred"  # concluded from silence, time or a bound
    UNKNOWN = "unknown"


OPEN = ("queued", "running", "waiting", "retrying")
"""Statuses that the clock alone can still change."""

FAILED = ("failed", "timed_out", "crashed")
"""Statuses of runs and attempts that count as failures."""

STOPPED = ("canceled", "expired")
"""Statuses of runs that somebody or time ended: neither well nor badly."""

DECIDED = ("completed", *FAILED)
"""Statuses of runs and attempts that ended by themselves, well or not: what failure rates are taken of."""

ENDED = ("completed", *FAILED, "canceled")
"""Statuses of attempts that ended."""

RARE = ("timed_out", "crashed", "expired")
"""Statuses that telemetry alone never gives: offered as a choice only where a run has one."""

TERMINAL = ("completed", *FAILED, *STOPPED)
"""Statuses of runs that are over."""

DEVELOPMENT = ("development", "dev", "local")
"""Environments, in lower case, whose runs are development runs."""

PHASES = ("started", "validating", "completed", "failed")
"""Lifecycle phases; `calling_{service}` is the fifth, stored as phase `calling` with `called_service`."""

FATES = ("canceled", "interrupted", "skipped", "retrying")
"""How an operation may end that neither completed nor failed, where it has started and a log says so."""

ENDS = ("completed", "failed", *FATES)
"""Phases that end an operation, or its try."""

CUT_SHORT = ("canceled", "interrupted", "skipped")
"""Outcomes of operations that say nothing of how long the work takes."""
