"""Every table, raw and derived, a file a layer: names, types and meanings of its columns, and what one row is.

Names are public (docs/schema.md); DDL in store/ddl is made of them. The *wire* tables are what `decode` returns and the
journal holds. `store` adds `seq` (journal group) and `row` (position in the group's table) as it applies them. Times:
columns that OTLP itself names (`…_unix_nano`) are UBIGINT nanoseconds exactly as sent; ours end in `_ns` and are BIGINT
nanoseconds since 1970 UTC; `time`, `started_at`, `ended_at` are TIMESTAMP (microseconds, UTC, no zone).
"""

from __future__ import annotations

import pyarrow as pa

from collector.model.tables import raw, run_model, statistics
from collector.model.tables.column import Column, Table

__all__ = ["Column", "Table"]

LAYERS: dict[str, dict[str, Table]] = {
    "raw": raw.TABLES,
    "run model": run_model.TABLES,
    "analytics": statistics.TABLES,
}
"""Layer → its tables, as people read them."""

RAW, RUN_MODEL, STATISTICS = ({name: t.schema for name, t in tables.items()} for tables in LAYERS.values())

PUBLIC: dict[str, pa.Schema] = {**RAW, **RUN_MODEL, **STATISTICS}
"""Every table a user may query."""

CATALOGUES = {"resources": "resource_id", "scopes": "scope_id"}
"""Raw tables that hold each distinct row once per project, and what names it; the rest are append-only records."""

_OF_STORE = {c.name for c in (*raw.POSITION, *raw.LONG)}
WIRE: dict[str, pa.Schema] = {
    name: pa.schema([field for field in table.schema if field.name not in _OF_STORE])
    for name, table in raw.RECEIVED.items()
}
"""What `decode` makes: the tables of what is received, without what `store` adds."""

LOGS, SPANS, METRIC_POINTS = (WIRE[name] for name in ("logs", "spans", "metric_points"))

EVENT = ("operation", "phase", "called_service")
"""What a record's message says."""
SAYS = tuple(
    name for name in LOGS.names[LOGS.get_field_index("task_id") :] if name not in (*EVENT, "source", "keys_from")
)
"""What a log says of its run beside the id: what stands under keys."""
