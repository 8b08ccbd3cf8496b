"""Where in the journal each run is, so that looking one up costs the same however long history is.

`places` holds, per 60-bit key of what is stated of a run (`statements`), or of a batch, the ranges of journal numbers
that hold its records, links and adopted logs, and the number at which the rows of the run with that key were built.
`common` is the key of its run id, whatever else is stated. Raw and run tables are written in ascending order of those
numbers, so DuckDB's own minima and maxima per row group skip everything outside the ranges. A range may say too much,
never too little: every reader still compares the full key. So equal keys do no harm.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.store.handle import Handle
from collector.store.recent import Recent
from collector.store.statements import OTHERS, Statements
from collector.store.statements import key as key

NEAR = 64
"""Ranges this few numbers apart become one: reading what lies between costs less than another range."""
_MOST_RANGES = 8
"""Ranges one statement asks for, and ranges kept of one run; beyond it the nearest ones become one."""
_RECENT_ROWS = 200_000
"""Rows written last, in which nearly every run that is still changing is found."""
NOTE = pl.Schema({"key": pl.Int64, "low": pl.Int64, "high": pl.Int64, "common": pl.Int64})
_ROW = pl.Schema(dict.fromkeys([*NOTE, "built_seq", "written_seq"], pl.Int64))
_SPAN = ["key", "low", "high"]

Ranges = list[tuple[int, int]]


def clusters(rows: pl.DataFrame, low: str = "low", high: str = "high") -> Ranges:
    """Return at most a few ranges that cover all of *rows*, ascending and apart."""
    spans = rows.select(low=low, high=high).drop_nulls().unique().sort("low", "high")
    if spans.is_empty():
        return []
    spans = spans.with_columns(gap=pl.col("low") - pl.col("high").cum_max().shift(1))
    widest = spans["gap"].drop_nulls().sort(descending=True)
    least = max(NEAR, int(widest[_MOST_RANGES - 1]) if len(widest) >= _MOST_RANGES else 0)
    merged = spans.group_by((pl.col("gap") > least).fill_null(False).cum_sum().alias("i")).agg(
        pl.col("low").min(), pl.col("high").max()
    )
    return [(int(a), int(b)) for a, b in merged.sort("low").select("low", "high").iter_rows()]


def within(column: str, ranges: Ranges) -> str:
    """Return SQL that is true where *column* lies in one of *ranges*."""
    return "(" + " OR ".join(f"{column} BETWEEN {a} AND {b}" for a, b in ranges) + ")" if ranges else "false"


class Keys:
    """Keys that were ever noted, in memory, 8 bytes each. Some may be noted that were not kept; none is missing."""

    _MOST_LOOSE = 250_000

    def __init__(self, keys: npt.NDArray[np.int64]) -> None:
        self._sorted = np.sort(keys)
        self._loose: set[int] = set()

    def add(self, keys: npt.NDArray[np.int64]) -> None:
        """Note *keys*."""
        self._loose.update(keys.tolist())
        if len(self._loose) > self._MOST_LOOSE:
            loose = np.sort(np.fromiter(self._loose, np.int64, len(self._loose)))
            # Two ascending runs: a stable sort merges them in one pass.
            self._sorted = np.sort(np.concatenate([self._sorted, loose]), kind="stable")
            self._loose.clear()

    def has(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell for each of *keys* whether it was noted."""
        at = np.searchsorted(self._sorted, keys)
        inside = at < len(self._sorted)
        in_sorted = inside.copy()
        in_sorted[inside] = self._sorted[at[inside]] == keys[inside]
        in_loose: npt.NDArray[np.bool_] = np.fromiter((k in self._loose for k in keys.tolist()), bool, len(keys))
        both: npt.NDArray[np.bool_] = in_sorted | in_loose
        return both


class Memory:
    """What is kept between ticks: which keys exist at all, since when rows count as recent, the last rewrites."""

    def __init__(self) -> None:
        self.recent = Recent()
        self.aside: pl.DataFrame | None = None
        """Runs that are set aside: project, run_key. None until the first tick, which tries them all again."""
        self._keys: Keys | None = None
        """Most runs of a tick are new, and only this tells at once."""
        self._commons: Keys | None = None
        self._parted: Keys | None = None
        self._written: deque[tuple[int, int]] = deque()
        self._rows = 0
        self.recent_seq = 0

    def keys(self, h: Handle) -> Keys:
        """Return which keys there are, read from the store the first time."""
        if self._keys is None:
            self._keys = Keys(h.frame("SELECT key FROM places")["key"].to_numpy())
            self.recent_seq = int(
                h.value(
                    "SELECT min(written_seq) FROM (SELECT written_seq FROM places ORDER BY written_seq DESC LIMIT $n)",
                    {"n": _RECENT_ROWS},
                )
                or 0
            )
        return self._keys

    def commons(self, h: Handle) -> Keys:
        """Return the keys of run ids of which anything was ever stated."""
        if self._commons is None:
            known = h.frame("SELECT DISTINCT common FROM places WHERE common IS NOT NULL")
            self._commons = Keys(known["common"].to_numpy())
        return self._commons

    def parted(self, h: Handle) -> Keys:
        """Return the keys of statements that are not their run's own, and of those runs."""
        if self._parted is None:
            others = h.frame(OTHERS)
            both = pl.concat([others.select(key("stated_key")), others.select(key())])["key"]
            self._parted = Keys(both.drop_nulls().to_numpy())
        return self._parted

    def wrote(self, h: Handle, rows: pl.DataFrame, seq: int) -> None:
        """Note *rows* of places (`key`, `common`) written at journal number *seq*."""
        keys = rows["key"].to_numpy()
        self.keys(h).add(keys)
        self.commons(h).add(rows["common"].drop_nulls().to_numpy())
        self._written.append((seq, len(keys)))
        self._rows += len(keys)
        while len(self._written) > 1 and self._rows - self._written[0][1] > _RECENT_ROWS:
            self._rows -= self._written.popleft()[1]
            self.recent_seq = max(self.recent_seq, self._written[0][0])


class Places:
    """The places of one tick: what the store says and what this tick adds."""

    def __init__(self, h: Handle, memory: Memory | None = None, upto: int = 0) -> None:
        self._h = h
        self._memory = memory
        self._upto = upto
        self._stored = pl.DataFrame(schema=_ROW)
        self._asked = pl.DataFrame(schema={"key": pl.Int64})
        self._notes = pl.DataFrame(schema=NOTE)
        self.statements = Statements(h, memory)
        """Which keys are of which run."""

    def note(self, *notes: pl.DataFrame) -> None:
        """Note that records or facts of `key`, of a run id of `common`, are at journal numbers `low` to `high`."""
        rows = (n if "common" in n.columns else n.with_columns(common=None) for n in notes)
        self._notes = pl.concat([self._notes, *(n.select(NOTE.names()).cast(NOTE) for n in rows)]).drop_nulls(_SPAN)

    def known(self, stated: pl.DataFrame) -> pl.DataFrame:
        """Return those of the keys *stated* (`run_key`) that are stored: column `run_key`."""
        keys = stated.select("run_key", key())
        return keys.join(self._find(keys.select("key").unique()), on="key", how="semi").select("run_key")

    def lone(self, runs: pl.DataFrame) -> pl.DataFrame:
        """Return those of *runs* (`run_key`) of whose keys nothing is stored or noted: they are not what is stated."""
        keyed = runs.with_columns(key())
        stored = self._find(keyed.select("key").unique())
        return keyed.join(stored, on="key", how="anti").join(self._notes, on="key", how="anti").drop("key")

    def ranges(self, keys: pl.DataFrame) -> Ranges:
        """Return where everything about *keys* (column `key`) is, this tick's notes included."""
        wanted = keys.select("key").unique()
        noted = self._notes.join(wanted, on="key", how="semi")
        return clusters(pl.concat([self._find(wanted).select(_SPAN), noted.select(_SPAN)]))

    def of_runs(self, runs: pl.DataFrame) -> tuple[pl.DataFrame, Ranges]:
        """Return whose keys are those of *runs* (project, run_key), as `statements.WHOSE`, and where those are."""
        whose = self.statements.of(runs)
        return whose, self.ranges(whose.select(key()))

    def of_common(self, commons: pl.DataFrame) -> Ranges:
        """Return where what was stored about run ids (column `common`) is."""
        some = commons.select("common").unique()
        if self._memory is not None:
            some = some.filter(
                pl.Series(self._memory.commons(self._h).has(some["common"].to_numpy()), dtype=pl.Boolean)
            )
        return clusters(self.shared(some)) if some.height else []

    def shared(self, commons: pl.DataFrame) -> pl.DataFrame:
        """Return the stored rows about run ids (column `common`)."""
        return self._h.frame("SELECT p.* FROM places p SEMI JOIN commons USING (common)", commons=commons)

    def built(self, keys: pl.DataFrame) -> Ranges:
        """Return where in the run tables the rows of *keys* stand, as ranges of `built_seq`."""
        return clusters(self._find(keys.select("key").unique()), "built_seq", "built_seq")

    def save(self, built: pl.DataFrame) -> None:
        """Write what this tick noted; the rows of *built* keys (column `key`) were built just now."""
        built = built.select("key").unique()
        touched = pl.concat([self._notes.select("key"), built]).unique()
        old = self._find(touched)
        last = old.group_by("key").agg(pl.col("built_seq").max())
        notes = pl.concat([old.select(NOTE.names()), self._notes])
        rows = (
            _merged(notes.select(_SPAN))
            .join(notes.group_by("key").agg(pl.col("common").max()), on="key", how="left")
            .join(last, on="key", how="left")
            .join(built.with_columns(now=pl.lit(self._upto, pl.Int64)), on="key", how="left")
            .select(
                "key",
                "low",
                "high",
                "common",
                built_seq=pl.coalesce("now", "built_seq"),
                written_seq=pl.lit(self._upto, pl.Int64),
            )
        )
        if not old.is_empty():
            self._h.run(
                f"DELETE FROM places WHERE {within('written_seq', clusters(old, 'written_seq', 'written_seq'))} "  # noqa: S608 -- numbers
                "AND key IN (SELECT key FROM old)",
                old=old.select("key").unique(),
            )
        if not rows.is_empty():
            self._h.run("INSERT INTO places BY NAME SELECT * FROM rows", rows=rows)
            if self._memory is not None:
                self._memory.wrote(self._h, rows, self._upto)

    def _find(self, wanted: pl.DataFrame) -> pl.DataFrame:
        """Return the stored rows of *wanted* keys; nearly all are new or recent."""
        new = wanted.join(self._asked, on="key", how="anti")
        if not new.is_empty():
            self._asked = pl.concat([self._asked, new])
            if self._memory is None:
                self._stored = pl.concat([self._stored, self._rows("true", new)])
                return self._stored.join(wanted, on="key", how="semi")
            noted = new.filter(pl.Series(self._memory.keys(self._h).has(new["key"].to_numpy())))
            recent = self._rows(f"written_seq >= {self._memory.recent_seq}", noted)
            older = noted.join(recent, on="key", how="anti")
            self._stored = pl.concat([self._stored, recent, self._rows("true", older)])
        return self._stored.join(wanted, on="key", how="semi")

    def _rows(self, where: str, keys: pl.DataFrame) -> pl.DataFrame:
        if keys.is_empty():
            return pl.DataFrame(schema=_ROW)
        sql = f"SELECT {', '.join(_ROW)} FROM places p SEMI JOIN keys USING (key) WHERE {where}"  # noqa: S608 -- ours
        return self._h.frame(sql, keys=keys)


def _merged(notes: pl.DataFrame) -> pl.DataFrame:
    """Return few ranges per key that cover all its notes."""
    spans = (
        notes.unique()
        .sort("key", "low", "high")
        .with_columns(gap=(pl.col("low") - pl.col("high").cum_max().shift(1).over("key")))
    )
    least = pl.col("gap").sort(descending=True, nulls_last=True).get(_MOST_RANGES - 1, null_on_oob=True).over("key")
    return (
        spans.with_columns(
            i=(pl.col("gap") > pl.max_horizontal(pl.lit(NEAR), least)).fill_null(False).cum_sum().over("key")
        )
        .group_by("key", "i")
        .agg(pl.col("low").min(), pl.col("high").max())
        .select(_SPAN)
    )
