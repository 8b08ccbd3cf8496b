"""Ends statements that take too long, and those beside which the process takes too much memory, or the disk gets full.

By construction no statement that is let in takes much (`extent`, `sizes`, `collected`); this is what stands behind
it. DuckDB is interrupted between two vectors. Where that does not help the process ends itself before the kernel
does, having noted why.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from collector.model.errors import Refused
from collector.model.resident import give_back, resident_bytes

_APART_S = 0.05
_LAST_RESORT = 1.25
EXIT_CODE = 71


class Ended(Refused):
    """What was asked was ended; the message says why."""


class Asked:
    """One question. *text* is the statement where an analyst wrote it: it is ended for memory too, and named."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.began_bytes = 0
        """What the process had in memory when it began."""
        self.ended = ""
        """Why, as a sentence for whoever asked."""

    def end(self, why: str) -> None:
        """Have it end; the first reason counts."""
        self.ended = self.ended or why

    def go_on(self) -> None:
        """Raise Ended where it was ended between two of its steps."""
        if self.ended:
            raise Ended(self.ended)


class Watchdog:
    """Looks at what is being asked every 50 ms, on a thread that sleeps while nothing is."""

    def __init__(self) -> None:
        self._running: dict[Asked, Callable[[], None]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._pause = threading.Event()
        self._budget = self._share = 0
        self._temporary: Path | None = None
        self._least_free = 0
        self._fired: Callable[[list[str], str], None] = lambda texts, how: None
        self._exit: Callable[[int], None] = os._exit

    def look_at_memory(
        self,
        budget: int,
        fired: Callable[[list[str], str], None],
        exit: Callable[[int], None] = os._exit,
        share: int = 0,
    ) -> None:
        """End analysts' statements beside which this process has more than *budget* bytes; *exit* at a quarter more.

        Only those since whose beginning it has grown by more than *share*: what was there before is not theirs. *fired*
        is told the statements, and `interrupted` or `exited`.
        """
        self._budget, self._share, self._fired, self._exit = budget, share, fired, exit

    def look_at_disk(self, temporary: Path, least_free: int) -> None:
        """End analysts' statements when fewer than *least_free* bytes are free where *temporary* is and DuckDB keeps
        some there of what it sorts and groups: who sends telemetry needs them.
        """
        self._temporary, self._least_free = temporary, least_free

    @contextmanager
    def watching(self, asked: Asked, interrupt: Callable[[], None], seconds: float) -> Generator[None]:
        """Have *asked* ended when it takes longer than *seconds*, or has been ended; *interrupt* may be in vain."""
        late = f"the query took longer than {seconds:g} s; narrow it, or raise store.query_time."
        timer = threading.Timer(seconds, asked.end, [late])
        timer.daemon = True
        timer.start()
        asked.began_bytes = resident_bytes() if asked.text else 0
        with self._changed:
            self._running[asked] = interrupt
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="store-watchdog", daemon=True)
                self._thread.start()
            self._changed.notify()
        try:
            yield
        finally:
            timer.cancel()
            with self._changed:
                del self._running[asked]

    def end_all(self, why: str) -> None:
        """End everything that is being asked."""
        with self._changed:
            for asked in self._running:
                asked.end(why)

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._running:
                    self._changed.wait()
                hungry = self._look()
            if hungry:
                self._fired(*hungry)
                if hungry[1] == "exited":
                    self._exit(EXIT_CODE)
                continue  # now that it is noted, whoever asked may be told
            self._pause.wait(_APART_S)

    def _look(self) -> tuple[list[str], str] | None:
        """Interrupt what has to end, again and again: an interrupt between two steps of one question is lost."""
        statements = [asked for asked in self._running if asked.text]
        resident = resident_bytes() if statements and self._budget else 0
        if resident > self._budget > 0:
            give_back()  # what another question has freed is not this one's
            resident = resident_bytes()
        statements = [asked for asked in statements if resident - asked.began_bytes > self._share]
        hungry = None
        if statements and resident > self._budget * _LAST_RESORT:
            hungry = [asked.text for asked in statements], "exited"
        elif resident > self._budget and (over := [asked for asked in statements if not asked.ended]):
            hungry = [asked.text for asked in over], "interrupted"
            for asked in over:
                asked.end(
                    f"the store took more than {self._budget // 2**20} MiB of memory while the query ran, so it was "
                    "ended; the same text is refused for an hour. Narrow it"
                )
        if self._fills_the_disk():
            for asked in self._running:
                if asked.text:
                    asked.end("the disk has no room left for what the query sorts or groups; narrow it")
        for asked, interrupt in self._running.items():
            if asked.ended and not hungry:
                interrupt()
        return hungry

    def _fills_the_disk(self) -> bool:
        try:
            return (
                self._temporary is not None
                and shutil.disk_usage(self._temporary).free < self._least_free
                and any(file.stat().st_size for file in os.scandir(self._temporary))
            )
        except OSError:  # a file that goes as it is looked at, or a disk that does not answer
            return False
