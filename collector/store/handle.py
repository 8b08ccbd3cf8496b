"""What may be said to the store: SQL with parameters and frames, inside one transaction."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import duckdb
import polars as pl
import pyarrow as pa

from collector.store.errors import Panicked

T = TypeVar("T")
Frame: TypeAlias = "pl.DataFrame | pa.Table"

_UNSHARED = re.compile(r"\b(?:INTERVAL|BIT|TIME WITH TIME ZONE|BIGNUM|UNION|VARIANT|MAP)\b")


class Handle:
    """Statements inside one transaction. Frames are passed by name and seen as tables by that statement."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor

    def run(self, sql: str, params: dict[str, Any] | None = None, **frames: Frame) -> None:
        """Execute a statement."""
        self._with(frames, lambda: self._cursor.execute(sql, params or {}).fetchall())

    def frame(self, sql: str, params: dict[str, Any] | None = None, **frames: Frame) -> pl.DataFrame:
        """Return the rows of a query as a polars frame."""
        frame = pl.from_arrow(self.arrow(sql, params, **frames))
        assert isinstance(frame, pl.DataFrame)
        return frame

    def arrow(self, sql: str, params: dict[str, Any] | None = None, **frames: Frame) -> pa.Table:
        """Return the rows of a query as an Arrow table."""
        return self._with(frames, lambda: self._cursor.sql(sql, params=params or {}).to_arrow_table())

    def reader(
        self, sql: str, params: dict[str, Any] | None = None, *, most_text: int | None = None
    ) -> pa.RecordBatchReader:
        """Return the rows of a query batch by batch; *sql* has no comment and no semicolon.

        Columns of types that Arrow's readers do not share (intervals, maps, bits, …) come as their text, and of
        columns with the same name the later ones are numbered. Texts of one row with more than *most_text* bytes
        together end it: DuckDB copies 2,048 rows of an answer at one time.
        """
        relation = self._cursor.sql(sql, params=params or {})
        columns: list[str] = []
        names: set[str] = set()
        for i, (name, kind) in enumerate(zip(relation.columns, relation.types, strict=True), 1):
            n, unique = 1, name
            while unique.lower() in names:
                unique, n = f"{name}_{n}", n + 1
            names.add(unique.lower())
            value = f"CAST(#{i} AS VARCHAR)" if _UNSHARED.search(str(kind)) else f"#{i}"
            columns.append(f'{value} AS "{unique.replace(chr(34), chr(34) * 2)}"')
        texts = [i for i, kind in enumerate(relation.types) if str(kind) in ("VARCHAR", "JSON")]
        if most_text is not None and texts:
            whole = " + ".join(f"coalesce(strlen(#{i + 1}), 0)" for i in texts)
            value, name = columns[texts[0]].split(" AS ", 1)
            told = f"the texts of one row have more than {most_text // 1024} KiB; cut them, as in left(body, 500)"
            columns[texts[0]] = f"CASE WHEN {whole} > {most_text} THEN error('{told}') ELSE {value} END AS {name}"
        plain = [f'#{i} AS "{name.replace(chr(34), chr(34) * 2)}"' for i, name in enumerate(relation.columns, 1)]
        if columns != plain:
            relation = relation.project(", ".join(columns))
        return relation.to_arrow_reader(2048)

    def value(self, sql: str, params: dict[str, Any] | None = None) -> Any:
        """Return the one value of a query, None when it has no row."""
        rows = self.rows(sql, params)
        return rows[0][0] if rows else None

    def rows(self, sql: str, params: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a query that has few."""
        return self._cursor.execute(sql, params or {}).fetchall()

    def _with(self, frames: dict[str, Frame], act: Callable[[], Any]) -> Any:
        for name, frame in frames.items():
            self._cursor.register(name, frame)
        try:
            return act()
        finally:
            for name in frames:
                with contextlib.suppress(duckdb.Error):  # in a failed transaction; the cursor ends with it
                    self._cursor.unregister(name)


def transact(cursor: duckdb.DuckDBPyConnection, fn: Callable[[Handle], T], begin: str) -> T:
    """Return what *fn* makes in the transaction that *begin* starts: committed, or undone where it raises."""
    cursor.execute(begin)
    try:
        result = fn(Handle(cursor))
    except BaseException as e:
        with contextlib.suppress(duckdb.Error):  # what went wrong first is what matters
            cursor.execute("ROLLBACK")
        if isinstance(e, pl.exceptions.PanicException):
            raise Panicked(str(e)) from e
        raise
    cursor.execute("COMMIT")
    return result
