"""Statements as syntax trees and back, in a DuckDB of their own that holds nothing.

The store's own writes trees in the form of the version that its file is for, which has less in it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import duckdb
import msgspec

from collector.model.errors import BadInput


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        ":memory:", config={"enable_external_access": "false", "memory_limit": "256MiB", "threads": 1}
    )


def statements(sql: str) -> list[str]:
    """Return the types of the statements in *sql*, such as SELECT; duckdb.Error when it cannot be parsed."""
    return [statement.type.name for statement in _parser().cursor().extract_statements(sql)]


def tree(sql: str) -> Any:
    """Return the tree of SELECT statements; BadInput for others, and for one that nests too deeply to be read."""
    try:
        made = msgspec.json.decode(_value("SELECT json_serialize_sql($given::VARCHAR)", sql))
    except RecursionError:
        raise BadInput("nested too deeply; use fewer subqueries", field="sql") from None
    if made["error"]:
        raise BadInput(f"expected one SELECT statement: {made.get('error_message', 'not readable')}", field="sql")
    return made


def text(tree: Any) -> str:
    """Return the SQL of a tree, without comments and semicolons: it can stand in another statement."""
    return _value("SELECT json_deserialize_sql($given::JSON)", msgspec.json.encode(tree).decode())


def _value(sql: str, given: str) -> str:
    return str(_parser().cursor().execute(sql, {"given": given}).fetchall()[0][0])
