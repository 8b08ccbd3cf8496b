"""A column with its meaning, and a table of them: said once, for the store, docs/schema.md, the API and `DESCRIBE`.

Arrow sees names and types alone: meanings are no metadata of a schema, so that they are in no journal and no answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Column:
    """A column as people read it. *meaning*: a sentence with its unit, what NULL means, how it is known."""

    type: pa.DataType
    name: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """A public table. *row* says what one row is, *key* which columns tell rows apart, none where nothing has to."""

    row: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        """Return names and types."""
        return pa.schema([(c.name, c.type) for c in self.columns])


Make = Callable[[str, str], Column]
"""(name, meaning) → column of one type, called by the type's name in SQL."""


def _of(kind: pa.DataType) -> Make:
    return partial(Column, kind)


varchar, varchars, boolean = _of(pa.string()), _of(pa.list_(pa.string())), _of(pa.bool_())
integer, bigint, uinteger, ubigint = _of(pa.int32()), _of(pa.int64()), _of(pa.uint32()), _of(pa.uint64())
double, timestamp = _of(pa.float64()), _of(pa.timestamp("us"))
hugeint = _of(pa.decimal128(38))
"""Sums of nanoseconds and of billionths of a cent: 300 years of them would fill 64 bits."""

PROJECT = varchar("project", "Whose records these are; there is one project, `default`.")
