"""A report that is asked for, and what would be sent of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ask:
    """A report to make now: of a *schedule*, of *period* (from, to; ns since 1970), or of both."""

    schedule: str | None
    period: tuple[int, int] | None
    deliver: bool = False
    """Send it to the channels of the schedule."""
    dry_run: bool = False
    """Keep and send nothing."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What is sent to a channel, or would be: *where* without secrets."""

    channel: str
    where: str
    subject: str
    picture: bool
    wanted: bool
    """Whether the channel wants this report (`when`)."""
    error: str
    """Why nothing can be sent there; empty when it can be tried."""
