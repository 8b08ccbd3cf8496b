"""`runwell schema`: the tables that `runwell sql` sees, and what their columns mean."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable

from collector.model.errors import UsageError


def schema(table: str | None = None) -> int:
    """List the tables that `runwell sql` sees, or the columns of one with their types and meanings.

    Parameters
    ----------
    table
        A table such as runs; none lists them all.
    """
    from collector.store import meanings

    tables = {t["name"]: t for t in meanings.tables()}
    if table is None:
        sys.stdout.write(_list((name, t["layer"], t["row"]) for name, t in tables.items()))
        return 0
    if table not in tables:
        raise UsageError(f"{table}: no such table; `runwell schema` lists them.")
    asked = tables[table]
    key = f" Key: {', '.join(asked['key'])}." if asked["key"] else ""
    sys.stdout.write(_wrapped(asked["row"] + key) + "\n\n")
    sys.stdout.write(_list((c["name"], c["type"], c["meaning"]) for c in asked["columns"]))
    return 0


def _list(rows: Iterable[tuple[str, str, str]]) -> str:
    """Return *rows* as three columns, the last one wrapped."""
    rows = list(rows)
    first, second = (max(len(row[i]) for row in rows) + 2 for i in (0, 1))
    indent = " " * (first + second)
    return "".join(_wrapped(f"{name:<{first}}{kind:<{second}}{text}", indent) + "\n" for name, kind, text in rows)


def _wrapped(text: str, indent: str = "") -> str:
    """Return *text* in lines as wide as the terminal, from 80 to 120 characters, those after the first indented."""
    width = min(max(shutil.get_terminal_size((120, 40)).columns, 80), 120)
    return textwrap.fill(text, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
