"""Queue levels: which hours' levels a change or the clock touches, and those hours computed again.

An hour is computed from all runs that wait or hold a slot in it, so its rows are what a recompute of everything would
give. Open slots last until now, so the hours since the last time are always among them; what changed runs held and
hold differently names the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

import polars as pl

from collector.analyse import inference, levels, limits, slots
from collector.analyse.evidence import RUN
from collector.jobs.blame import Suspects
from collector.model.halves import by_halves
from collector.model.project import PROJECT
from collector.model.units import HOUR_NS
from collector.store import aside, held
from collector.store.aside import Aside
from collector.store.errors import is_of_data
from collector.store.handle import Handle
from collector.store.held import Holding
from collector.store.recent import Changes, Version, only

_TOGETHER = 24
"""Hours computed in one sweep."""
_MOST_HOURS = 48
"""Hours computed at one time, the newest first; others wait for the next."""
_FEW_RUNS, _FEW_TIMES = 1_000, 16
"""Of older hours that so few runs touch, so many times as many are: one run may have lasted for a year."""
_MOST_CELLS = 20_000
"""Queues times hours computed at one time, an hour at least: others wait for the writer, and each cell is rows."""
_MOST_TOGETHER = 8_000
"""Runs whose slots are looked at together."""
_LOOK_BACK_NS = 24 * HOUR_NS
_MANY = RuntimeError("too many queues fail to tell them apart")
_MOST_STARTED = 25_000
"""Limits are inferred from the last day, or as many of its last hours as so many runs started in, or a part of one."""
_MOST_HOLDING = 100_000
"""Where more hold a slot in that time, limits stay what they were."""
_STARTED = "started_ns IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Moment:
    """When levels are looked at, and how long an attempt without a sign of life keeps its slot (*lease_ns*)."""

    as_of_ns: int
    lease_ns: int


def _intervals(v: Version | Holding, moment: Moment) -> list[pl.DataFrame]:
    """Return the slots held, what is doubted of them, and who waits (`slots.slots`, `doubts`, `queued`)."""
    at = {"as_of_ns": moment.as_of_ns, "lease_ns": moment.lease_ns}
    held_ = slots.slots(v.runs, v.attempts, v.waits, **at)
    doubted = slots.doubts(v.runs, v.attempts, v.waits, **at)
    waiting = slots.queued(v.runs, v.attempts, v.waits, as_of_ns=moment.as_of_ns)
    return pl.collect_all([held_, doubted, waiting])


def _differing(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Return the times (a, b) in which *old* and *new* intervals differ: the ends of those that only grew or shrank."""
    # Of a wait of which only the end is known, that is all there is to know it by.
    old, new = (rows.with_columns(begins=pl.coalesce("from_ns", "to_ns")) for rows in (old, new))
    same = [c for c in old.columns if c != "to_ns"]
    both = old.join(new, on=same, how="full", nulls_equal=True, coalesce=True, suffix="_new")
    ends = [pl.col("to_ns"), pl.col("to_ns_new")]
    grew = pl.all_horizontal(e.is_not_null() for e in ends)
    return both.filter(~grew | (ends[0] != ends[1])).select(
        a=pl.when(grew).then(pl.min_horizontal(*ends)).otherwise("begins"), b=pl.max_horizontal(*ends)
    )


def _early(v: Version, ns: int) -> pl.DataFrame:
    """Return the keys of runs that may wait for a slot or hold one before *ns*."""
    first = pl.min_horizontal("queued_ns", "started_ns", "first_seen_ns")
    again = pl.min_horizontal("dequeued_ns", "started_ns", pl.col("started_ns") - pl.col("queue_wait_ns"))
    return pl.concat([v.runs.filter(first < ns).select(RUN), v.attempts.filter(again < ns).select(RUN)])


def touched(changes: Changes, before: Moment, now: Moment) -> list[int]:
    """Return the hours before that of *before* in which *changes* or the clock since then move a level."""
    first_ns = before.as_of_ns // HOUR_NS * HOUR_NS
    early = pl.concat(_early(v, first_ns + levels.DWELL_NS) for v in (changes.before, changes.after)).unique()
    if early.is_empty():
        return []
    old, new = (
        Version(**{name: rows.join(early, on=RUN, how="semi") for name, rows in v.tables()})
        for v in (changes.before, changes.after)
    )
    pairs = zip(_intervals(old, before), _intervals(new, now), strict=True)
    times = pl.concat([_differing(old_, new_) for old_, new_ in pairs])
    # An end on the hour counts in both: its own hour tells whether all waits of starts are known.
    last = pl.max_horizontal(pl.col("a"), pl.min_horizontal(pl.col("b"), pl.lit(now.as_of_ns - 1)))
    # A peak that reaches into the hour beside counts there too.
    near = pl.col("a") - levels.DWELL_NS, last + levels.DWELL_NS
    hours = (
        times.filter(pl.col("a") < first_ns + levels.DWELL_NS)
        .select(a=near[0] // HOUR_NS, b=near[1].clip(None, now.as_of_ns - 1) // HOUR_NS)
        .filter(pl.col("a") <= pl.col("b"))
        .drop_nulls()
    )
    return _covered(hours)


def _covered(hours: pl.DataFrame) -> list[int]:
    """Return each hour of [a, b], counted in hours, once, ns: as many as there are, however many times are long."""
    joined = (
        hours.sort("a")
        .with_columns(reached=pl.col("b").cum_max().shift(1))
        .with_columns(island=(pl.col("a") > pl.col("reached") + 1).fill_null(True).cum_sum())
        .group_by("island")
        .agg(pl.col("a").min(), pl.col("b").max())
    )
    return [hour * HOUR_NS for a, b in joined.select("a", "b").iter_rows() for hour in range(a, b + 1)]


def passed(h: Handle, since_ns: int, now: Moment) -> list[int]:
    """Return the hours from *since_ns* to now in which a slot may have been held or a run waited."""
    # What was held since shortly before then may be a peak by now.
    first = (since_ns - levels.DWELL_NS) // HOUR_NS * HOUR_NS
    last = min(held.last_ns(h, since_ns, lease_ns=now.lease_ns), now.as_of_ns - 1)
    return list(range(first, last + 1, HOUR_NS))


def compute(h: Handle, now: Moment, moved: Iterable[int] = (), *, without: Collection[str] = ()) -> int:
    """Compute marked and *moved* hours again, some of them if there are many; return how many rows that wrote.

    *without*: queues that are left out.
    """
    written = 0
    marked = {*held.marked(h)}
    due, sweeps = _plan(h, marked, moved, now)
    chosen = {hour for sweep in sweeps for hour in sweep}
    held.mark(h, sorted({*due} - chosen - marked))
    held.unmark(h, sorted(chosen & marked))
    stated = held.limits(h).filter(pl.col("source") == "settings")
    keep = (~pl.col("queue").is_in(list(without)).fill_null(False)) if without else None
    for sweep in sweeps:
        rows, time = _swept(h, sweep, stated, now, keep)
        held.replace(h, sweep[0], sweep[-1] + HOUR_NS, rows, time)
        written += rows.height + time.height
    return written


def suspects(changes: Changes | None, before: Moment, now: Moment) -> Suspects:
    """Return what this job may fail for in *changes* and what the clock moved since *before*."""

    def runs(h: Handle) -> pl.DataFrame:
        moved = passed(h, before.as_of_ns, now)
        try:
            moved += touched(changes, before, now) if changes else []
        except Exception as e:  # then what changed is to blame
            if not is_of_data(e):
                raise
        seen = runs_of(h, now, moved)
        changed = [v.runs.select(seen.columns) for v in (changes.before, changes.after)] if changes else []
        return pl.concat([seen, *changed]).unique()

    def act(h: Handle, keys: pl.DataFrame) -> None:
        moved = passed(h, before.as_of_ns, now)
        try_out(h, now, moved + (touched(only(changes, keys), before, now) if changes else []), keys)

    return Suspects(runs, act, "queue")


def suspects_of_all(now: Moment) -> Suspects:
    """Return what this job may fail for where it starts from all runs."""

    def act(h: Handle, keys: pl.DataFrame) -> None:
        held.mark_runs(h, now.as_of_ns, lease_ns=now.lease_ns)
        try_out(h, now, (), keys)

    return Suspects(lambda h: h.frame("SELECT project, run_key, queue FROM runs"), act, "queue")


def try_out(h: Handle, now: Moment, moved: Iterable[int], keys: pl.DataFrame) -> None:
    """Compute what `compute` would, of the runs *keys* (`project`, `run_key`) alone; write nothing."""
    stated = held.limits(h).filter(pl.col("source") == "settings")
    for sweep in _plan(h, {*held.marked(h)}, moved, now)[1]:
        _swept(h, sweep, stated, now, pl.col("run_key").is_in(keys["run_key"].to_list()))


def runs_of(h: Handle, now: Moment, moved: Iterable[int]) -> pl.DataFrame:
    """Return the runs that `compute` would look at: project, run_key, queue."""
    sweeps = _plan(h, {*held.marked(h)}, moved, now)[1]
    parts = [
        held.touching(h, s[0], min(s[-1] + HOUR_NS, now.as_of_ns), lease_ns=now.lease_ns).runs.select(*RUN, "queue")
        for s in sweeps
    ]
    return pl.concat(parts).unique() if parts else pl.DataFrame(schema=dict.fromkeys((*RUN, "queue"), pl.String))


def _plan(h: Handle, marked: set[int], moved: Iterable[int], now: Moment) -> tuple[list[int], list[list[int]]]:
    """Return the hours that are due, the newest first, and those of them that are computed now, sweep by sweep."""
    due = sorted({hour for hour in (*marked, *moved) if hour < now.as_of_ns}, reverse=True)
    newest, older = due[:_MOST_HOURS], due[_MOST_HOURS : _FEW_TIMES * _MOST_HOURS]
    if older:
        runs, queues = held.count(h, older[-1], older[0] + HOUR_NS, lease_ns=now.lease_ns)
        older = [] if runs > _FEW_RUNS else older[: _MOST_CELLS // max(queues, 1)]
    if newest:
        _, queues = held.count(h, newest[-1], newest[0] + HOUR_NS, lease_ns=now.lease_ns)
        newest = newest[: max(_MOST_CELLS // max(queues, 1), 1)]
    if len(newest) < min(len(due), _MOST_HOURS):
        older = []
    return due, [*_together(older, _FEW_TIMES * _TOGETHER), *_together(newest, _TOGETHER)]


def _together(hours: Iterable[int], most: int) -> Iterator[list[int]]:
    """Yield *hours* in parts that are computed in one sweep, each within *most* hours of its first."""
    left = sorted(hours)
    while left:
        part = [hour for hour in left if hour < left[0] + most * HOUR_NS]
        yield part
        left = left[len(part) :]


def _only(holding: Holding, runs: pl.DataFrame) -> Holding:
    """Return the rows of *holding* that are of *runs*."""
    return Holding(runs, *(rows.join(runs, on=RUN, how="semi") for rows in (holding.attempts, holding.waits)))


def _swept(
    h: Handle, sweep: list[int], stated: pl.DataFrame, now: Moment, keep: pl.Expr | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of `queue_levels` and `slot_hours` of the hours *sweep*, of the runs *keep* alone.

    Where very many runs wait or hold a slot they are taken in parts, and so is the time: what moves a level adds up.
    """
    rows: list[pl.DataFrame] = []
    known: list[pl.DataFrame] = []
    time: list[pl.DataFrame] = []
    # At level 0 a queue has rows as well.
    queues = held.queues(h, sweep[0], sweep[-1] + HOUR_NS, lease_ns=now.lease_ns)
    steps = limits.steps(stated, queues)
    for from_ns, to_ns, n in _stretches(h, sweep[0], sweep[-1] + HOUR_NS, now.lease_ns):
        if from_ns >= now.as_of_ns:
            break
        until_ns = min(to_ns, now.as_of_ns)
        moved: list[pl.DataFrame] = []
        for part in range(n):
            around = (from_ns - levels.DWELL_NS, until_ns + levels.DWELL_NS)
            also = f"hash(run_key) % {n} = {part}" if n > 1 else "true"
            holding = held.touching(h, *around, also=also, lease_ns=now.lease_ns)
            if keep is not None:
                holding = _only(holding, holding.runs.filter(keep))
            slots_, doubted, waiting = _intervals(holding, now)
            moved.append(levels.moves(slots_, doubted, waiting, from_ns=from_ns, to_ns=until_ns, queues=queues))
            known.append(levels.stated(waiting))
            time.append(slots.slot_hours(slots_, doubted, from_ns=from_ns, to_ns=to_ns))
        rows.append(levels.leveled(moved, steps, from_ns=from_ns, to_ns=until_ns))
    return busy(levels.told(pl.concat(rows), known)), slots.added(time)


def _stretches(h: Handle, from_ns: int, to_ns: int, lease_ns: int) -> Iterator[tuple[int, int, int]]:
    """Yield (from, to, in how many parts its runs are taken) of stretches that make up [*from_ns*, *to_ns*)."""
    runs, _ = held.count(h, from_ns, to_ns, lease_ns=lease_ns)
    if runs <= _MOST_TOGETHER or to_ns - from_ns <= levels.BUCKET_NS:
        yield from_ns, to_ns, -(-max(runs, 1) // _MOST_TOGETHER)
        return
    step_ns = HOUR_NS if to_ns - from_ns > HOUR_NS else levels.BUCKET_NS
    for at_ns in range(from_ns, to_ns, step_ns):
        yield from _stretches(h, at_ns, min(at_ns + step_ns, to_ns), lease_ns)


def busy(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of queue hours in which a slot was held or a run waited; all others are level 0 throughout."""
    hour = [*slots.QUEUE, pl.col("bucket_ns") // HOUR_NS]
    happens = (pl.col("most") > 0) | pl.col("is_queued").fill_null(False) | pl.col("may_wait")
    return rows.filter(happens.any().over(hour))


@dataclass(slots=True)
class Inference:
    """Limits of queues that the last day or less (`_MOST_STARTED`) tells; a queue that it fails for is left out."""

    name: str
    now: Moment
    left: list[Aside] = field(default_factory=list)

    def infer(self, h: Handle) -> pl.DataFrame:
        """Return the limits, as rows of `queue_limits`."""
        first_ns, last_ns = (
            ns // HOUR_NS * HOUR_NS for ns in (self.now.as_of_ns - _LOOK_BACK_NS, self.now.as_of_ns - 1)
        )
        from_ns = held.enough_from(h, first_ns, last_ns, most=_MOST_STARTED)
        runs, _ = held.count(h, from_ns, self.now.as_of_ns, also=_STARTED)
        if runs > _MOST_HOLDING:
            known = held.limits(h)
            return known.filter(pl.col("source") == "inferred")
        holding = held.touching(h, from_ns, self.now.as_of_ns, also=_STARTED)
        parts: list[pl.DataFrame] = []

        def of_queues(some: list[str | None]) -> None:
            runs = holding.runs.filter(pl.col("queue").is_in(some, nulls_equal=True))
            slots_, _, waiting = _intervals(_only(holding, runs), self.now)
            parts.append(inference.infer(slots_, waiting, from_ns=from_ns, to_ns=self.now.as_of_ns))

        of_queues([])
        tried = by_halves(holding.runs["queue"].unique().sort().to_list(), of_queues, is_of_data)
        failed = [*tried.failed, *((queue, _MANY) for some in tried.left for queue in some)]
        self.left = [
            Aside(PROJECT, self.name, "series", str(queue), aside.reason(why), self.now.as_of_ns)
            for queue, why in failed
        ]
        return pl.concat(parts)

    def keep(self, h: Handle, inferred: pl.DataFrame) -> int:
        """Make *inferred* the limits of that source, note what was left out; return how many there are."""
        held.set_limits(h, "inferred", inferred)
        aside.forget(h, self.name, "series")
        aside.note(h, self.left)
        return inferred.height
