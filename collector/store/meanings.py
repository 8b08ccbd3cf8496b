"""The public tables as people read them: for docs/schema.md, `GET /api/v1/schema` and `runwell schema`."""

from __future__ import annotations

from typing import Any

from collector.model.tables import LAYERS
from collector.store.ddl import sql_type


def tables() -> list[dict[str, Any]]:
    """Return every public table: name, layer, what a row is, its key (empty: none), name, type, meaning of columns."""
    return [
        {
            "name": name,
            "layer": layer,
            "row": table.row,
            "key": table.key,
            "columns": [{"name": c.name, "type": sql_type(c.type), "meaning": c.meaning} for c in table.columns],
        }
        for layer, some in LAYERS.items()
        for name, table in some.items()
    ]
