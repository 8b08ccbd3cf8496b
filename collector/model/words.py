"""The closed vocabularies of the run model."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """What a run is doing, or how it ended."""

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


class AttemptStatus(StrEnum):
    """What an attempt is doing, or how it ended."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"
    UNKNOWN = "unknown"


class Source(StrEnum):
    """Where a value comes from: its provenance, shown beside every number."""

    MEASURED = "measured"  # stated by a record of its own
    PHASE = "phase"  # stated by a lifecycle phase in a log; only used for a status
    DERIVED = "derived"  # computed from measured values, or told by another run's record
    INFERRED = "inferred"  # concluded from silence, time or a bound
    UNKNOWN = "unknown"


OPEN = frozenset({RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING, RunStatus.RETRYING})
"""Statuses that the clock alone can still change."""

DEVELOPMENT = ("development", "dev", "local")
"""Environments, in lower case, whose runs are development runs."""

PHASES = ("started", "validating", "completed", "failed")
"""Lifecycle phases; `calling_{service}` is the fifth, stored as phase `calling` with `called_service`."""
