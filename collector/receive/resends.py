"""Requests taken lately, by digest: one that comes again is answered as before and stored once.

A digest has one integer beside it: when it was taken and how many records it held. Those read back from the journal
hold an unknown number until they are decoded again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from collector.decode import Accepted

MOST = 2_000_000
"""About 350 MiB; beyond it the resend window is shorter than set."""
_SHIFT = 24
_UNKNOWN = 2**_SHIFT - 1
_MOST_ANSWERS = 50_000


class Resends:
    """What was taken inside the window of *window_ns*."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._taken: dict[bytes, int] = {}
        self._answers: dict[bytes, Accepted] = {}

    def load(self, digests: Iterable[tuple[bytes, int]]) -> None:
        """Add (digest, received_ns) pairs whose records are not known."""
        self._taken.update((digest, received_ns << _SHIFT | _UNKNOWN) for digest, received_ns in digests)

    def find(self, digest: bytes, now_ns: int) -> Accepted | None:
        """Return what was said to the request of *digest*, None if it was not taken inside the window.

        `records` is -1 when the number is not known any more.
        """
        packed = self._taken.get(digest)
        if packed is None or now_ns - (packed >> _SHIFT) >= self._window_ns:
            return None
        if answer := self._answers.get(digest):
            return answer
        records = packed & _UNKNOWN
        return Accepted(-1 if records == _UNKNOWN else records, 0, "", duplicate=True)

    def add(self, digest: bytes, received_ns: int, said: Accepted) -> None:
        """Keep what was said to a request whose rows are on disk."""
        self._taken[digest] = received_ns << _SHIFT | min(said.total, _UNKNOWN)
        if said.message and len(self._answers) < _MOST_ANSWERS:
            self._answers[digest] = replace(said, duplicate=True, origins=())

    def learn(self, digest: bytes, said: Accepted) -> None:
        """Keep what a request held that was read back from the journal."""
        if packed := self._taken.get(digest):
            self.add(digest, packed >> _SHIFT, said)

    def trim(self, now_ns: int) -> None:
        """Forget what has left the window."""
        oldest = now_ns - self._window_ns
        while self._taken:
            digest, packed = next(iter(self._taken.items()))
            if packed >> _SHIFT >= oldest and len(self._taken) <= MOST:
                break
            del self._taken[digest]
            self._answers.pop(digest, None)
