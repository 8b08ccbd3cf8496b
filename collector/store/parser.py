"""Statements as syntax trees and back, in a DuckDB of their own that holds nothing.

The store's own writes trees in the form of the version that its file is for, which has less in it. DuckDB's parser lets
nobody else work meanwhile and heeds no limit: what it is given is looked at before, and who waits for it too long is
ended by a thread that needs no interpreter.
"""

from __future__ import annotations

import faulthandler
import threading
from functools import cache
from typing import Any

import duckdb
import msgspec

from collector.model.errors import BadInput

FLAT = 10
"""Brackets in each other, or signs in a row, that cost nothing to speak of, however many there are."""
MOST_NESTING = 10_000
"""Sum of how much deeper the others are: 150 in each other, or a thousand at a depth of 20. DuckDB takes 2 us and
0.4 KB or more for each; nothing else that was tried in 64 KiB takes its parser a second.
"""
_LAST_RESORT_S = 10.0
_parsing = threading.Lock()


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        ":memory:", config={"enable_external_access": "false", "memory_limit": "256MiB", "threads": 1}
    )


def statements(sql: str) -> list[str]:
    """Return the types of the statements in *sql*, such as SELECT; duckdb.Error when it cannot be parsed."""
    _require_flat(sql)
    with _parsing:
        faulthandler.dump_traceback_later(_LAST_RESORT_S, exit=True, file=2)
        try:
            return [statement.type.name for statement in _parser().cursor().extract_statements(sql)]
        finally:
            faulthandler.cancel_dump_traceback_later()


def _require_flat(sql: str) -> None:
    """Raise BadInput where brackets or signs nest deeper, or deep ones are more, than can be parsed in no time."""
    text = sql.encode()
    depth = signs = nesting = 0
    for at, kind in duckdb.tokenize(sql):
        if kind == duckdb.token_type.comment:
            continue
        sign = text[at : at + 1]
        signs = signs + 1 if sign in (b"+", b"-") else 0
        deep = signs
        if kind == duckdb.token_type.operator and sign in (b"(", b"[", b"{"):
            depth += 1
            deep = depth
        elif kind == duckdb.token_type.operator and sign in (b")", b"]", b"}"):
            depth -= 1
        nesting += max(0, deep - FLAT)
    if nesting > MOST_NESTING:
        raise BadInput("nested too deeply; use fewer brackets in each other, or signs in a row", field="sql")


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
