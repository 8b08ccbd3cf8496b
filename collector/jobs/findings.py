"""The rules job: what changed runs add to findings, what only a window of runs shows, and the public table.

Record and run rules judge each run with its parent and children, once after every change. Rules of a task or queue,
and records that belong to no run, are judged over the last day's newest runs again and again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import polars as pl

from collector.analyse import evidence, runs
from collector.jobs.beside import Rare
from collector.report import conventions
from collector.rules import catalogue, engine
from collector.rules.frames import Frames, stated_limits
from collector.rules.profiles import choose
from collector.settings import Settings
from collector.store import findings as stored
from collector.store.database import Handle
from collector.store.places import Memory

NAME, WINDOW, PUBLIC = "rules", "rules_window", "findings"
PROJECT = "default"
DAY_NS = 86_400 * 10**9
KEPT_NS = 7 * DAY_NS
"""How far back the public table sums up."""
_EVERY_S = 10.0
_LEAST_PAUSE = 20
"""A window is judged and the public table written this often, and never for more than a twentieth of the time."""
_MOST_RUNS = 10_000
_MOST_LOOSE = 50_000
"""Runs and loose records of a window that are judged: the newest."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Runs (`project`, `run_key`), what they add to findings, and since when at least they were seen."""

    keys: pl.DataFrame
    rows: pl.DataFrame
    since_ns: int


class Findings:
    """Judges runs under the rules that *settings* choose."""

    def __init__(self, settings: Settings, memory: Memory) -> None:
        chosen = choose(catalogue.RULES, settings.rules)
        self._limits = stated_limits(settings.queues.limits)
        self._alone = [c for c in chosen if c.rule.grain in ("record", "run")]
        self._together = [c for c in chosen if c.rule.together]
        self._records = [c for c in chosen if c.rule.grain == "record"]
        self._memory = memory
        self._due = 0.0
        self._spent_s = 0.0
        self._unpublished = False

    def clear(self, h: Handle) -> None:
        """Forget what runs added."""
        stored.clear(h)

    def settle(self, h: Handle, keys: pl.DataFrame, as_of_ns: int) -> int:
        """Judge the runs *keys* (`project`, `run_key`) again; return how many rows that wrote."""
        return self.keep(h, self.judge(h, keys, as_of_ns))

    def judge(self, h: Handle, keys: pl.DataFrame, as_of_ns: int) -> Judged:
        """Return what the runs *keys* and their parents add to findings; only reads."""
        judged, seen = stored.family(h, self._memory, keys)
        frames = self._frames(stored.whole(h, self._memory, seen), as_of_ns)
        rows = engine.alone(frames, self._alone).join(judged, on=["project", "run_key"], how="semi")
        since = frames.runs.join(judged, on=["project", "run_key"], how="semi")["first_seen_ns"].min()
        return Judged(judged, rows, int(since or 0))  # type: ignore[arg-type]

    def keep(self, h: Handle, found: Judged) -> int:
        """Write what was judged in place of what those runs added before; return how many rows that wrote."""
        stored.replace(h, found.keys, found.rows, found.since_ns)
        return found.rows.height

    def due(self, as_of_ns: int) -> Iterator[Rare]:
        """Yield what it is time for: to judge a window again, and then to write the public table."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _EVERY_S
            yield Rare(WINDOW, partial(self._window, as_of_ns=as_of_ns), self._keep_window)
        if self._unpublished:
            self._unpublished = False
            yield Rare(PUBLIC, partial(self._summed, as_of_ns=as_of_ns), stored.publish)

    def _window(self, h: Handle, *, as_of_ns: int) -> pl.DataFrame:
        """Return what only many runs show."""
        began = time.monotonic()
        since = as_of_ns - DAY_NS
        frames = self._frames(stored.whole(h, None, stored.newest_runs(h, since, _MOST_RUNS)), as_of_ns)
        loose = self._loose(h, since, frames)
        rows = [engine.together(frames, self._together), engine.alone(loose, self._records)]
        self._spent_s = time.monotonic() - began
        return pl.concat(rows)

    def _keep_window(self, h: Handle, rows: pl.DataFrame) -> int:
        stored.replace_window(h, rows)
        self._unpublished = True
        return rows.height

    def _summed(self, h: Handle, *, as_of_ns: int) -> pl.DataFrame:
        """Return the public table."""
        began = time.monotonic()
        found = conventions.findings(h, PROJECT, as_of_ns - KEPT_NS, as_of_ns)
        spent_s = self._spent_s + time.monotonic() - began
        self._due = time.monotonic() + max(_EVERY_S, _LEAST_PAUSE * spent_s)
        return found

    def _frames(self, tables: dict[str, pl.DataFrame], as_of_ns: int) -> Frames:
        spans, logs, _ = runs.records(tables["spans"], tables["logs"])
        return Frames(
            spans=spans, logs=logs, scopes=tables["scopes"], resources=tables["resources"], runs=tables["runs"],
            attempts=tables["attempts"], phases=tables["phases"], waits=tables["waits"], as_of_ns=as_of_ns, live=True,
            repeats=evidence.repeats(tables["spans"], tables["logs"]), limits=self._limits,
        )  # fmt: skip

    def _loose(self, h: Handle, since_ns: int, frames: Frames) -> Frames:
        raw = stored.loose_logs(h, since_ns, _MOST_LOOSE)
        spans, logs, _ = runs.records(frames.spans.clear(), raw)
        logs = logs.with_columns(attempt=pl.lit(None, pl.Int32), attempt_source=pl.lit(None, pl.String))
        return Frames(
            spans=spans, logs=logs, scopes=frames.scopes, resources=frames.resources, runs=frames.runs.clear(),
            attempts=frames.attempts.clear(), phases=frames.phases.clear(), waits=frames.waits.clear(),
            as_of_ns=frames.as_of_ns,
        )  # fmt: skip
