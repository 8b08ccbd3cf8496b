"""The rules job: what changed runs add to findings, what only a window of runs shows, and the public table.

Record and run rules judge each run with its parent and children, once after every change. Rules of a task or queue,
and records that belong to no run, are judged over the last day's newest runs again and again.
"""

from __future__ import annotations

import time

import polars as pl

from collector.analyse import evidence, runs
from collector.report import conventions
from collector.rules import catalogue, engine
from collector.rules.frames import Frames, stated_limits
from collector.rules.profiles import choose
from collector.settings import Settings
from collector.store import findings as stored
from collector.store.database import Handle
from collector.store.places import Memory

NAME, WINDOW = "rules", "rules_window"
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

    def clear(self, h: Handle) -> None:
        """Forget what runs added."""
        stored.clear(h)

    def settle(self, h: Handle, keys: pl.DataFrame, as_of_ns: int) -> int:
        """Judge the runs *keys* (`project`, `run_key`) again; return how many rows that wrote."""
        judged, seen = stored.family(h, self._memory, keys)
        frames = self._frames(h, seen, as_of_ns)
        rows = engine.alone(frames, self._alone).join(judged, on=["project", "run_key"], how="semi")
        since = frames.runs.join(judged, on=["project", "run_key"], how="semi")["first_seen_ns"].min()
        stored.replace(h, judged, rows, int(since or 0))  # type: ignore[arg-type]
        return rows.height

    @property
    def due(self) -> bool:
        """Tell whether it is time to judge a window again."""
        return time.monotonic() >= self._due

    def window(self, h: Handle, as_of_ns: int) -> int:
        """Judge what only many runs show, and write the public table; return how many rows that wrote."""
        began = time.monotonic()
        since = as_of_ns - DAY_NS
        frames = self._frames(h, stored.newest_runs(h, since, _MOST_RUNS), as_of_ns)
        loose = self._loose(h, since, frames)
        rows = pl.concat(
            [engine.together(frames, self._together), engine.alone(loose, self._records)],
            how="vertical",
        )
        stored.replace_window(h, rows)
        found = conventions.findings(h, PROJECT, as_of_ns - KEPT_NS, as_of_ns)
        stored.publish(h, found)
        ended = time.monotonic()
        self._due = ended + max(_EVERY_S, _LEAST_PAUSE * (ended - began))
        return rows.height + found.height

    def _frames(self, h: Handle, keys: pl.DataFrame, as_of_ns: int) -> Frames:
        tables = stored.whole(h, self._memory, keys)
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
