"""Files of a command line, read one after the other: their requests, what was left out of each, and the exit code."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from collector.cli import exits, recordings
from collector.cli.recordings import sentence
from collector.decode.notes import NOTED

if TYPE_CHECKING:
    from collector.cli.progress import Bar

_MOST_TOLD = 20
"""Places that are named; the rest is counted."""
_BETWEEN = re.compile(r"; (?=\d)")
"""What stands between one remark of a collector and the next, each with its number."""
_NOTHING_READ = str(NOTED["nothing_read"])
"""What a collector says of a request of which it read nothing."""


@dataclass(slots=True)
class Remark:
    """What is said of requests that were taken, in the same words: of one at *where*, and of how many."""

    where: str
    count: int
    """Of what, in all these requests; 0 where it is not said."""
    requests: int = 1

    def said(self, what: str) -> str:
        """Return a sentence."""
        others = "" if self.requests == 1 else f" (in {self.requests} requests, this is one)"
        return f"{f'{self.count} ' if self.count else ''}{what}{others}"


class Sources:
    """Files, `-` for stdin. What is left out is told on stderr."""

    def __init__(self, files: tuple[str, ...], *, twice: bool = False) -> None:
        """*twice*: they are read more than once, so what can be read once alone is kept in a temporary file."""
        self._files = files
        self._twice = twice
        self._kept = ExitStack()
        self._copies: dict[str, IO[bytes]] = {}
        self._places = 0
        self._useless = 0
        self._blank = 0
        """Files in whose requests there was no record."""
        self._unread = 0
        """Requests of the file at hand in which there was none."""
        self._read = 0
        self._remarks: dict[str, Remark] = {}

    def __enter__(self) -> Sources:
        if self._twice:
            for name in self._files:
                if (name == "-" or not Path(name).is_file()) and name not in self._copies:
                    copy = self._kept.enter_context(tempfile.TemporaryFile(prefix="runwell-"))
                    with recordings.opened(name) as file:
                        shutil.copyfileobj(file, copy)
                    self._copies[name] = copy
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()
        for what, remark in self._remarks.items():
            _say(f"{remark.where}: {remark.said(what)}")
        if self._places > _MOST_TOLD:
            _say(f"{self._places - _MOST_TOLD} more places were left out or refused")

    @property
    def size(self) -> int | None:
        """Bytes of all files, None where one is of unknown size."""
        if all(name != "-" and Path(name).is_file() for name in self._files):
            return sum(Path(name).stat().st_size for name in self._files)
        return None

    def requests(self, bar: Bar | None = None, by_ns: int = 0) -> Iterator[recordings.Recorded]:
        """Yield all requests, moved by *by_ns*; those that are read without a *bar* are read again, and not told of."""
        for name in self._files:
            raw = self._copies.get(name)
            if raw is not None:
                raw.seek(0)
                raw = open(raw.fileno(), "rb", closefd=False)  # noqa: SIM115 -- closed by who reads it
            used = kept_out = self._unread = 0
            told = self._places

            def tell(trouble: recordings.Trouble) -> None:
                nonlocal kept_out
                kept_out += trouble.kind == "not kept"
                self._told(trouble)

            for request in recordings.read(
                name, tell if bar else _nothing, raw=raw, progress=bar.read if bar else _nothing
            ):
                used += 1
                yield recordings.shift(request, by_ns) if by_ns else request
            self._read += bool(bar)
            self._useless += bool(bar) and not (used or kept_out)
            if used and used == self._unread and not kept_out:
                self._blank += 1
                if self._places == told:
                    self._told(
                        recordings.Trouble("stdin" if name == "-" else name, "no record in it; give a recording")
                    )

    def refused(self, place: str, why: str) -> None:
        """Tell what was refused."""
        self._told(recordings.Trouble(place, why))

    def unread(self) -> None:
        """Hear that there was no record in the request that was read last."""
        self._unread += 1

    @property
    def useless(self) -> bool:
        """Tell whether no file that was read so far was of any use."""
        return self._useless == self._read

    def answered(self, place: str, message: str, *, rejected: int = 0) -> None:
        """Tell what was said of a request that was taken: at once what was left out of it, the rest at the end.

        *rejected*: how many of its records were.
        """
        if rejected or _NOTHING_READ in message:
            self.refused(place, message or f"{rejected} records rejected")
            return
        for part in filter(None, _BETWEEN.split(message)):
            number, _, what = part.partition(" ")
            what, count = (what, int(number)) if number.isdigit() and what else (part, 0)
            if what in self._remarks:
                self._remarks[what].requests += 1
                self._remarks[what].count += count
            elif len(self._remarks) < _MOST_TOLD:
                self._remarks[what] = Remark(place, count)

    def exit_code(self, *, lost: bool = False) -> int:
        """Return the code for nothing that was left out, for a file of no use at all, or for something left out."""
        return exits.NOTHING if self._useless or self._blank else exits.FOUND if self._places or lost else exits.DONE

    def _told(self, trouble: recordings.Trouble) -> None:
        if trouble.kind != "note":
            self._places += 1
        if self._places <= _MOST_TOLD:
            _say(str(trouble))


def _nothing(_: object) -> None:
    return None


def _say(text: str) -> None:
    print(f"runwell: {sentence(text)}", file=sys.stderr)  # noqa: T201 -- for people
