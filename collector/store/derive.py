"""Raw columns that are worked out anew from others of the same row, in parts beside the work.

A step of `upgrade` that adds a column `begin`s it; the thread that writes does a `part` at a time, and how far it has
come is committed with it, so that a kill costs one part. Groups of the journal that were written before the column
come later, or again: `complete` gives them the column as they are applied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from collector.model.tables import CATALOGUES
from collector.store.handle import Handle
from collector.store.upgrade import rebuild

_WATERMARK = "derive "
"""Before the name of a column, in `watermark`: `seq` is how far it has come, `row` how far it has to."""
_MOST_ROWS = 50_000
_NUMBERS = 1_000
"""Rows, and journal numbers, looked at for one part."""


@dataclass(frozen=True, slots=True)
class Derived:
    """A column of a raw table, and the function that makes it of other columns, which are all it *needs*."""

    table: str
    column: str
    needs: tuple[str, ...]
    of: Callable[[pa.Table], pa.Array]

    @property
    def name(self) -> str:
        """Return how the column is named in the to-do and in status."""
        return f"{self.table}.{self.column}"


DERIVED: list[Derived] = []
"""Every column that a step ever added and that older rows can have: they stay, since a journal may be of any age."""


def begin(h: Handle, derived: Derived) -> None:
    """Have *derived* worked out for every row that is there."""
    h.run(
        f'INSERT INTO watermark BY NAME SELECT $name AS name, 0 AS seq, coalesce(max(seq), 0) AS "row" '  # noqa: S608 -- our own names
        f"FROM {derived.table}",
        {"name": _WATERMARK + derived.name},
    )


def waiting(h: Handle) -> dict[str, tuple[int, int]]:
    """Return what is not done yet: name → (journal number it has come to, the one it goes to)."""
    rows = h.rows('SELECT name, seq, "row" FROM watermark WHERE starts_with(name, $d) ORDER BY name', {"d": _WATERMARK})
    return {name.removeprefix(_WATERMARK): (done, upto) for name, done, upto in rows}


def part(h: Handle) -> bool:
    """Do one part of what is waiting, and have the runs built again whose records it changed; tell whether any was."""
    for name, (done, upto) in waiting(h).items():
        derived = next((d for d in DERIVED if d.name == name), None)
        to = _reach(h, derived.table, done, upto) if derived else upto
        if derived:
            _update(h, derived, {"done": done, "to": to})
        h.run("DELETE FROM watermark WHERE name = $name", {"name": _WATERMARK + name})
        if to < upto:
            h.run(
                'INSERT INTO watermark BY NAME SELECT $name AS name, $seq AS seq, $upto AS "row"',
                {"name": _WATERMARK + name, "seq": to, "upto": upto},
            )
        return True
    return False


def _reach(h: Handle, table: str, done: int, upto: int) -> int:
    """Return the journal number up to which the next part goes."""
    last = min(upto, done + _NUMBERS)
    return int(
        h.value(
            "SELECT coalesce(min(seq) FILTER (total >= $most), $last) FROM (SELECT seq, sum(count(*)) OVER "  # noqa: S608 -- our own names
            f"(ORDER BY seq) AS total FROM {table} WHERE seq > $done AND seq <= $last GROUP BY seq)",
            {"most": _MOST_ROWS, "done": done, "last": last},
        )
    )


def _update(h: Handle, derived: Derived, window: dict[str, int]) -> None:
    within = f"seq > {window['done']} AND seq <= {window['to']}"
    columns = ", ".join(f'"{column}"' for column in ("seq", "row", *derived.needs))
    rows = h.arrow(f"SELECT {columns} FROM {derived.table} WHERE {within}")  # noqa: S608 -- our own names, numbers
    if not rows.num_rows:
        return
    computed = rows.select(["seq", "row"]).append_column("value", derived.of(rows))
    h.run(
        f'UPDATE {derived.table} AS t SET "{derived.column}" = f.value FROM computed f '  # noqa: S608 -- ditto
        f'WHERE t.{within.replace("AND seq", "AND t.seq")} AND f.seq = t.seq AND f."row" = t."row"',
        computed=computed,
    )
    for table in (derived.table, "log_runs") if derived.table == "logs" else (derived.table,):
        rebuild(
            h,
            f"SELECT t.project, coalesce(w.of_run_key, t.run_key) AS run_key FROM {table} t "  # noqa: S608 -- ditto
            f"LEFT JOIN moved_keys w ON w.of_project = t.project AND w.stated_key = t.run_key WHERE {within}",
        )


def complete(table: str, rows: pa.Table) -> pa.Table:
    """Return *rows* of a journal group with the columns that they can have and were written without."""
    for derived in DERIVED:
        if derived.table == table and derived.column not in rows.column_names:
            rows = rows.append_column(derived.column, derived.of(rows))
    return rows


assert not any(d.table in CATALOGUES for d in DERIVED), "rows of catalogues have no journal number"
