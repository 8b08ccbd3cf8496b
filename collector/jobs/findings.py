"""The rules job: what changed runs add to findings, what only a window of runs shows, and the public table.

Record and run rules judge each run with its parent and children, once after every change. Rules of a task or queue,
and records that belong to no run, are judged over the last day's newest runs again and again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import polars as pl

from collector.jobs import seen
from collector.jobs.asides import patience
from collector.jobs.beside import Rare
from collector.jobs.judging import spared
from collector.model.halves import by_halves
from collector.model.project import PROJECT
from collector.model.units import DAY_NS, MINUTE_NS
from collector.report import conventions
from collector.rules import catalogue, engine
from collector.rules.findings import CONTRIBUTION
from collector.rules.frames import RUN, Frames, stated_limits
from collector.rules.profiles import choose, phone_countries
from collector.settings import Settings
from collector.store import aside, looked_at, weights
from collector.store import findings as stored
from collector.store.aside import Aside
from collector.store.errors import is_of_data
from collector.store.handle import Handle
from collector.store.places import Memory

NAME, WINDOW, PUBLIC = stored.RULES, stored.WINDOW, "findings"
KEPT_NS = 7 * DAY_NS
"""How far back the public table sums up."""
_EVERY_S = 10.0
_AT_LEAST_NS = 5 * MINUTE_NS
"""So often although nothing came: what is old leaves the window."""
_LEAST_PAUSE = 20
"""A window is judged and the public table written this often, and never for more than a twentieth of the time."""
_PATIENCE_S = 10.0
"""How long is looked for runs whose records cannot be read; what is not looked at by then is left out with them."""
_MOST_RUNS = 10_000
_MOST_LOOSE = 50_000
"""Runs and loose records of a window that are judged: the newest, and no more than fit."""
_NOTHING = pl.DataFrame(schema=CONTRIBUTION)


@dataclass(frozen=True, slots=True)
class Judged:
    """Runs (`project`, `run_key`), what they add to findings, and since when at least they were seen."""

    keys: pl.DataFrame
    rows: pl.DataFrame
    since_ns: int
    left: list[Aside] = field(default_factory=list)
    """Rules that failed on a run, and judged the others."""


class Findings:
    """Judges runs under the rules that *settings* choose."""

    def __init__(self, settings: Settings, memory: Memory) -> None:
        chosen = choose(catalogue.RULES, settings.rules)
        self._countries = phone_countries(settings.rules)
        self._limits = stated_limits(settings.queues.stated())
        self._each = [c for c in chosen if c.rule.grain == "record" or c.rule.each]
        self._across = [c for c in chosen if c.rule.across]
        self._records = [c for c in chosen if c.rule.grain == "record"]
        self._memory = memory
        self._due = 0.0
        self._spent_s = 0.0
        self._read_seq = self._read_tick = 0
        """Up to which group the window last judged had everything to read, and which tick was the newest."""
        self._read_ns = 0
        """As of when it was judged."""
        self._loose_seq = 0
        """The first group of which it had loose logs."""
        self.wanted_seq = 0
        """Up to which group somebody waits for what a window shows, 0: nobody does."""
        self._unpublished = False
        self._left: list[Aside] = []
        """What the window last judged had to leave out."""
        self._noted = True
        """Whether a rule may be noted as having failed on a run."""

    def clear(self, h: Handle) -> None:
        """Forget what runs added."""
        stored.clear(h)

    def settle(self, h: Handle, keys: pl.DataFrame, as_of_ns: int) -> int:
        """Judge the runs *keys* (`project`, `run_key`) again; return how many rows that wrote."""
        return self.keep(h, self.judge(h, keys, as_of_ns))

    def judge(self, h: Handle, keys: pl.DataFrame, as_of_ns: int) -> Judged:
        """Return what the runs *keys* and their parents add to findings; only reads, as many at a time as fit."""
        judged = looked_at.judged(h, self._memory, keys)
        # Those around them take as much again, and rules lay beside them what they make of them.
        parts = [self._judged(h, part, as_of_ns) for part in weights.parts(judged, weights.MOST // 4)]
        return Judged(
            judged.select(RUN),
            pl.concat([part.rows for part in parts] or [_NOTHING]),
            min((part.since_ns for part in parts if part.since_ns), default=0),
            [left for part in parts for left in part.left],
        )

    def _judged(self, h: Handle, judged: pl.DataFrame, as_of_ns: int) -> Judged:
        """Return what the runs *judged* add, seen beside their children."""
        frames, unread = self._whole(h, self._memory, looked_at.seen(h, self._memory, judged), as_of_ns)
        outcome = spared(engine.judge_each, frames, self._each)
        rows = pl.concat(outcome.rows or [_NOTHING]).join(judged, on=RUN, how="semi")
        since = frames.runs.join(judged, on=RUN, how="semi")["first_seen_ns"].min()
        left = [*unread, *outcome.asides(NAME, frames.runs, as_of_ns)]
        return Judged(judged.select(RUN), rows, int(since or 0), left)  # type: ignore[arg-type]

    def keep(self, h: Handle, judged: Judged) -> int:
        """Write what was judged in place of what those runs added before; return how many rows that wrote."""
        stored.replace(h, judged.keys, judged.rows, judged.since_ns)
        if self._noted or judged.left:
            aside.forget_rules(h, judged.keys)
            aside.note(h, judged.left)
            self._noted = NAME in aside.counts(h)
        return judged.rows.height

    def due(self, as_of_ns: int, seq: int, tick: int) -> Iterator[Rare]:
        """Yield what it is time for, or waited for: to judge a window again, and then to write the public table.

        *seq*: up to which group all is in the run tables, 0 where that is not known. *tick*: their newest.
        """
        wanted, self.wanted_seq = self.wanted_seq, 0
        is_new = not seq or (seq, tick) != (self._read_seq, self._read_tick)
        is_due = is_new or as_of_ns - self._read_ns >= _AT_LEAST_NS
        if (is_due and time.monotonic() >= self._due) or self._read_seq < min(wanted, seq):
            self._due = time.monotonic() + _EVERY_S
            yield Rare(WINDOW, partial(self._window, as_of_ns=as_of_ns, seq=seq, tick=tick), self._keep_window)
        if self._unpublished:
            self._unpublished = False
            yield Rare(PUBLIC, partial(self._summed, as_of_ns=as_of_ns), stored.publish)

    def _window(self, h: Handle, *, as_of_ns: int, seq: int, tick: int) -> pl.DataFrame:
        """Return what only many runs show."""
        began = time.monotonic()
        since = as_of_ns - DAY_NS
        frames, unread = self._whole(h, None, looked_at.newest_runs(h, since, _MOST_RUNS), as_of_ns)
        logs = looked_at.loose_logs(h, since, _MOST_LOOSE)
        loose = seen.of_no_run(frames, logs)
        outcome = spared(engine.judge_across, frames, self._across)
        of_none = spared(engine.judge_each, loose, self._records, by=["seq", "row"])
        self._left = [
            *unread,
            *outcome.asides(WINDOW, frames.runs, as_of_ns),
            *of_none.asides(WINDOW, loose.runs, as_of_ns),
        ]
        self._spent_s = time.monotonic() - began
        self._read_seq, self._read_tick, self._read_ns = seq, tick, as_of_ns
        self._loose_seq = int(logs["logs"]["seq"].min() or seq + 1)  # type: ignore[arg-type]
        return pl.concat([*outcome.rows, *of_none.rows] or [_NOTHING])

    def _keep_window(self, h: Handle, rows: pl.DataFrame) -> int:
        stored.replace_window(h, rows, self._read_seq, self._loose_seq)
        aside.forget(h, WINDOW, "rule")
        aside.note(h, self._left)
        self._unpublished = True
        return rows.height

    def _summed(self, h: Handle, *, as_of_ns: int) -> pl.DataFrame:
        """Return the public table."""
        began = time.monotonic()
        rows = conventions.findings(h, PROJECT, as_of_ns - KEPT_NS, as_of_ns, countries=self._countries)
        spent_s = self._spent_s + time.monotonic() - began
        self._due = time.monotonic() + max(_EVERY_S, _LEAST_PAUSE * spent_s)
        return rows

    def _whole(self, h: Handle, memory: Memory | None, keys: pl.DataFrame, as_of_ns: int) -> tuple[Frames, list[Aside]]:
        """Return what rules look at of the runs *keys*, without those whose records cannot be read as evidence."""
        tables = looked_at.whole(h, memory, keys)
        try:
            return self._frames(tables, as_of_ns), []
        except BaseException as e:
            if not is_of_data(e):
                raise
            failed = e
        some_of = partial(looked_at.some_of, tables)
        runs_ = [*keys.select(RUN).iter_rows()]
        act = lambda some: self._try(some_of(some), as_of_ns)  # noqa: E731
        tried = by_halves(runs_, act, is_of_data, most=4 * len(runs_), failed=failed, enough=patience(_PATIENCE_S))
        left = [*tried.failed, *((run, failed) for run in tried.rest)]
        bad = {run for run, _ in left}
        frames = self._frames(some_of([run for run in runs_ if run not in bad]), as_of_ns)
        names = dict(tables["runs"].select("run_key", "run_id").iter_rows())
        asides = [
            Aside(p, NAME, "rule", f"every {k}", aside.reason(why), as_of_ns, run_id=names.get(k) or k)
            for (p, k), why in left
        ]
        return frames, asides

    def _try(self, tables: dict[str, pl.DataFrame], as_of_ns: int) -> None:
        self._frames(tables, as_of_ns)

    def _frames(self, tables: dict[str, pl.DataFrame], as_of_ns: int) -> Frames:
        return replace(seen.frames(tables, as_of_ns, live=True), limits=self._limits)
