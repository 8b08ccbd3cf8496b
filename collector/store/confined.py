"""Analysts' SQL: one SELECT over the public tables of one project, read-only, within time, rows and bytes.

Confinement has three parts, each enough against what it is for: the statement's own syntax tree may name only
public tables, unqualified, and functions that are listed, and has bounds (`extent`); those names are temporary views
with the project in their WHERE; and the whole file is locked against everything outside it. What is run is written
anew from the tree that was looked at.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from collector.model.errors import BadInput
from collector.model.tables import PUBLIC
from collector.settings import Store
from collector.store import CATALOG, collected, extent, long_texts, parser, weights
from collector.store.database import Database
from collector.store.errors import QueryFailed
from collector.store.handle import Handle
from collector.store.scope import Relation, Size
from collector.store.texts import MOST_TEXT
from collector.store.watchdog import Asked

_MOST_TEXT = 64 * 1024
"""DuckDB parses 60 kB for 0.2 s, uninterrupted."""
_MOST_NAMES = 32 * 1024
"""Characters: JSON repeats the names of columns in every row."""
_MOST_ROW = 64 * 1024
"""Bytes of texts in one row of an answer, where a join can repeat them."""
_LIST = Size(1024, 64)
_UNKNOWN = Size(MOST_TEXT, large=True)


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of a query; *truncated* names the limit that cut them short: rows, bytes, or nothing."""

    table: pa.Table
    truncated: str


def select(database: Database, sql: str, *, project: str, limits: Store, asked: Asked | None = None) -> Selection:
    """Return the rows of *sql*, or raise BadInput (not one SELECT) or QueryFailed (wrong, too slow, ended by *asked*).

    The time it may take begins before it is looked at.
    """
    checked, is_large = "", True

    def prepare(h: Handle) -> None:
        nonlocal checked, is_large
        long = long_texts.columns(h)
        checked, is_large = _require_one_select(h, sql, number, long)
        owner = project.replace("'", "''")
        moved = bool(h.rows("SELECT 1 FROM moved_keys UNION ALL SELECT 1 FROM log_runs WHERE states LIMIT 1"))
        for name in PUBLIC:
            columns = ", ".join(
                long_texts.selected(name, column, number) if column in long.get(name, ()) else f'"{column}"'
                for column in PUBLIC[name].names
            )
            source = _keyed(name) if name in weights.BEGAN and moved else f"{CATALOG}.main.{name}"
            h.run(f"CREATE TEMP VIEW {name} AS SELECT {columns} FROM {source} WHERE project = '{owner}'")  # noqa: S608

    def ask(h: Handle) -> Selection:
        batches: list[pa.RecordBatch] = []
        rows = size = 0
        truncated = ""
        reader = h.reader(checked, most_text=_MOST_ROW if is_large else None)
        try:
            if sum(map(len, reader.schema.names)) > _MOST_NAMES:
                raise QueryFailed(f"its columns' names have more than {_MOST_NAMES} characters; name them shorter.")
            for whole in reader:
                batch = whole.slice(0, limits.query_rows - rows)
                if batch.num_rows < whole.num_rows:
                    truncated = "rows"
                fitting = _fitting(batch, limits.query_size - size)
                if fitting < batch.num_rows:
                    batch, truncated = batch.slice(0, fitting), "bytes"
                batches.append(batch)
                rows += batch.num_rows
                size += batch.nbytes
                if truncated:
                    break
        finally:
            reader.close()
        if not rows and truncated == "bytes":
            raise QueryFailed(
                f"the first row is larger than {limits.query_size} bytes; select less, or raise store.query_size."
            )
        return Selection(pa.Table.from_batches(batches, reader.schema), truncated)

    within = limits.query_time.total_seconds()
    asked = asked or Asked(sql)
    with database.tally.counting(asked) as number:
        return database.limited(ask, seconds=within, prepare=prepare, asked=asked)


def _keyed(table: str) -> str:
    """Return SQL for the rows of raw *table* with the key of their run."""
    run_key, joined = weights.shown(table)
    return f"(SELECT t.* REPLACE ({run_key}) FROM {CATALOG}.main.{table} t {joined}) t"  # noqa: S608 -- our own words


def _fitting(batch: pa.RecordBatch, size: int) -> int:
    """Return how many rows from the start of *batch* have at most *size* bytes."""
    rows: int = batch.num_rows
    if batch.nbytes <= size:
        return rows
    return bisect_right(range(1, rows + 1), size, key=lambda n: batch.slice(0, n).nbytes)


def _require_one_select(h: Handle, sql: str, number: int, long: dict[str, list[str]]) -> tuple[str, bool]:
    """Return the statement to run for *sql*, and whether it may repeat large texts.

    Raise BadInput unless it is one SELECT over public tables, in bounds.
    """
    if len(sql.encode()) > _MOST_TEXT:
        raise BadInput(f"longer than {_MOST_TEXT // 1024} KiB; use less text", field="sql")
    types = parser.statements(sql)
    if len(types) != 1 or types[0] != "SELECT":
        got = f"{len(types)} statements" if len(types) != 1 else types[0]
        raise BadInput(f"expected exactly one SELECT statement, got {got}", field="sql")
    tree = parser.tree(sql)
    known = extent.require(tree, _tables(h, tree, long))
    # Where a WITH name is not in scope yet, the same word means the table: no name may be both.
    added = _cte_names(tree) - set(PUBLIC)
    if added and (taken := added & _table_names(h)):
        raise BadInput(f"WITH {min(taken)[:60]}: this name is taken; choose another", field="sql")
    if known.collecting or known.texts.guarded:
        collected.guard(tree, known.collecting, known.texts.guarded, number)
    return parser.text(tree), known.texts.answered


def _tables(h: Handle, tree: Any, long: dict[str, list[str]]) -> dict[str, Relation]:
    """Return the public tables, each text column with its longest value, as DuckDB's statistics know it; *long*: those
    that have long texts.

    One value of a megabyte among a million must not keep everybody from using it: such a column is `large`.
    """
    named = {str(name).lower() for name in _all(tree, "table_name")}
    return {name: _table(h, name, long.get(name, [])) if name in named else Relation() for name in PUBLIC}


def _table(h: Handle, name: str, long: list[str]) -> Relation:
    texts = [f.name for f in PUBLIC[name] if pa.types.is_string(f.type)]
    told = h.rows(f"SELECT {', '.join(f'stats({c})' for c in texts)} FROM {CATALOG}.main.{name} LIMIT 1")  # noqa: S608
    longest = {c: known.get("max_string_length") for row in told for c, known in zip(texts, row, strict=True)}
    columns = {f.name: _LIST if pa.types.is_list(f.type) else Size() for f in PUBLIC[name]}
    for column in texts:
        length = longest.get(column)
        if length is None or column in long:
            columns[column] = _UNKNOWN
        else:
            columns[column] = Size(min(MOST_TEXT, max(64, length)), large=length > MOST_TEXT)
    return Relation(columns, width=len(columns), tables=1)


def _table_names(h: Handle) -> set[str]:
    """Return the names of all tables and views there are, in lower case."""
    rows = h.frame("SELECT table_name AS name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views()")
    return {str(name).lower() for name in rows["name"]}


def _cte_names(tree: Any) -> set[str]:
    """Return the names of all common table expressions of a syntax tree."""
    return {str(entry["key"]).lower() for found in _all(tree, "cte_map") for entry in found["map"]}


def _all(tree: Any, key: str) -> Iterator[Any]:
    """Yield every value of *key* in a syntax tree."""
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if key in item:
                yield item[key]
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
