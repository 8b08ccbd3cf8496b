"""Analysts' SQL: one SELECT over the public tables of one project, read-only, within time, rows and bytes.

Confinement has three parts, each enough against what it is for: the statement's own syntax tree may name only
public tables, unqualified, and a few table functions; those names are temporary views with the project in their
WHERE; and the whole file is locked against everything outside it.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from collector.model.errors import BadInput
from collector.model.tables import PUBLIC
from collector.settings import Store
from collector.store.database import CATALOG, Database, Handle, QueryFailed, seconds

_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "json_each", "json_tree", "repeat"})
"""Table functions that read nothing but their arguments."""

_SETTINGS = frozenset({"current_setting", "getenv", "getvariable", "write_log", "sleep_ms", "pg_sleep"})
"""Functions that tell of the server instead of the data, write its log or only keep it busy."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of a query; *truncated* names the limit that cut them short: rows, bytes, or nothing."""

    table: pa.Table
    truncated: str


def select(database: Database, sql: str, *, project: str, limits: Store) -> Selection:
    """Return the rows of *sql*, or raise BadInput (not one SELECT) or QueryFailed (wrong or too slow)."""

    def prepare(h: Handle) -> None:
        _require_one_select(h, sql)
        owner = project.replace("'", "''")
        for name in PUBLIC:
            columns = ", ".join(f'"{column}"' for column in PUBLIC[name].names)
            h.run(f"CREATE TEMP VIEW {name} AS SELECT {columns} FROM {CATALOG}.main.{name} WHERE project = '{owner}'")  # noqa: S608

    def ask(h: Handle) -> Selection:
        batches: list[pa.RecordBatch] = []
        rows = size = 0
        truncated = ""
        reader = h.reader(sql)
        try:
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

    return database.limited(ask, seconds=seconds(limits.query_time), prepare=prepare)


def _fitting(batch: pa.RecordBatch, size: int) -> int:
    """Return how many rows from the start of *batch* have at most *size* bytes."""
    rows: int = batch.num_rows
    if batch.nbytes <= size:
        return rows
    return bisect_right(range(1, rows + 1), size, key=lambda n: batch.slice(0, n).nbytes)


def _require_one_select(h: Handle, sql: str) -> None:
    """Raise BadInput unless *sql* is one SELECT over public tables."""
    types = h.statements(sql)
    if len(types) != 1 or types[0] != "SELECT":
        got = f"{len(types)} statements" if len(types) != 1 else types[0]
        raise BadInput(f"expected exactly one SELECT statement, got {got}", field="sql")
    try:
        tree = json.loads(h.value("SELECT json_serialize_sql($sql::VARCHAR)", {"sql": sql}))
    except RecursionError:
        raise BadInput("nested too deeply; use fewer subqueries", field="sql") from None
    if tree.get("error"):
        raise BadInput(f"expected one SELECT statement: {tree.get('error_message', 'not readable')}", field="sql")
    ctes = _cte_names(tree)
    # Where a WITH name is not in scope yet, the same word means the table: no name may be both.
    added = ctes - set(PUBLIC)
    if added and (taken := added & _table_names(h)):
        raise BadInput(f"WITH {min(taken)[:60]}: this name is taken; choose another", field="sql")
    _require_public(tree, ctes)


def _table_names(h: Handle) -> set[str]:
    """Return the names of all tables and views there are, in lower case."""
    rows = h.frame("SELECT table_name AS name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views()")
    return {str(name).lower() for name in rows["name"]}


def _cte_names(node: Any) -> frozenset[str]:
    """Return the names of all common table expressions of a syntax tree."""
    names: set[str] = set()
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            entries = item.get("cte_map", {})
            if isinstance(entries, dict):
                names.update(str(e["key"]).lower() for e in entries.get("map", []))
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return frozenset(names)


def _require_public(node: Any, ctes: frozenset[str]) -> None:
    """Raise BadInput where a syntax tree names a table or a function that is neither public nor one of *ctes*."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
            continue
        if not isinstance(item, dict):
            continue
        match item.get("type"):
            case "BASE_TABLE":
                name = str(item.get("table_name", ""))
                qualified = item.get("schema_name") or item.get("catalog_name")
                if qualified or (name.lower() not in PUBLIC and name.lower() not in ctes):
                    raise BadInput(f"no table {name[:60]!r}; there are {', '.join(PUBLIC)}", field="sql")
            case "TABLE_FUNCTION":
                function = item.get("function") or {}
                name = str(function.get("function_name", "")).lower()
                if name not in _FUNCTIONS:
                    raise BadInput(f"function {name[:60]!r} is not available here", field="sql")
            case "FUNCTION" if str(item.get("function_name", "")).lower() in _SETTINGS:
                raise BadInput(f"function {item['function_name']!r} is not available here", field="sql")
            case "SHOW_REF":
                raise BadInput(
                    "DESCRIBE and SHOW are not available here; `runwell schema` tells the columns", field="sql"
                )
        stack.extend(item.values())
