"""The statistics jobs, one after the other: each from where it stopped to where the run model is, and a ledger row.

A job that fails stays where it was and is tried again the next time; the others go on. Its rows and its place are one
transaction. A job without a place, be it new or long behind, starts from all runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import structlog

from collector.analyse import limits
from collector.analyse.frames import HOUR_NS
from collector.control import Control
from collector.control.ledger import Entry
from collector.jobs import findings, hourly, levels
from collector.jobs.levels import Clock
from collector.settings import Settings
from collector.store import changes, held, history, run_tables
from collector.store.changes import Changes
from collector.store.database import Database, Handle
from collector.store.places import Memory
from collector.telemetry.log import cause

LEVELS, INFERENCE = "concurrency", "limits"
NAMES = (*hourly.CONTRIBUTIONS, LEVELS, findings.NAME)
"""The jobs that follow the run model."""
_MOST_RUNS = 20_000
"""Changed runs taken up at one time; more wait for the next."""
_MOST_BEHIND = 1_000_000
"""Kept versions of runs beyond which a job that is behind starts from all runs again."""
_INFER_FIRST_NS, _INFER_LAST_NS = 60 * 10**9, HOUR_NS
"""Limits are inferred a minute after the last time, then two, up to every hour: a young store changes fast."""
PROJECT = "default"


class Runner:
    """Keeps the statistics of one store. Called by the thread that writes, so no two jobs overlap."""

    def __init__(self, database: Database, control: Control, memory: Memory, settings: Settings) -> None:
        self._database = database
        self._control = control
        self._memory = memory
        self._lease_ns = _ns(settings.runs.stale)
        self._limits = limits.from_settings(PROJECT, settings.queues.limits)
        self._limits_set = False
        self._inferred_ns = 0
        self._infer_after_ns = 0
        self._findings = findings.Findings(settings, memory)
        self.errors: dict[str, str] = {}
        """Jobs that failed the last time, and why."""

    def run(self, as_of_ns: int) -> bool:
        """Do what there is to do at *as_of_ns*; tell whether more is waiting."""
        now = Clock(as_of_ns, self._lease_ns)
        entries: list[Entry] = []
        more = False
        places = self._database.reading(
            lambda h: {name: changes.position(h, name) for name in (*NAMES, run_tables.NAME)}
        )
        ticks, newest_seq = places.pop(run_tables.NAME)
        if not ticks:
            return False
        behind: dict[int, list[str]] = {}
        for name, (tick, _) in places.items():
            behind.setdefault(tick, []).append(name)
        for name in behind.pop(0, []):
            self._log(
                entries, name, (0, newest_seq), now, partial(self._start, name=name, now=now, at=(ticks, newest_seq))
            )
        for tick, names in behind.items():
            found = self._changes(tick) if tick < ticks else None
            more = more or (found is not None and found.tick < ticks)
            for name in names:
                done = places[name][1]
                seqs = (done, found.seq if found else done)
                if name == LEVELS:
                    act = partial(self._levels, found=found, now=now)
                elif found is None:
                    continue
                elif name == findings.NAME:
                    act = partial(self._judge, found=found, now=now)
                else:
                    act = partial(self._settle, name=name, found=found)
                self._log(entries, name, seqs, now, act, quiet=found is None)
        if as_of_ns - self._inferred_ns >= self._infer_after_ns:
            self._inferred_ns = as_of_ns
            self._infer_after_ns = min(max(_INFER_FIRST_NS, 2 * self._infer_after_ns), _INFER_LAST_NS)
            self._log(entries, INFERENCE, (newest_seq, newest_seq), now, partial(levels.infer, now=now))
        if self._findings.due:
            act = partial(self._findings.window, as_of_ns=as_of_ns)
            self._log(entries, findings.WINDOW, (newest_seq, newest_seq), now, act)
        more = self._forget(as_of_ns) or more
        if entries:
            self._control.write_job_entries(entries)
        return more and not self.errors

    def _log(
        self,
        entries: list[Entry],
        name: str,
        seqs: tuple[int, int],
        now: Clock,
        act: Callable[[Handle], int],
        *,
        quiet: bool = False,
    ) -> None:
        """Run *act* as one transaction and note what came of it; *quiet* ones only when they fail."""
        started = time.time_ns()
        rows, error = 0, ""
        try:
            rows = self._database.writing(act)
            self.errors.pop(name, None)
        except Exception as e:
            error = f"{type(e).__name__}: {str(e)[:300]}"
            if name not in self.errors:
                structlog.get_logger().error("job_run_failed", job=name, **cause(e))
            self.errors[name] = error
        if error or not quiet:
            entries.append(Entry(name, *seqs, now.as_of_ns, started, time.time_ns(), rows, error))

    def _changes(self, tick: int) -> Changes | None:
        return self._database.reading(lambda h: changes.since(h, self._memory, tick, _MOST_RUNS))

    def _settle(self, h: Handle, *, name: str, found: Changes) -> int:
        rows = hourly.settle(h, name, found)
        changes.move(h, name, found.tick, found.seq)
        return rows

    def _judge(self, h: Handle, *, found: Changes, now: Clock) -> int:
        rows = self._findings.settle(h, found.after.runs.select("project", "run_key"), now.as_of_ns)
        changes.move(h, findings.NAME, found.tick, found.seq)
        return rows

    def _levels(self, h: Handle, *, found: Changes | None, now: Clock) -> int:
        """Compute the levels that changes and the clock touch, and remember the time they are for."""
        before = Clock(changes.position(h, f"{LEVELS}_as_of")[1], now.lease_ns)
        self._set_limits(h)
        held.mark(h, levels.passed(h, before.as_of_ns, now))
        if found is not None:
            held.mark(h, levels.touched(found, before, now))
            changes.move(h, LEVELS, found.tick, found.seq)
        changes.move(h, f"{LEVELS}_as_of", 0, now.as_of_ns)
        return levels.compute(h, now)

    def _set_limits(self, h: Handle) -> None:
        """Take up limits from the settings; where they changed, every level is computed again."""
        if not self._limits_set and held.set_limits(h, "settings", self._limits):
            held.mark_all(h)
        self._limits_set = True

    def _start(self, h: Handle, *, name: str, now: Clock, at: tuple[int, int]) -> int:
        """Make the tables of job *name* from all runs, findings from those they sum up."""
        if name == LEVELS:
            self._set_limits(h)
            held.mark_runs(h, now.as_of_ns)
            changes.move(h, f"{LEVELS}_as_of", 0, now.as_of_ns)
            rows = levels.compute(h, now)
        elif name == findings.NAME:
            self._findings.clear(h)
            recent = history.parts(h, now.as_of_ns - findings.KEPT_NS)
            keys = (part.runs.select("project", "run_key") for part in recent)
            rows = sum(self._findings.settle(h, part, now.as_of_ns) for part in keys)
        else:
            hourly.clear(h, name)
            rows = sum(hourly.fill(h, name, part) for part in history.parts(h))
        changes.move(h, name, *at)
        return rows

    def _forget(self, as_of_ns: int) -> bool:
        """Drop versions that every job has settled; let one start again that fell too far behind.

        Tell whether hours are left whose levels are to be computed again.
        """

        def work(h: Handle) -> bool:
            at = {name: changes.position(h, name)[0] for name in NAMES}
            changes.forget(h, min(at.values()))
            if changes.kept(h) > _MOST_BEHIND:
                for name, tick in at.items():
                    if tick == min(at.values()):
                        changes.move(h, name, 0, 0)
            return any(hour < as_of_ns for hour in held.marked(h))

        return self._database.writing(work)


def _ns(span: timedelta) -> int:
    return int(span / timedelta(microseconds=1)) * 1000
