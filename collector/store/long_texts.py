"""Texts that are too long to stand in a row: cut there, and whole in `long_texts`, a slice a row.

DuckDB reads, joins and compresses 2,048 values of a column at one time, so what one value may have bounds what a scan,
a checkpoint or a question takes. JSON that is cut is JSON still: its longest values are cut, and what then has no room
is left out. Who works with whole records puts their texts together again (`whole`), as many records as fit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import duckdb
import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from duckdb.func import ARROW, SPECIAL

from collector.model.cut import mark
from collector.model.identity import content_id
from collector.model.tables import CATALOGUES, RAW, WIRE
from collector.store.collected import Tally
from collector.store.handle import Handle
from collector.store.texts import MOST_TEXT

TABLE = "long_texts"
MOST = MOST_TEXT
"""Bytes of a text, or of a list of texts, that stand in a row: 24 MiB of 2,048."""
MOST_AT_ONCE = 32 * 2**20
"""Bytes of long texts that one statement reads at one time, which is of 2,048 rows."""
_LEAST, _MOST_OF_ONE = 64, 1024
"""Bytes: values in JSON are not cut shorter but left out, and where there are too many none has more than that."""
_DEEPEST = 40
"""What nests deeper is cut as text is: each level is written down anew."""
_BYTES, _HASH = "long_bytes", "long_hash"
_AT = ["project", "seq", "row"]
_WHOLE = "runwell_whole"
_TOO_MUCH = (
    f"the long texts of some 2,048 rows have more than {MOST_AT_ONCE // 2**20} MiB together; ask for fewer rows, or "
    "for slices in long_texts."
)


def cut(table: str, rows: pa.Table) -> tuple[pa.Table, pa.Table | None]:
    """Return (*rows* of a raw *table* as they are to be stored, rows of `long_texts`: None where no text is too long).

    *rows* have their place in the journal, those of catalogues their id.
    """
    if rows.nbytes <= MOST:
        return rows, None
    slices: list[tuple[Any, ...]] = []
    texts: dict[int, list[str]] = {}
    """Index of a row → its long texts, each after its column."""
    seen: set[tuple[str, str, str]] = set()
    for column in _texts(table):
        long = _long(rows[column]) if column in rows.column_names else []
        if not long:
            continue
        values = rows[column].take(pa.array(long)).to_pylist()
        for i, value in zip(long, values, strict=True):
            text = value if isinstance(value, str) else _encode(value).decode()
            texts.setdefault(i, []).extend((column, text))
            project, *place, key = _place(table, rows, i)
            if key is None or (project, key, column) not in seen:  # a catalogue's row may come often
                slices += [(project, table, *place, key, column, *numbered) for numbered in enumerate(_slices(text))]
            seen.add((project, key, column))
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
    for name in columns(h).get(table, ()):
        if name in rows.columns:
            rows = rows.join(_joined(h, table, name, long), on=_AT, how="left", maintain_order="left", coalesce=True)
            rows = rows.with_columns(pl.coalesce("text", name).alias(name)).drop("text")
    return rows


def _joined(h: Handle, table: str, column: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the long texts of a *column* of *rows* as `text`, but those of which a slice is missing.

    *rows* say where they are: `_AT`, or `project` and `id`.
    """
    slices = _slices_of(h, table, column, rows, f"{', '.join(rows.columns)}, part, text")
    by_row = slices.sort("part").group_by(rows.columns, maintain_order=True)
    texts = by_row.agg(pl.col("text").str.join(), is_whole=pl.len() == pl.col("part").max() + 1)
    return texts.filter("is_whole").drop("is_whole")


def _slices_of(h: Handle, table: str, column: str, rows: pl.DataFrame, select: str) -> pl.DataFrame:
    return h.frame(
        f"SELECT {select} FROM {TABLE} SEMI JOIN rows USING ({', '.join(rows.columns)}) "  # noqa: S608 -- our own names
        "WHERE table_name = $table AND column_name = $column",
        {"table": table, "column": column},
        rows=rows,
    )


def columns(h: Handle) -> dict[str, list[str]]:
    """Return table → its columns of which some text is long; not those of lists."""
    found: dict[str, list[str]] = {}
    for table, column in h.rows(f"SELECT DISTINCT table_name, column_name FROM {TABLE}"):  # noqa: S608 -- our own name
        if pa.types.is_string(RAW[table].field(column).type):
            found.setdefault(table, []).append(column)
    return found


def selected(table: str, column: str, number: int) -> str:
    """Return SQL for the texts of a *column* as they came, in the statement that is counted by *number*."""
    at = f"NULL, NULL, {CATALOGUES[table]}" if table in CATALOGUES else "seq, row, NULL"
    whole = f"{_WHOLE}({number}, '{table}', '{column}', project, {at}, {_BYTES}, {column})"
    return f"CASE WHEN {_BYTES} IS NULL THEN {column} ELSE {whole} END AS {column}"


Reading = Callable[[Callable[[Handle], pl.DataFrame]], pl.DataFrame]


def serve(con: duckdb.DuckDBPyConnection, tally: Tally, reading: Callable[[], Reading | None]) -> None:
    """Let statements of *con* have texts as they came (`selected`); *reading* gives what reads while it is open."""

    def joined(
        number: Any, table: Any, column: Any, project: Any, seq: Any, row: Any, key: Any, sizes: Any, short: Any
    ) -> pa.ChunkedArray:
        rows = pl.DataFrame({"project": project, "seq": seq, "row": row, "id": key, "short": short})
        at = rows.select(["project", "id"] if table[0].as_py() in CATALOGUES else _AT)
        of = table[0].as_py(), column[0].as_py(), at.unique()
        read = reading()
        assert read is not None, "asked while it closes"
        if (pc.sum(sizes).as_py() or 0) > MOST_AT_ONCE:  # of all columns
            size = read(lambda h: _slices_of(h, *of, "sum(strlen(text))::BIGINT")).item()
            if (size or 0) > MOST_AT_ONCE:
                tally.end(number[0].as_py(), _TOO_MUCH)
        texts = read(lambda h: _joined(h, *of))
        whole = rows.join(texts, on=at.columns, how="left", maintain_order="left")
        return pa.table(whole.select(text=pl.coalesce("text", "short")).to_arrow())["text"].cast(pa.string())

    kinds: list[Any] = ["BIGINT", *["VARCHAR"] * 3, "BIGINT", "BIGINT", "VARCHAR", "BIGINT", "VARCHAR"]
    con.create_function(_WHOLE, joined, kinds, "VARCHAR", type=ARROW, null_handling=SPECIAL)


def _texts(table: str) -> list[str]:
    """Return the columns of texts, and of lists of texts."""
    return [f.name for f in WIRE[table] if pa.types.is_string(f.type) or pa.types.is_list(f.type)]


def _place(table: str, rows: pa.Table, i: int) -> tuple[Any, ...]:
    """Return project, seq, row and id of a row."""
    columns = ("project", CATALOGUES[table]) if table in CATALOGUES else ("project", "seq", "row")
    values = [rows[column][i].as_py() for column in columns]
    return (values[0], None, None, values[1]) if table in CATALOGUES else (*values, None)


def _put(column: pa.ChunkedArray, at: list[int], values: list[Any]) -> pa.ChunkedArray:
    """Return *column* with *values* at the places *at*."""
    new = pa.concat_arrays([*column.chunks, pa.array(values, column.type)])
    indices = list(range(len(column)))
    for nth, i in enumerate(at):
        indices[i] = len(column) + nth
    return pa.chunked_array([new.take(pa.array(indices))])


def _long(column: pa.ChunkedArray) -> list[int]:
    """Return the indices of the texts, or lists of texts, of *column* that have too many bytes."""
    if column.nbytes <= MOST:
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
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            return (_fitting(msgspec.json.decode(value), MOST) or b"{}").decode()
    return _start(value, MOST)


_encode = msgspec.json.Encoder().encode


def _start(text: str, most: int) -> str:
    """Return *text* in *most* bytes, where it is cut with how long it was."""
    end = mark(len(text))
    start = text[:most].encode()[: max(0, most - len(end.encode()))].decode(errors="ignore")
    return text if start == text else start + end


def _fitting(value: Any, most: int, depth: int = _DEEPEST) -> bytes | None:
    """Return *value* as JSON of at most *most* bytes, its longest parts cut; None where nothing of it has room.

    Raise RecursionError where it would have to look deeper than *depth*.
    """
    encoded = _encode(value)
    if len(encoded) <= most:
        return encoded
    if isinstance(value, str):
        return _string(value, most)
    if not isinstance(value, (dict, list)) or most < _LEAST:
        return None
    if not depth:
        raise RecursionError
    items = value.items() if isinstance(value, dict) else (("", v) for v in value)
    parts = [(_encode(k) + b":" if isinstance(value, dict) else b"", v) for k, v in items]
    sizes = [len(name) + len(_encode(v)) + 1 for name, v in parts]
    room, share, order = most - 2, _share(sizes, most - 2), list(range(len(parts)))
    if share < _LEAST:  # too many for each to have some: the shortest, of a list the first
        share = _MOST_OF_ONE
        if isinstance(value, dict):
            order.sort(key=sizes.__getitem__)
    kept: dict[int, bytes] = {}
    smallest = min(*sizes, _LEAST) - 1
    for i in order:
        if room < smallest:
            break
        name, v = parts[i]
        part = _fitting(v, min(share, room + 1) - len(name) - 1, depth - 1)
        if part is not None and len(name) + len(part) <= room:
            kept[i] = name + part
            room -= len(kept[i]) + 1
    opened, closed = (b"{", b"}") if isinstance(value, dict) else (b"[", b"]")
    return opened + b",".join(kept[i] for i in sorted(kept)) + closed


def _string(text: str, most: int) -> bytes | None:
    """Return *text* cut, as JSON of at most *most* bytes; None where that cannot say how long it was."""
    least = most - 2
    while least > 0:  # what is escaped takes more
        if len(encoded := _encode(_start(text, least))) <= most:
            return encoded
        least -= 1 + most // 8
    return None


def _share(sizes: list[int], room: int) -> int:
    """Return how much each may have so that all have *room*: who has less leaves the rest to the others."""
    for i, size in enumerate(sorted(sizes)):
        share = room // (len(sizes) - i)
        if size > share:
            return share
        room -= size
    return max(sizes)
