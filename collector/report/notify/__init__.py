"""Sends a report to a channel: mail and chat by Apprise, webhooks by a sender of our own. Everything may be sent twice.

A sender returns a note (empty, or what was left undone) when the channel took the report, and raises `NotSent` when
it did not or when nobody knows: then it is sent again, with the same key, by which a receiver can tell.
"""

from __future__ import annotations


class NotSent(Exception):
    """The channel did not take it, or nobody knows. *reason* holds no secret and nothing the other side wrote."""

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
