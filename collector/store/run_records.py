"""Records of one run, a page at a time: logs and spans as received, the end first, bounded in number and in bytes.

A page lies before or after an `Anchor`. Of a run's other records only keys are read, and those from where the run is
(`places`); sizes and texts are read of the page alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

from collector.model.words import FAILED
from collector.store import long_texts, weights
from collector.store.handle import Handle
from collector.store.places import Ranges, clusters, within

MOST_RECORDS = 5_000
"""Logs, spans and children given out at one time; anchors lead to the others."""

MOST_BYTES = 16 * 2**20
"""Bytes of the logs, and of the spans, that are given out: of longer ones fewer."""

_ANCHOR = re.compile(
    r"(?a:(?P<of>logs|spans)(\.(?P<ns>\d{1,19})(\.(?P<seq>\d{1,18})\.(?P<row>\d{1,9}))?)?"
    r"|(?P<children>children)(\.(?P<at>\d{1,19})(\.(?P<key>\w{1,64}))?)?)"
)
_OWN = {"logs": "time_unix_nano", "spans": "start_time_unix_nano"}
_BEGAN = {name: f"exact_ns(t.time_source, t.{own}, t.time, t.received_ns)" for name, own in _OWN.items()}
_TOLD = {"logs": _BEGAN["logs"], "spans": f"({_BEGAN['spans']} + lasted_ns(t.duration_ns))"}
"""What pages go by, ns: a span is told when it ends, so that what encloses the others is in the last page."""
_ORDER = {name: f'{began}, t.seq, t."row"' for name, began in _BEGAN.items()}
_FAILING = {
    "logs": "(t.phase = 'failed' OR t.severity_number >= 17 OR t.error_type IS NOT NULL)",
    "spans": "(t.phase = 'failed' OR t.status_code = 2)",
}
_OUTERMOST = {"logs": "coalesce(t.phase = 'failed', false)", "spans": "coalesce(t.span_type = 'attempt', false)"}
_RECORDS = """
    SELECT t.* REPLACE (CASE WHEN {own} THEN $key ELSE t.run_key END AS run_key),
        r.attributes AS resource_attributes, s.name AS scope_name, s.version AS scope_version
    FROM {table} t SEMI JOIN kept USING (seq, "row")
    LEFT JOIN resources r ON r.project = t.project AND r.resource_id = t.resource_id
    LEFT JOIN scopes s ON s.project = t.project AND s.scope_id = t.scope_id
    WHERE {at} AND {of_run} ORDER BY {order}
"""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place in list *of*: *key* is (ns, seq, row), of children (ns, run key), or a time alone.

    Without a key it is the end of the list for what lies before it, the beginning for what lies after.
    """

    of: str
    key: tuple[int | str, ...] = ()

    @classmethod
    def read(cls, text: str) -> Anchor:
        """Return the anchor that *text* writes; raise ValueError for any other text."""
        found = _ANCHOR.fullmatch(text.strip())
        if not found or int(found["ns"] or found["at"] or 0) >= 2**63:
            raise ValueError
        if found["of"]:
            return cls(found["of"], tuple(int(part) for part in found.group("ns", "seq", "row") if part))
        return cls("children", tuple(kind(part) for kind, part in ((int, found["at"]), (str, found["key"])) if part))

    def __str__(self) -> str:
        return ".".join(map(str, (self.of, *self.key)))

    def condition(self, columns: tuple[str, ...], *, after: bool) -> str:
        """Return SQL that is true for what lies *after*, else before; its values are `parameters`."""
        if not self.key:
            return "true"
        names = ", ".join(columns[: len(self.key)])
        values = ", ".join(f"$anchor_{i}" for i in range(len(self.key)))
        # A time alone stands before all that happened then.
        sign = "<" if not after else ">" if len(self.key) == len(columns) else ">="
        return f"({names}) {sign} ({values})"

    def parameters(self) -> dict[str, int | str]:
        """Return the values that `condition` names."""
        return {f"anchor_{i}": part for i, part in enumerate(self.key)}


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a list in order of time, and anchors to what lies before and after them, None where nothing does."""

    rows: pa.Table
    earlier: Anchor | None
    later: Anchor | None


def _within(table: str, from_ns: int | None, until_ns: int | None) -> str:
    """Return SQL that is true for a row *t* that begins in [*from_ns*, *until_ns*), None for no bound."""
    began = _BEGAN[table]
    bounds = [f"{began} >= {from_ns}"] * (from_ns is not None) + [f"{began} < {until_ns}"] * (until_ns is not None)
    return " AND ".join(bounds) or "true"


def neighbours(
    nearest: pl.DataFrame, kept: int, anchor: Anchor, has: Callable[[Anchor, bool], bool], *, after: bool
) -> tuple[Anchor | None, Anchor | None]:
    """Return anchors to what lies before and after a page: the first *kept* rows of *nearest*, which are keys.

    They are *nearest* to *anchor* first. *has* tells whether something lies before an anchor, or after it.
    """
    near, far = (Anchor(anchor.of, nearest.row(i)) if kept else Anchor(anchor.of) for i in (0, kept - 1))
    onward = far if nearest.height > kept else None
    back = near if anchor.key and has(near, not after) else None
    return (back, onward) if after else (onward, back)


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one run: *named* are its project and key, *whose* the keys of what is stated of it
    (`statements.WHOSE`), *ranges* where in the journal they may be."""

    h: Handle
    named: dict[str, Any]
    whose: pl.DataFrame
    ranges: Ranges
    adopted: pl.DataFrame = field(init=False)
    """Logs that stand in its spans and name no run, or not which of several: few runs have any."""
    given: pl.DataFrame = field(init=False)
    """Logs that are given to other runs for such a reason."""

    def __post_init__(self) -> None:
        of_project = {"project": self.named["project"]}
        sql = f'SELECT seq, "row" FROM log_runs t WHERE {self._stated()} AND {self._at()}'  # noqa: S608 -- names and numbers of ours
        object.__setattr__(self, "adopted", self.h.frame(sql, of_project))
        sql = f'SELECT seq, "row" FROM log_runs t WHERE project = $project AND states AND {self._at()}'  # noqa: S608 -- ditto
        given = self.h.frame(sql, of_project).join(self.adopted, on=["seq", "row"], how="anti")
        object.__setattr__(self, "given", given)

    def page(self, table: str, anchor: Anchor | None = None, *, after: bool = False) -> Part:
        """Return the page of raw *table* next to *anchor*, without one the last page."""
        told = _TOLD[table]
        columns = (told, "t.seq", 't."row"')
        anchor = anchor or Anchor(table)
        turn = "" if after else "DESC"
        nearest = self._frame(
            table,
            f"""SELECT t.seq, t."row", {told} AS ns FROM {table} t
                WHERE {{of_run}} AND {anchor.condition(columns, after=after)}
                ORDER BY ns {turn}, t.seq {turn}, t."row" {turn} LIMIT {MOST_RECORDS + 1}""",  # noqa: S608 -- our own words
            anchor.parameters(),
        )
        kept = self._fitting(table, nearest[:MOST_RECORDS])
        beyond = neighbours(
            nearest.select("ns", "seq", "row"),
            kept.height,
            anchor,
            lambda a, after: self._has(table, columns, a, after=after),
            after=after,
        )
        return Part(self._read(table, kept), *beyond)

    def failure(self, run: dict[str, Any]) -> pa.Table | None:
        """Return the record that tells how *run*, a row of `runs`, failed; None where it did not or none tells."""
        if run["status"] not in (*FAILED, "retrying"):
            return None
        same = "(t.error_type IS NOT DISTINCT FROM $type AND t.error_message IS NOT DISTINCT FROM $message)"
        found = [
            self._frame(
                table,
                f"""SELECT '{table}' AS of, t.seq, t."row", {same} AS same, {_OUTERMOST[table]} AS outermost,
                           {_TOLD[table]} AS ns
                    FROM {table} t WHERE {{of_run}} AND {_FAILING[table]}
                    ORDER BY same DESC, outermost DESC, ns DESC, t.seq DESC, t."row" DESC LIMIT 1""",  # noqa: S608 -- ditto
                {"type": run["error_type"], "message": run["error_message"]},
            )
            for table in _OWN
        ]
        best = pl.concat(found).sort("same", "outermost", "ns", descending=True, maintain_order=True)[:1]
        return None if best.is_empty() else self._read(best["of"][0], best)

    def _at(self) -> str:
        return within("t.seq", self.ranges)

    def _stated(self) -> str:
        """Return SQL that is true for a row *t* that has one of the keys."""
        keys = ", ".join(f"'{key}'" for key in self.whose["run_key"].unique().sort())
        return f"t.project = $project AND t.run_key IN ({keys})" if keys else "t.project = $project AND false"

    def _of_run(self, table: str) -> str:
        own = self._stated()
        bounds = self.whose.select("from_ns", "until_ns").unique()
        at = f"{self._at()} AND {_within(table, *bounds.row(0))}" if bounds.height == 1 else self._at()
        if table == "logs" and not self.given.is_empty():
            own = f'{own} AND (t.seq, t."row") NOT IN (SELECT (seq, "row") FROM given)'  # noqa: S608 -- ditto
        if table != "logs" or self.adopted.is_empty():
            return f"{at} AND {own}"
        return f'{at} AND (({own}) OR (t.seq, t."row") IN (SELECT (seq, "row") FROM adopted))'  # noqa: S608 -- ditto

    def _frame(self, table: str, sql: str, more: dict[str, Any] | None = None, **frames: pl.DataFrame) -> pl.DataFrame:
        if table == "logs":
            some = {"adopted": self.adopted, "given": self.given}
            frames |= {name: rows for name, rows in some.items() if not rows.is_empty()}
        named = self.named if "$key" in sql else {"project": self.named["project"]}
        return self.h.frame(sql.format(of_run=self._of_run(table)), {**named, **(more or {})}, **frames)

    def _has(self, table: str, columns: tuple[str, ...], anchor: Anchor, *, after: bool) -> bool:
        where = anchor.condition(columns, after=after)
        sql = f"SELECT 1 AS n FROM {table} t WHERE {{of_run}} AND {where} LIMIT 1"  # noqa: S608 -- ditto
        return not self._frame(table, sql, anchor.parameters()).is_empty()

    def _fitting(self, table: str, nearest: pl.DataFrame) -> pl.DataFrame:
        """Return as many rows of *nearest* from the first on as have room, one at least."""
        if nearest.is_empty():
            return nearest
        size = f"({weights.SIZE[table]} + 2 * coalesce(long_bytes, 0))"
        at = within("t.seq", clusters(nearest, "seq", "seq"))
        sizes = self.h.frame(
            f'SELECT seq, "row", {size} AS bytes FROM {table} t SEMI JOIN nearest USING (seq, "row") WHERE {at}',  # noqa: S608 -- ditto
            nearest=nearest,
        )
        total = nearest.join(sizes, on=["seq", "row"], how="left", maintain_order="left")["bytes"].cum_sum()
        return nearest.filter((total <= MOST_BYTES) | (pl.int_range(pl.len()) == 0))

    def _read(self, table: str, kept: pl.DataFrame) -> pa.Table:
        """Return the records *kept* (seq, row) in order of time, attempts from 1 on as the run model has them."""
        words = {
            "own": self._stated(),
            "table": table,
            "at": within("t.seq", clusters(kept, "seq", "seq")),
            "order": _ORDER[table],
        }
        sql = _RECORDS.format(**words, of_run="{of_run}")
        rows = long_texts.whole(self.h, table, self._frame(table, sql, kept=kept.select("seq", "row")))
        return rows.with_columns(pl.col("attempt") + (1 if self._counts_from_0() else 0)).to_arrow()

    def _counts_from_0(self) -> bool:
        """Tell whether an attempt 0 proves that the run counts its own from 0, as `analyse.evidence.from_one`."""
        told = {"logs": "t.keys_from IS NULL", "spans": "true"}

        def some(where: str) -> pl.Series:
            rows = [
                self._frame(table, f"SELECT DISTINCT {plain} AS plain FROM {table} t WHERE {{of_run}} AND {where}")  # noqa: S608 -- ditto
                for table, plain in told.items()
            ]
            return pl.concat(rows)["plain"]

        zero = some("t.attempt = 0")
        # What a log names in a body or a map counts only where nothing else tells of the run.
        return bool(zero.any()) or (len(zero) > 0 and not some("true").any())
