"""The promoted columns of logs and spans by name: what a dialect reads of a record, and what is worked out of it.

They are the last columns of their tables, from `dialect` on; the first of them are the same in both.
"""

from __future__ import annotations

import pyarrow as pa

from collector.model import tables

Columns = tuple[str, ...]


def _promoted(schema: pa.Schema) -> Columns:
    return tuple(schema.names[schema.get_field_index("dialect") :])


LOG = _promoted(tables.LOGS)
SPAN = _promoted(tables.SPANS)
AT = {name: index for index, name in enumerate(SPAN)}
"""Column of spans → its index; a column that logs share has the same one there."""


def between(first: str, last: str) -> slice:
    """Return the indices of the columns from *first* to *last*."""
    return slice(AT[first], AT[last] + 1)
