"""What is told of a file while it is read: what was left out of it, where, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["note", "not kept", "broken"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something in a file that was left out, or, as a note, that its owner should know."""

    where: str
    """File and line (`a.jsonl:4`, `a.jsonl:4-9`), or file and message."""
    why: str
    kind: Kind = "broken"

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


def sentence(text: str) -> str:
    """Return *text* with a mark at its end, one."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


Tell = Callable[[Trouble], None]


class Told:
    """Tells of one file; lines that are alike and follow each other are told as one."""

    def __init__(self, name: str, tell: Tell) -> None:
        self._name = name
        self._tell = tell
        self._alike: tuple[int, int, str] | None = None
        """First and last line, and why, of what is not told yet."""
        self._zeros: tuple[str, int] | None = None
        """Where zero bytes that are not told yet begin, and how many they are."""
        self._once: set[str] = set()
        self.told = False
        """Whether anything was left out."""

    def line(self, number: int, why: str, kind: Kind = "broken") -> None:
        """Tell of a line."""
        self._say(f":{number}", why, kind)

    def alike(self, number: int, why: str) -> None:
        """Tell of a line, with those before it where they are alike."""
        self._end_zeros()
        first, last, before = self._alike or (number, number, why)
        if before != why or number > last + 1:
            self.flush()
            first = number
        self._alike = first, number, why

    def zeros(self, where: str, count: int) -> None:
        """Tell of zero bytes, with those before them as long as nothing else was told. *where*: `:4`."""
        begun, before = self._zeros or (where, 0)
        self._zeros = begun, before + count

    def message(self, number: int, at: int, why: str, kind: Kind = "broken") -> None:
        """Tell of message *number* of a binary file, which begins at byte *at*."""
        self._say(f": message {number} (byte {at})", why, kind)

    def file(self, why: str, kind: Kind = "broken") -> None:
        """Tell of the whole file."""
        self._say("", why, kind)

    def once(self, why: str, kind: Kind = "broken") -> None:
        """Tell of the whole file what begins with these words, the first time."""
        begins = why[:16]
        if begins not in self._once:
            self._once.add(begins)
            self.file(why, kind)

    def flush(self) -> None:
        """Tell what waits for more of its kind."""
        if self._alike:
            (first, last, why), self._alike = self._alike, None
            self._say(f":{first}" if first == last else f":{first}-{last}", why, "broken")
        self._end_zeros()

    def _end_zeros(self) -> None:
        if self._zeros:
            (where, count), self._zeros = self._zeros, None
            self._say(where, f"{count} zero bytes; was the file not written to its end?", "broken")

    def _say(self, where: str, why: str, kind: Kind) -> None:
        self.flush()
        self.told |= kind != "note"
        self._tell(Trouble(f"{self._name}{where}", why, kind))
