"""Texts that are too long to stand in a row: cut there, and whole in `long_texts`, a slice a row.

DuckDB reads, joins and compresses 2,048 values of a column at one time, so what one value may have bounds what a scan,
a checkpoint or a question takes. JSON that is cut is JSON still: its longest values are cut, and what then has no room
is left out. Who works with whole records puts their texts together again (`whole`), as many records as fit.
"""

from __future__ import annotations

from typing import Any

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from collector.model.identity import content_id
from collector.model.tables import RAW, WIRE
from collector.store.handle import Handle

TABLE = "long_texts"
MOST = 12 * 1024
"""Bytes of a text, or of a list of texts, that stand in a row: 24 MiB of 2,048."""
_LEAST = 64
"""Bytes: values in JSON are not cut shorter but left out."""
_BYTES, _HASH = "long_bytes", "long_hash"
_ID = {"resources": "resource_id", "scopes": "scope_id"}
_AT = ["seq", "row"]


def cut(table: str, rows: pa.Table) -> tuple[pa.Table, pa.Table | None]:
    """Return (*rows* of a raw *table* as they are to be stored, rows of `long_texts`: None where no text is too long).

    *rows* have their place in the journal, those of catalogues their id.
    """
    slices: list[tuple[Any, ...]] = []
    texts: dict[int, list[str]] = {}
    """Index of a row → its long texts, each after its column."""
    seen: set[tuple[str, str]] = set()
    for column in _texts(table):
        long = _long(rows[column]) if column in rows.column_names else []
        if not long:
            continue
        values = rows[column].take(pa.array(long)).to_pylist()
        for i, value in zip(long, values, strict=True):
            text = value if isinstance(value, str) else _encode(value).decode()
            texts.setdefault(i, []).extend((column, text))
            project, *place, key = _place(table, rows, i)
            if key is None or (key, column) not in seen:  # a catalogue's row may come often
                slices += [(project, table, *place, key, column, *numbered) for numbered in enumerate(_slices(text))]
            seen.add((key, column))
        rows = rows.set_column(
            rows.column_names.index(column), column, _put(rows[column], long, [_shorter(value) for value in values])
        )
    if not slices:
        return rows, None
    said = [texts.get(i) for i in range(rows.num_rows)]
    sizes = [sum(len(text.encode()) for text in some[1::2]) if some else None for some in said]
    hashes = [content_id(*some) if some else None for some in said]
    rows = rows.append_column(_BYTES, pa.array(sizes, pa.int64())).append_column(_HASH, pa.array(hashes, pa.string()))
    columns = zip(zip(*slices, strict=True), RAW[TABLE], strict=True)
    return rows, pa.table([pa.array(values, field.type) for values, field in columns], RAW[TABLE])


def write(h: Handle, slices: pa.Table) -> None:
    """Write rows of `long_texts` that are not there: a row of a catalogue may come often."""
    h.run(
        f"INSERT INTO {TABLE} BY NAME SELECT s.* FROM slices s "  # noqa: S608 -- our own name
        f"ANTI JOIN (SELECT project, table_name, id FROM {TABLE} WHERE id IS NOT NULL) USING (project, table_name, id)",
        slices=slices,
    )


def whole(h: Handle, table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows* of the raw records *table* with their texts as they came; lists of texts stay cut."""
    long = rows.filter(pl.col(_BYTES).is_not_null()).select(_AT)
    if long.is_empty():
        return rows
    slices = h.frame(
        f"SELECT seq, row, column_name, part, text FROM {TABLE} t SEMI JOIN long USING (seq, row) "  # noqa: S608 -- our own name
        "WHERE t.seq BETWEEN $low AND $high AND table_name = $table",
        {"low": long["seq"].min(), "high": long["seq"].max(), "table": table},
        long=long,
    )
    for (column,), of_column in slices.partition_by("column_name", as_dict=True).items():
        name = str(column)
        if rows.schema[name] == pl.String:
            texts = of_column.sort("part").group_by(_AT, maintain_order=True).agg(pl.col("text").str.join())
            rows = rows.join(texts, on=_AT, how="left", maintain_order="left", coalesce=True)
            rows = rows.with_columns(pl.coalesce("text", name).alias(name)).drop("text")
    return rows


def _texts(table: str) -> list[str]:
    """Return the columns of texts, and of lists of texts."""
    return [f.name for f in WIRE[table] if pa.types.is_string(f.type) or pa.types.is_list(f.type)]


def _place(table: str, rows: pa.Table, i: int) -> tuple[Any, ...]:
    """Return project, seq, row and id of a row."""
    columns = ("project", _ID[table]) if table in _ID else ("project", "seq", "row")
    values = [rows[column][i].as_py() for column in columns]
    return (values[0], None, None, values[1]) if table in _ID else (*values, None)


def _put(column: pa.ChunkedArray, at: list[int], values: list[Any]) -> pa.ChunkedArray:
    """Return *column* with *values* at the places *at*."""
    new = pa.concat_arrays([*column.chunks, pa.array(values, column.type)])
    indices = list(range(len(column)))
    for nth, i in enumerate(at):
        indices[i] = len(column) + nth
    return pa.chunked_array([new.take(pa.array(indices))])


def _long(column: pa.ChunkedArray) -> list[int]:
    """Return the indices of the texts, or lists of texts, of *column* that have too many bytes."""
    if column.null_count == len(column):
        return []
    if pa.types.is_list(column.type):
        values: Any = pl.from_arrow(column)
        sizes = values.list.eval(pl.element().str.len_bytes() + 3).list.sum().to_arrow()
    else:
        sizes = pc.binary_length(column)
    found: list[int] = pc.indices_nonzero(pc.fill_null(pc.greater(sizes, MOST), False)).to_pylist()
    return found


def _slices(text: str) -> list[str]:
    data, at, made = text.encode(), 0, []
    while at < len(data):
        end = min(at + MOST, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # in the middle of a character
            end -= 1
        made.append(data[at:end].decode())
        at = end
    return made


def _shorter(value: str | list[str]) -> str | list[str]:
    """Return what stands in the row: a list of texts with fewer and shorter ones, a text cut, JSON as JSON."""
    if isinstance(value, list):
        texts: list[str] = msgspec.json.decode(_fitting(value, MOST) or b"[]")
        return texts
    if value[0] in "{[":
        try:
            decoded = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return _start(value, MOST)
        return (_fitting(decoded, MOST) or b"{}").decode()
    return _start(value, MOST)


_encode = msgspec.json.Encoder().encode


def _start(text: str, most: int) -> str:
    """Return *text* in *most* bytes, where it is cut with how long it was."""
    end = f"… ({len(text):,} characters)"
    start = text[:most].encode()[: max(0, most - len(end.encode()))].decode(errors="ignore")
    return text if start == text else start + end


def _fitting(value: Any, most: int) -> bytes | None:
    """Return *value* as JSON of at most *most* bytes, its longest parts cut; None where nothing of it has room."""
    encoded = _encode(value)
    if len(encoded) <= most:
        return encoded
    if isinstance(value, str):
        for least in range(most - 2, 0, -1 - most // 8):  # what is escaped takes more
            if len(encoded := _encode(_start(value, least))) <= most:
                return encoded
    if not isinstance(value, (dict, list)) or most < _LEAST:
        return None
    items = value.items() if isinstance(value, dict) else (("", v) for v in value)
    parts = [(_encode(k) + b":" if isinstance(value, dict) else b"", v) for k, v in items]
    room, most_of_one = most - 2, _level([len(name) + len(_encode(v)) + 1 for name, v in parts], most - 2)
    kept = []
    for name, v in parts:
        part = _fitting(v, min(most_of_one, room) - len(name) - 1)
        if part is not None and len(name) + len(part) < room:
            kept.append(name + part)
            room -= len(kept[-1]) + 1
    opened, closed = (b"{", b"}") if isinstance(value, dict) else (b"[", b"]")
    return opened + b",".join(kept) + closed


def _level(sizes: list[int], room: int) -> int:
    """Return how much each may have so that all have *room*: who has less leaves the rest to the others."""
    for i, size in enumerate(sorted(sizes)):
        share = room // (len(sizes) - i)
        if size > share:
            return max(share, _LEAST)
        room -= size
    return max(sizes)
