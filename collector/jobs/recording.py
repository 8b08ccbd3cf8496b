"""Recordings on the store's own road: stored, told as runs, judged and summed up, in a directory that nobody keeps.

Enter: decoded tables of requests that are all there. Leave: what rules look at, and findings; the clock stands where
every run has had its time. What fits is judged together. Of more, each run is judged with those around it, as many at a
time as fit, and what only many runs show in the newest that do: memory does not grow with a recording.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa

from collector.jobs import seen
from collector.jobs.judging import Judge, Left, spared
from collector.jobs.runs import RunsJob
from collector.journal import Entry
from collector.model.errors import NotFound
from collector.model.scope import ALL, Scope
from collector.report import conventions
from collector.rules import checked, engine
from collector.rules.checked import NONE, Checked
from collector.rules.findings import CONTRIBUTION
from collector.rules.frames import RUN, Frames, stated_limits
from collector.rules.profiles import Chosen, phone_countries
from collector.settings import Settings
from collector.settings.section import nanoseconds
from collector.store import apply, came, looked_at, weights
from collector.store import findings as stored
from collector.store.database import Database
from collector.store.handle import Handle
from collector.store.places import Memory, Places
from collector.store.run_links import KEYS

_TOGETHER = 2 * weights.MOST
"""The weight of records that are judged together."""
_PART = weights.MOST // 4
"""The weight of runs that are judged in one part: those around them take as much again, and rules twice that."""
_NOTHING = pl.DataFrame(schema=CONTRIBUTION)


@dataclass(slots=True)
class Judged:
    """What was looked at, and what rules found there."""

    logs: int
    spans: int
    runs: int
    newest: int
    """Runs that were looked at for what only many show: all of them, where those fit."""
    left: list[Left] = field(default_factory=list)
    """Rules that failed on a run or a record, and judged the others."""
    findings: pl.DataFrame = field(default_factory=pl.DataFrame)
    """`rules.findings.SCHEMA`."""
    checked: Checked = NONE
    """What the rules looked at."""


class Recording:
    """Telemetry in a store of its own, one project or several."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._memory = Memory()
        self._groups = 0

    def add(self, tables: Mapping[str, pa.Table], received_ns: int) -> None:
        """Store decoded *tables* as what arrived together."""
        self._groups += 1
        apply.apply(self._database, [Entry(self._groups, received_ns, dict(tables))])

    def frames(self, project: str) -> Frames:
        """Return everything of *project* as rules look at it."""
        as_of_ns = self._tell(project)
        frames = self._database.reading(lambda h: _everything(h, project, as_of_ns, _weighed(h, project)))
        return replace(frames, limits=stated_limits(self._settings.queues.stated()))

    def judge(self, project: str, chosen: list[Chosen], scope: Scope = ALL) -> Judged:
        """Return what the *chosen* rules find in what *scope* has of *project*; runs are seen with those around them.

        Raises NotFound for names of *scope* that no record has, unless there is no record.
        """
        as_of_ns = self._tell(project)
        read = self._database.reading
        logs, spans = read(lambda h: looked_at.counts(h, project))
        if logs + spans and (strangers := read(lambda h: came.strangers(h, project, scope))):
            raise NotFound(" ".join(map(str, strangers)))
        weighed = read(lambda h: _weighed(h, project, scope))
        loose = read(lambda h: looked_at.loose_weights(h, project))
        done = Judged(logs, spans, weighed.height, weighed.height)
        tallies: list[pl.DataFrame] = []
        fits = int(weighed["weight"].sum()) + int(loose["weight"].sum()) <= _TOGETHER

        def judge(how: Judge, frames: Frames, some: list[Chosen], *, by: list[str] | None = None) -> pl.DataFrame:
            limited = replace(frames, limits=stated_limits(self._settings.queues.stated()))
            outcome = spared(how, limited, some, by=by)
            done.left += outcome.left
            return pl.concat(outcome.rows or [_NOTHING])

        if fits:
            frames = read(lambda h: _everything(h, project, as_of_ns, weighed, scope))
            tallies.append(checked.tally(frames))
            if scope:
                around = read(partial(_around, part=weighed, memory=self._memory, as_of_ns=as_of_ns))
                each = judge(engine.judge_each, seen.beside(around, read(lambda h: _loose(h, project, scope))), chosen)
                own = each.join(weighed, on=RUN, how="semi")
                across = judge(engine.judge_across, frames, [c for c in chosen if c.rule.across])
                rows = pl.concat([own, each.filter(pl.col("run_key").is_null()), across])
            else:
                rows = judge(engine.evaluate, frames, chosen)
        else:
            for part in weights.parts(weighed, _PART):
                frames = read(partial(_around, part=part, memory=self._memory, as_of_ns=as_of_ns))
                tallies.append(checked.tally(frames, own=part))
                self._add(judge(engine.judge_each, frames, chosen).join(part, on=RUN, how="semi"))
            for part in weights.parts(loose, _PART):
                groups = part["seq"].to_list()
                frames = read(partial(_of_none, project=project, groups=groups, as_of_ns=as_of_ns, scope=scope))
                tallies.append(checked.tally(frames, loose=True))
                records = [c for c in chosen if c.rule.grain == "record"]
                self._add(judge(engine.judge_each, frames, records, by=["seq", "row"]))
            newest = read(lambda h: looked_at.newest_runs(h, 0, weighed.height, of=weighed))
            done.newest = newest.height
            across_ = [c for c in chosen if c.rule.across]
            rows = judge(engine.judge_across, read(lambda h: _of(h, newest, as_of_ns)), across_)
        done.checked = checked.looked_at(tallies, chosen, weighed.height, apart=not fits)
        done.findings = self.findings(rows, project)
        return done

    def _add(self, rows: pl.DataFrame) -> None:
        self._database.writing(lambda h: stored.add(h, rows))

    def _tell(self, project: str) -> int:
        """Tell everything as runs; return as of when."""
        newest_ns = self._database.reading(lambda h: looked_at.newest_ns(h, project))
        as_of_ns = newest_ns + nanoseconds(self._settings.runs.stale) + 1
        job = RunsJob(self._database, self._settings.runs, self._memory)
        while job.tick(as_of_ns):
            pass
        return as_of_ns

    def findings(self, rows: pl.DataFrame, project: str) -> pl.DataFrame:
        """Return the findings (`rules.findings.SCHEMA`) that *rows* (`CONTRIBUTION`) of *project* add up to."""

        def replace_and_sum(h: Handle) -> pl.DataFrame:
            stored.replace_window(h, rows)
            return conventions.all_of(h, project, phone_countries(self._settings.rules))

        return self._database.writing(replace_and_sum)


def _weighed(h: Handle, project: str, scope: Scope = ALL) -> pl.DataFrame:
    """Return the runs of *project* in *scope* by weight."""
    keys = h.frame("SELECT project, run_key FROM runs WHERE project = $project", {"project": project})
    if scope:
        keys = keys.join(came.runs(h, project, scope), on=RUN, how="semi")
    return weights.weigh(h, Places(h), keys)


def _loose(h: Handle, project: str, scope: Scope, groups: list[int] | None = None) -> dict[str, pl.DataFrame]:
    """Return the records of no run in *scope*, as `store.looked_at.loose` does."""
    return came.narrowed(looked_at.loose(h, project, groups), scope)


def _of(h: Handle, weighed: pl.DataFrame, as_of_ns: int) -> Frames:
    """Return the runs *weighed* as rules look at them."""
    return seen.frames(looked_at.whole(h, None, weighed), as_of_ns)


def _around(h: Handle, part: pl.DataFrame, memory: Memory, as_of_ns: int) -> Frames:
    """Return the runs *part*, their parents and their children."""
    return _of(h, looked_at.seen(h, memory, part), as_of_ns)


def _everything(h: Handle, project: str, as_of_ns: int, weighed: pl.DataFrame, scope: Scope = ALL) -> Frames:
    """Return the runs *weighed* of *project*, and its records of none in *scope*."""
    return seen.beside(_of(h, weighed, as_of_ns), _loose(h, project, scope))


def _of_none(h: Handle, project: str, groups: list[int], as_of_ns: int, scope: Scope = ALL) -> Frames:
    """Return the logs of no run that came in *groups*, given to the only run that has their correlation id."""
    loose = _loose(h, project, scope, groups)
    none = looked_at.whole(h, None, weights.weigh(h, Places(h), pl.DataFrame(schema=KEYS)))
    return seen.of_no_run(seen.frames({**none, "logs": looked_at.correlated(h, loose["logs"])}, as_of_ns), loose)


@contextmanager
def recording(settings: Settings) -> Iterator[Recording]:
    """Yield an empty recording, gone with everything in it afterwards."""
    with tempfile.TemporaryDirectory(prefix="runwell-") as folder:
        database = Database.open(Path(folder), settings.store)
        try:
            yield Recording(database, settings)
        finally:
            database.close()
