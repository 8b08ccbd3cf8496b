"""The store's one writer: new groups go into DuckDB, the runs and the jobs follow, and it tells how far it has come."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

from collector import __version__
from collector.app.counts import Counts
from collector.app.lending import Lending
from collector.control import CHECKPOINTED, Control
from collector.jobs.books import STAGES, Books
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.journal import Reader
from collector.model.resident import give_back
from collector.model.shown import duration
from collector.settings import Settings
from collector.store import apply, aside, derive, run_tables, upgrade
from collector.store.database import Database
from collector.store.errors import NoMemory, is_of_data
from collector.store.handle import Handle
from collector.store.places import Memory
from collector.telemetry import log
from collector.telemetry.spans import span

_TAKEN = 1 / 8
"""Of the tick's part of `memory`: journal bytes, unpacked, taken up in one transaction. They are there twice meanwhile,
and in DuckDB until they are committed."""
_LEAST_SHARE = 1 / 64
"""Of what a turn may take up, where memory is short: a quarter of it each time that it did not fit."""
_MOST_STATISTICS_LAG_S = 60.0
_APART_S = 1.0
"""Between checkpoints that receive waits for."""
_MOST_LAG_S = 60.0
_LEAST_LAG_S = 0.001
_RETRY_S = 1.0
_TOLD_ASIDE = 50
"""Things set aside that status names, the newest."""
_COUNTED = ("logs", "spans", "metric_points", "runs", "attempts")


class Keeper(threading.Thread):
    """The one writer: applies what is new, keeps the runs, checkpoints.

    What fails, such as a write to a full disk, is tried again every second while questions are still answered; where
    DuckDB gives up, `Database` ends the process, and the next one starts from what is on disk.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        reader: Reader,
        control: Control,
        books: Books,
        lending: Lending,
    ) -> None:
        super().__init__(name="store-keeper", daemon=True)
        self.books = books
        self._settings = settings
        self._database = database
        self._reader = reader
        self._control = control
        self._lending = lending
        memory = Memory()
        self._job = RunsJob(database, settings.runs, memory)
        self._runner = Runner(database, control, memory, settings, beside=True)
        self._deriving = True
        """Whether an upgrade may have left columns to work out; a look tells."""
        self._underived: dict[str, str] = {}
        """Why they cannot be, as for a job that fails."""
        self._counts = Counts(_COUNTED, self._count)
        self._statistics = 0.0
        self._waiting = False
        self._stop_asked = threading.Event()
        self._checkpointed = time.monotonic()
        self.applied_seq = apply.applied(database)
        self.runs_seq = database.reading(lambda h: apply.watermark(h, run_tables.NAME))
        self.journal_seq = max(self.applied_seq, reader.last_seq())
        self.newest_ns: int | None = None
        self.behind_since: float | None = None
        self.complete_ns = 0
        """Up to when what was received is counted in every table, statistics included."""
        self.failed = ""
        self._gone: dict[str, int] = {}
        self._note_gone()
        books.positions(lambda: self.journal_seq, lambda: self.applied_seq, lambda: self.runs_seq)
        books.lag.set_function(lambda: self.lag_s)
        books.damaged.set_function(lambda: self._gone["damaged_groups"])
        books.lost.set_function(lambda: self._gone["lost_groups"])
        books.runs.set_function(lambda: self._job.recomputed)
        books.set_aside.set(len(database.set_aside))

    def run(self) -> None:
        """Work until told to stop; a defect of ours ends the process, and the next one recovers."""
        log.vital(self._work)

    def _work(self) -> None:
        flush = self._settings.store.flush.total_seconds()
        while not self._stop_asked.is_set():
            began = time.monotonic()
            if not self._try(self._turn):
                self._stop_asked.wait(_RETRY_S if self.failed else max(0.02, flush - (time.monotonic() - began)))
        self._try(self._checkpoint)

    def _try(self, act: Callable[[], bool]) -> bool:
        """Return what *act* does, False when it fails; `failed` says why."""
        try:
            busy = act()
        except Exception as e:
            if not self.failed:
                structlog.get_logger().error("store_apply_failed", **log.cause(e))
            self.failed = type(e).__name__
            return isinstance(e, NoMemory) and self._make_do()
        self._job.share = min(1.0, 2 * self._job.share)
        if not self.behind:
            self._lending.caught_up()
        if self.failed:
            structlog.get_logger().info("store_apply_completed", applied_seq=self.applied_seq)
        self.failed = ""
        if busy:
            give_back()
        return busy

    def _make_do(self) -> bool:
        """Take up less the next time, down to one thing; where that is too much too, let DuckDB have more for it.

        Tell whether that gives anything to try at once.
        """
        if self._job.share > _LEAST_SHARE:
            self._job.share = max(_LEAST_SHARE, self._job.share / 4)
            return True
        self._lending.more()
        return False

    def _turn(self) -> bool:
        """Do what there is to do once; tell whether more is waiting."""
        began_ns = time.time_ns()
        entries = self._reader.entries(self.applied_seq, int(self._settings.parts.tick * _TAKEN * self._job.share))
        self.journal_seq = max(self._reader.last_seq(), self.applied_seq)
        self._note_lag()
        if entries:
            with self.books.jobs.labels("apply").time():
                apply.apply(self._database, entries, self._settings.data)
            self.books.applied(entries)
            self.applied_seq = entries[-1].seq
            self.newest_ns = entries[-1].received_ns
            self._control.set_mark("applied", self.applied_seq)
            if any(entry.damaged or entry.lost for entry in entries):
                self._note_gone()
        with self.books.jobs.labels("runs").time():
            recomputed = self._job.tick(time.time_ns())
        self.runs_seq = self._database.reading(lambda h: apply.watermark(h, run_tables.NAME))
        self._derive()
        self._note_lag()
        if self._stop_asked.is_set():
            return False
        if not self.behind or time.monotonic() - self._statistics > _MOST_STATISTICS_LAG_S:
            known_ns = self.newest_ns if self.runs_seq == self.applied_seq else None
            self._keep_statistics(began_ns if not self.behind else known_ns or self.complete_ns)
        passed_s = time.monotonic() - self._checkpointed
        is_due = passed_s > self._settings.store.checkpoint.total_seconds()
        if is_due or (passed_s > _APART_S and self._is_waited_for()):
            self._checkpoint()
        return bool(entries or recomputed) and self.behind

    def _note_gone(self) -> None:
        """Take up how many acknowledged groups are not in the file, and tell those who look while no store runs."""
        told = {name: self._control.mark(name) for name in apply.GONE}
        self._gone = self._database.reading(apply.gone)
        if any(count > told[name] for name, count in self._gone.items()):
            structlog.get_logger().error(
                "journal_read_failed",
                **self._gone,
                error_type="GroupsGone",
                error_message="groups that were acknowledged cannot be had any more",
            )
        for name, count in self._gone.items():
            if count != told[name]:
                self._control.set_mark(name, count)

    def _is_waited_for(self) -> bool:
        """Tell whether receive refuses requests until the journal may forget what is stored."""
        is_full = self._reader.size_bytes() > self._settings.journal.full_size
        return is_full and self._control.mark(CHECKPOINTED) < self.applied_seq

    def _derive(self) -> None:
        """Work out a part of the columns that an upgrade left; where that fails it waits for the next start."""
        if not self._deriving:
            return
        try:
            self._deriving = self._database.writing(derive.part)
        except Exception as e:
            if not is_of_data(e):
                raise
            self._deriving = False
            self._underived = {"derive": aside.reason(e)}
            structlog.get_logger().error("store_derive_failed", **log.cause(e))

    def _keep_statistics(self, seen_ns: int) -> None:
        """Run the statistics jobs when they are due; at once where they have more to do.

        *seen_ns*: up to when what was received is in the run tables.
        """
        is_urgent = self._waiting or self._runner.is_waited_for
        if not is_urgent and time.monotonic() - self._statistics < self._settings.store.statistics.total_seconds():
            return
        with self.books.jobs.labels("statistics").time():
            self._waiting = self._runner.run(time.time_ns(), whole=self._job.is_whole)
        if not self._waiting:
            self.complete_ns = seen_ns
        left_out = self._database.reading(aside.counts)
        for stage in STAGES:
            self.books.set_aside_work.labels(stage).set(left_out.get(stage, 0))
        self._statistics = time.monotonic()

    @property
    def behind(self) -> bool:
        """Tell whether something that was acknowledged is not visible yet."""
        return self.runs_seq < self.journal_seq or self._job.is_behind

    def _note_lag(self) -> None:
        if not self.behind:
            self.behind_since = None
        elif self.behind_since is None:
            self.behind_since = time.monotonic()

    @property
    def lag_s(self) -> float:
        """Return for how long something has been waiting to become visible; more than 0 whenever something is."""
        return self._unread()[1]

    def _unread(self) -> tuple[int, float]:
        """Return the journal's newest number and `lag_s`, by a reader of this thread's own: the writer may be stuck."""
        reader = Reader(self._settings.data)
        try:
            seq = max(reader.last_seq(), self.applied_seq)
            received_ns = reader.received_ns(self.runs_seq) if seq > self.runs_seq else None
        finally:
            reader.close()
        since = self.behind_since
        known_s = 0.0 if since is None else time.monotonic() - since
        if received_ns is not None:
            known_s = max(known_s, (time.time_ns() - received_ns) / 1e9)
        return seq, max(known_s, _LEAST_LAG_S) if seq > self.runs_seq else known_s

    def _checkpoint(self) -> bool:
        seq = self.applied_seq
        run_id = f"checkpoint-{secrets.token_hex(4)}"
        with (
            log.operation("store_checkpoint", run_id=run_id, applied_seq=seq),
            span("store_checkpoint", run_id=run_id),
            self.books.jobs.labels("checkpoint").time(),
        ):
            self._database.checkpoint()
            self._control.set_mark(CHECKPOINTED, seq)
        self.books.checkpoints.inc()
        self._checkpointed = time.monotonic()
        return False

    def ask_to_stop(self) -> None:
        """Checkpoint and end after what is being done."""
        self._stop_asked.set()

    @property
    def unfinished(self) -> list[str]:
        """Return what is still being worked out."""
        return [*(["turn"] if self.is_alive() else []), *self._runner.working]

    def status(self) -> dict[str, Any]:
        """Return how fresh and how full the store is."""
        journal_seq, lag_s = self._unread()
        left_out, items = self._database.reading(lambda h: (aside.counts(h), aside.newest(h, _TOLD_ASIDE)))
        return {
            "version": __version__,
            "journal_seq": journal_seq,
            "applied_seq": self.applied_seq,
            "runs_seq": self.runs_seq,
            "lag_s": round(lag_s, 3),
            "complete_ns": self.complete_ns,
            "newest_received_ns": self.newest_ns,
            "rows": self._counts.now((self.applied_seq, self.runs_seq)),
            **self._gone,
            "set_aside": self._database.set_aside,
            "writer": self.failed,
            "failing_jobs": {**self._runner.errors, **self._underived},
            "set_aside_count": sum(left_out.values()),
            "set_aside_items": items,
            "upgrading": self._database.reading(_upgrading),
        }

    def want_judged(self) -> int:
        """Have rules judge soon what was acknowledged until now; return the journal's newest number."""
        seq, _ = self._unread()
        self._runner.want_judged(seq)
        return seq

    def _count(self, table: str) -> int:
        return int(self._database.reading(lambda h: h.value(f"SELECT count(*) FROM {table}")))  # noqa: S608 -- ours

    def ready(self) -> str:
        """Return why answers would be stale or wrong, empty when they are not."""
        if self.failed:
            return f"the store cannot write: {self.failed}"
        if not self.is_alive():
            return "the store is stopping"
        lag_s = self.lag_s if self.runs_seq < self.journal_seq else 0.0  # runs that fail keep no others from readers
        return f"the store is {duration(lag_s * 1e9)} behind the journal" if lag_s > _MOST_LAG_S else ""


def _upgrading(h: Handle) -> dict[str, Any]:
    """Return what an upgrade left to be done beside the work; empty when it is done."""
    columns = {name: {"done_seq": done, "upto_seq": upto} for name, (done, upto) in derive.waiting(h).items()}
    runs = upgrade.rebuilding(h)
    return {**({"runs": runs} if runs else {}), **({"columns": columns} if columns else {})}
