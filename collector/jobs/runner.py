"""The statistics jobs, one after the other: each from where it stopped to where the run model is, and a ledger row.

A job that fails stays where it was and is tried again the next time; the others go on. Its rows and its position are
one transaction, which jobs share that keep up. A job without a position, be it new or long behind, starts from all
runs. What is due now and then and takes long is worked out beside them (`beside`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import structlog

from collector import __version__
from collector.analyse import limits
from collector.control import Control, ledger
from collector.control.ledger import Entry
from collector.jobs import findings, hourly, levels
from collector.jobs.beside import Beside, Rare
from collector.jobs.blame import Blame, Suspects
from collector.jobs.levels import Moment
from collector.model.project import PROJECT
from collector.model.units import HOUR_NS, MINUTE_NS
from collector.settings import Settings
from collector.settings.section import nanoseconds
from collector.store import aside, changes, held, history, run_tables
from collector.store import findings as stored
from collector.store.database import Database
from collector.store.errors import is_of_data
from collector.store.handle import Handle
from collector.store.places import Memory
from collector.store.recent import Changes
from collector.telemetry.log import cause

LEVELS, INFERENCE = "concurrency", "limits"
NAMES = (*hourly.CONTRIBUTIONS, LEVELS, findings.NAME)
"""The jobs that follow the run model."""
_MOST_RUNS = 10_000
"""Changed runs taken up at one time; more wait for the next."""
_JUDGED = 5_000
"""Runs judged at one time where all are: their records are in memory meanwhile."""
_JUDGED_AHEAD = 2_000
"""Changed runs that are judged while their statistics are kept; more are judged after that."""
_MOST_BEHIND = 1_000_000
"""Kept versions of runs beyond which a job that is behind starts from all runs again."""
_INFER_FIRST_NS, _INFER_LAST_NS = MINUTE_NS, HOUR_NS
"""Limits are inferred a minute after the last time, then two, up to every hour: a young store changes fast."""
_PAUSE_S, _LONGEST_PAUSE_S = 10.0, 600.0


@dataclass(frozen=True, slots=True)
class Job:
    """What one job has to do: from which journal number to which, and its position (tick, seq) once it is done."""

    name: str
    seqs: tuple[int, int]
    act: Callable[[Handle], int]
    at: tuple[int, int] | None = None
    quiet: bool = False
    """Leaves a row in the ledger only when it fails."""
    began_ns: int = 0
    """Since when it is being done, where that is before its turn."""
    suspects: Suspects | None = None
    """What it may fail for alone."""


class Runner:
    """Keeps the statistics of one store. Called by the thread that writes, so no two jobs overlap.

    *beside*: work out what takes long on a thread of its own, and write it in a later run.
    """

    def __init__(
        self, database: Database, control: Control, memory: Memory, settings: Settings, *, beside: bool = False
    ) -> None:
        self._database = database
        self._control = control
        self._memory = memory
        self._lease_ns = nanoseconds(settings.runs.stale)
        self._limits = limits.from_settings(PROJECT, settings.queues.stated())
        self._limits_set = False
        self._inferred_ns = 0
        self._infer_after_ns = 0
        self._findings = findings.Findings(settings, memory)
        self._beside = Beside(database) if beside else None
        self._blame = Blame(database, memory)
        self._left_out: dict[str, list[str]] | None = None
        """Job → tasks or queues that it leaves out."""
        self._blamed: dict[str, set[str]] = {}
        """Job → what it failed for since it last went through."""
        self._searched: dict[str, tuple[float, float]] = {}
        """Job → the next pause, and when it is looked again for what it fails for: nothing was found the last time."""
        self._restarted: set[str] = set()
        """Jobs that began from all runs since."""
        self._set_apart = False
        self.errors: dict[str, str] = {}
        """Jobs that failed the last time, and why."""

    def want_judged(self, seq: int) -> None:
        """Have what only a window of runs shows judged up to group *seq* in the next run, for somebody who waits."""
        self._findings.wanted_seq = seq

    @property
    def is_waited_for(self) -> bool:
        """Tell whether somebody waits for the next run."""
        return self._findings.wanted_seq > 0

    def run(self, as_of_ns: int, *, whole: bool = True) -> bool:
        """Do what there is to do at *as_of_ns*; tell whether more is waiting.

        *whole*: the run tables owe nothing of the groups that they have come to.
        """
        now = Moment(as_of_ns, self._lease_ns)
        if self._left_out is None:
            self._database.writing(_try_left_out_again)
            self._left_out = {}
        positions = self._database.reading(changes.positions)
        newest, newest_seq = positions[run_tables.NAME]
        if not newest:
            return False
        behind: dict[int, list[str]] = {}
        for name in NAMES:
            behind.setdefault(positions[name][0], []).append(name)
        entries: list[Entry] = []
        self._set_apart = False
        for name in behind.pop(0, []):
            act = partial(self._start, name=name, now=now)
            job = Job(name, (0, newest_seq), act, (newest, newest_seq), suspects=_of_all(name, now))
            entries += self._each([job], now)
            if self._set_apart:  # the others would start from rows newer than their position says
                break
        more = False
        for tick, names in behind.items():
            changed = self._changes(tick, newest) if tick < newest else None
            more = more or (changed is not None and changed.tick < newest)
            before = Moment(positions[held.LEVELS_AS_OF][1], now.lease_ns)
            entries += self._together([*self._jobs(names, positions, changed, before, now)], now)
        entries += self._each(self._rare(now, newest_seq, newest, whole), now)
        more = self._forget(as_of_ns, whole) or more
        if entries:
            self._control.writing(ledger.write, entries)
        return (more or self._set_apart) and not self.errors

    def _jobs(
        self,
        names: list[str],
        positions: dict[str, tuple[int, int]],
        changed: Changes | None,
        before: Moment,
        now: Moment,
    ) -> Iterator[Job]:
        """Yield what the jobs *names*, all at one tick, have to do."""
        both = hourly.both_of(changed) if changed else None
        at = (changed.tick, changed.seq) if changed else None
        for name in names:
            done = positions[name][1]
            seqs = (done, changed.seq if changed else done)
            if name == LEVELS:
                act = partial(self._levels, changed=changed, before=before, now=now)
                yield Job(name, seqs, act, at, quiet=not changed, suspects=levels.suspects(changed, before, now))
            elif changed and both and name == findings.NAME:
                keys = changed.after.runs.select("project", "run_key")
                judge = partial(self._findings.judge, keys=keys, as_of_ns=now.as_of_ns)
                is_small = keys.height <= _JUDGED_AHEAD  # else what both hold at one time is too much
                meanwhile = self._beside.ahead(judge) if self._beside and is_small else judge
                yield Job(name, seqs, partial(self._keep_judged, judged=meanwhile), at)
            elif changed and both:
                tasks = self._without(name)
                rest = hourly.without(both, tasks)
                yield Job(
                    name,
                    seqs,
                    partial(hourly.settle, name=name, both=rest),
                    at,
                    suspects=hourly.suspects(name, changed),
                )

    def _keep_judged(self, h: Handle, *, judged: Callable[[Handle], findings.Judged]) -> int:
        return self._findings.keep(h, judged(h))

    def _rare(self, now: Moment, seq: int, tick: int, whole: bool) -> Iterator[Job]:
        """Yield what does not depend on what is new and is due, or was and is worked out by now."""
        due = self._due(now, seq if whole else 0, tick)
        if self._beside is None:
            for rare in due:
                yield Job(rare.name, (seq, seq), rare.both)
            return
        self._beside.begin(due)
        for rare, write in self._beside.ended():
            yield Job(rare.name, (seq, seq), write, began_ns=rare.began_ns)

    def _due(self, now: Moment, seq: int, tick: int) -> Iterator[Rare]:
        if now.as_of_ns - self._inferred_ns >= self._infer_after_ns:
            self._inferred_ns = now.as_of_ns
            self._infer_after_ns = min(max(_INFER_FIRST_NS, 2 * self._infer_after_ns), _INFER_LAST_NS)
            limits_ = levels.Inference(INFERENCE, now)
            yield Rare(INFERENCE, limits_.infer, limits_.keep)
        yield from self._findings.due(now.as_of_ns, seq, tick)

    @property
    def working(self) -> list[str]:
        """Return what is being worked out beside."""
        return self._beside.working if self._beside is not None else []

    def close(self) -> None:
        """Wait for what is being worked out beside."""
        if self._beside is not None:
            self._beside.close()

    def _together(self, jobs: list[Job], now: Moment) -> list[Entry]:
        """Do *jobs* in one transaction, where one of them fails each in its own; return what came of them."""
        try:
            done = self._database.writing(lambda h: self._done(h, jobs, now))
        except Exception:  # told by the one that fails again
            self._limits_set = False
            return self._each(jobs, now)
        for job in jobs:
            self.errors.pop(job.name, None)
        return done

    def _each(self, jobs: Iterable[Job], now: Moment) -> list[Entry]:
        """Do *jobs* in a transaction each and return what came of them."""
        entries: list[Entry] = []
        for job in jobs:
            started = job.began_ns or time.time_ns()
            try:
                entries += self._database.writing(lambda h, job=job: self._done(h, [job], now))  # type: ignore[misc]
                self.errors.pop(job.name, None)
            except Exception as e:
                self._limits_set = False
                if self._set_aside(job, e, now):
                    continue
                error = aside.reason(e)
                if job.name not in self.errors:
                    structlog.get_logger().error("job_run_failed", job=job.name, **cause(e))
                self.errors[job.name] = error
                entries.append(Entry(job.name, *job.seqs, now.as_of_ns, started, time.time_ns(), 0, error))
        return entries

    def _set_aside(self, job: Job, error: BaseException, now: Moment) -> bool:
        """Set aside what *job* failed for; tell whether that is found, so that the job can go on without it."""
        if job.suspects is None or not is_of_data(error):
            return False
        pause_s, after = self._searched.get(job.name, (_PAUSE_S, 0.0))
        if time.monotonic() < after:
            return False
        names = self._blame.find(job.name, job.suspects, now.as_of_ns)
        if not names:
            self._searched[job.name] = min(2 * pause_s, _LONGEST_PAUSE_S), time.monotonic() + pause_s
            return False
        earlier = self._blamed.setdefault(job.name, set())
        if earlier.issuperset(names):  # it fails for what they were before: what they added cannot be taken back
            if job.name in self._restarted:
                return False
            self._restarted.add(job.name)
            self._database.writing(lambda h: changes.move(h, [job.name], 0, 0))
        earlier.update(names)
        self._left_out = {}
        self._set_apart = True
        return True

    def _without(self, name: str) -> list[str]:
        """Return the tasks or queues that job *name* leaves out."""
        assert self._left_out is not None
        if name not in self._left_out:
            self._left_out[name] = self._database.reading(lambda h: aside.series(h, name))
        return self._left_out[name]

    def _done(self, h: Handle, jobs: list[Job], now: Moment) -> list[Entry]:
        """Do *jobs*, note their positions, and return what came of them."""
        entries: list[Entry] = []
        positions: dict[tuple[int, int], list[str]] = {}
        for job in jobs:
            started = job.began_ns or time.time_ns()
            rows = job.act(h)
            if not job.quiet:
                entries.append(Entry(job.name, *job.seqs, now.as_of_ns, started, time.time_ns(), rows, ""))
            if job.at:
                positions.setdefault(job.at, []).append(job.name)
        for at, names in positions.items():
            changes.move(h, names, *at)
            for name in names:
                self._blamed.pop(name, None)
                self._restarted.discard(name)
                self._searched.pop(name, None)
        return entries

    def _changes(self, tick: int, newest: int) -> Changes | None:
        return self._database.reading(lambda h: changes.since(h, self._memory, tick, newest, _MOST_RUNS))

    def _levels(self, h: Handle, *, changed: Changes | None, before: Moment, now: Moment) -> int:
        """Compute the levels that changes and the clock touch, and remember the time they are for."""
        self._set_limits(h)
        hours = levels.passed(h, before.as_of_ns, now)
        if changed is not None:
            hours += levels.touched(changed, before, now)
        changes.move(h, [held.LEVELS_AS_OF], 0, now.as_of_ns)
        return levels.compute(h, now, hours, without=self._without(LEVELS))

    def _set_limits(self, h: Handle) -> None:
        """Take up limits from the settings; where they changed, every level is computed again."""
        if not self._limits_set and held.set_limits(h, "settings", self._limits):
            held.mark_all(h)
        self._limits_set = True

    def _start(self, h: Handle, *, name: str, now: Moment) -> int:
        """Make the tables of job *name* from all runs, findings from those they sum up."""
        if name == LEVELS:
            self._set_limits(h)
            held.mark_runs(h, now.as_of_ns, lease_ns=now.lease_ns)
            changes.move(h, [held.LEVELS_AS_OF], 0, now.as_of_ns)
            rows = levels.compute(h, now, without=self._without(LEVELS))
        elif name == findings.NAME:
            self._findings.clear(h)
            recent = history.keys(h, now.as_of_ns - findings.KEPT_NS)
            rows = sum(self._findings.settle(h, some, now.as_of_ns) for some in recent.iter_slices(_JUDGED))
        else:
            tasks = self._without(name)
            rows = hourly.fill(h, name, (hourly.without(part, tasks) for part in history.parts(h)))
        return rows

    def _forget(self, as_of_ns: int, whole: bool) -> bool:
        """Drop versions that every job has settled; let one start again that fell too far behind.

        Tell whether hours are left whose levels are to be computed again. *whole*: see `run`.
        """

        def work(h: Handle) -> bool:
            if whole:
                stored.note_judged(h)
            positions = changes.positions(h)
            at = {name: positions[name][0] for name in NAMES}
            changes.forget(h, self._memory, min(at.values()))
            if min(at.values()) < positions[run_tables.NAME][0] and changes.unsettled(h) > _MOST_BEHIND:
                changes.move(h, [name for name, tick in at.items() if tick == min(at.values())], 0, 0)
            return any(hour < as_of_ns for hour in held.marked(h))

        return self._database.writing(work)


def _of_all(name: str, now: Moment) -> Suspects | None:
    """Return what job *name* may fail for where it starts from all runs."""
    if name in hourly.CONTRIBUTIONS:
        return hourly.suspects_of_all(name)
    return levels.suspects_of_all(now) if name == LEVELS else None


def _try_left_out_again(h: Handle) -> None:
    """Start the jobs that leave something out from all runs again where another program had them do so."""
    names = [name for name in (*hourly.CONTRIBUTIONS, LEVELS) if aside.series(h, name)]
    if h.value("SELECT value FROM meta WHERE name = 'jobs_of'") == __version__:
        return
    for name in names:
        aside.forget(h, name, "series")
    if aside.forget_wide_rules(h):
        names.append(findings.NAME)
    changes.move(h, names, 0, 0)
    h.run("DELETE FROM meta WHERE name = 'jobs_of'")
    h.run("INSERT INTO meta VALUES ('jobs_of', $version)", {"version": __version__})
