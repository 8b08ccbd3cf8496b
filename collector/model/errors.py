"""What can go wrong with input, told apart by two questions: will the same input fail again, how long to wait?

`receive` maps these to HTTP and gRPC in one table (`collector.receive.errors`); nothing else chooses status codes.
"""

from __future__ import annotations


class Refused(Exception):
    """A request or option that was not accepted; *message* is shown to its sender as it is."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadInput(Refused):
    """The same input will fail again: undecodable, of the wrong shape. *field* is the path of the culprit."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.reason = message

    def within(self, path: str) -> BadInput:
        """Return the same error, seen from what contains it; of a long path the middle is left out."""
        field = self.field if len(self.field) <= 200 else f"…{self.field[-80:]}"
        joint = "." if field and field[0] != "[" else ""
        return type(self)(self.reason, field=f"{path}{joint}{field}")


class OtherSignal(BadInput):
    """A request of another signal than the one that is taken there."""


class NotFound(Refused):
    """There is nothing by that name."""


class TooLarge(BadInput):
    """Over a stated limit; never worth a retry."""


class Unsupported(BadInput):
    """An encoding or content type this server does not read."""


class NotHttp(BadInput):
    """Bytes that are no HTTP/1.1 request, or one that could be read in two ways."""


class Misdirected(BadInput):
    """A request for a host that this server is not known by."""


class OtherSite(BadInput):
    """A browser's request from a page of another site."""


class OutOfRange(BadInput):
    """A value of the right kind that is too small or too large."""


class HeadTooLarge(BadInput):
    """Too many header bytes or lines."""


class TooSlow(BadInput):
    """A body that trickles."""


class NotNow(Refused):
    """Full, starting or draining: the same input will be taken later, after *retry_after_s* seconds."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Crowded(NotNow):
    """A request beyond the number that is answered at once; its connection ends with the answer."""


class NotLetIn(Refused):
    """A request whose key does not let it in; the same one will fail again with the same key."""


class NoKey(NotLetIn):
    """No key, or one that is unknown, expired or revoked."""


class WrongScope(NotLetIn):
    """A key that may do other things than this."""


class UsageError(Exception):
    """A command line, setting or file is wrong: one sentence that names it and says what to do."""
