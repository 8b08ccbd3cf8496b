"""`runwell sql --format`: the forms that rows come in."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.cli.sql import Format, write
from collector.model.errors import UsageError
from collector.model.shown import HIDDEN, codes, json_text

FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001
TABLE = pa.table(
    {
        "run_id": ["run_1", None],
        "n": pa.array([1, 2], pa.int64()),
        "at": pa.array([datetime(2026, 11, 23, 8, tzinfo=UTC), None], pa.timestamp("us")),
        "tags": [["a", "b"], []],
        "share": [0.5, float("nan")],
    }
)


def cells(table: pa.Table) -> list[list[str]]:
    """Return what a CSV reader sees."""
    return list(csv.reader(io.StringIO(write(table, "csv").decode(), newline="")))


def test_json_is_a_list_of_objects() -> None:
    """One object a row, times in UTC, what JSON cannot hold null; no rows are an empty list."""
    assert json.loads(write(TABLE, "json")) == [
        {"run_id": "run_1", "n": 1, "at": "2026-11-23T08:00:00.000000Z", "tags": ["a", "b"], "share": 0.5},
        {"run_id": None, "n": 2, "at": None, "tags": [], "share": None},
    ]
    assert json.loads(write(TABLE.slice(0, 0), "json")) == []


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_arrow_and_parquet_keep_types(form: Format) -> None:
    """The binary forms hold the same rows and types."""
    written = io.BytesIO(write(TABLE, form))
    frame = pl.read_ipc_stream(written) if form == "arrow" else pl.read_parquet(written)
    assert frame.equals(pl.DataFrame(TABLE), null_equal=True)
    assert frame.schema == pl.DataFrame(TABLE).schema


def test_csv_has_a_header_and_flat_cells() -> None:
    """Lists are joined by |, other nested values and bytes are JSON, NULL is empty."""
    table = pa.table({"tags": [["a", "b"]], "none": pa.array([None], pa.string()), "map": [{"k": [1]}], "raw": [b"\1"]})
    assert cells(table) == [["tags", "none", "map", "raw"], ["a|b", "", '{"k":[1]}', '"AQ=="']]


@given(
    st.lists(
        st.text(
            st.characters(
                exclude_categories=["Cs"],
            ),
            max_size=8,
        ),
        min_size=1,
    )
)
def test_no_cell_of_text_is_a_formula(texts: list[str]) -> None:
    """Text that begins as formulas do gets an apostrophe in front, what is hidden is a code, the rest is as it was."""
    _, *rows = cells(pa.table({"text": texts, "n": [-1] * len(texts)}))
    for (cell, number), text in zip(rows, texts, strict=True):
        mark = "'" if text[:1] in FORMULA else ""
        plain = text.replace("\r\n", "\n")
        assert cell == mark + "".join(c if c == "\n" else codes(c) for c in plain)
        assert number == "-1"


@given(st.recursive(st.text(st.characters(exclude_categories=["Cs"])), lambda v: st.dictionaries(st.text(), v)))
def test_json_shows_nothing_hidden_and_keeps_its_value(value: object) -> None:
    """JSON for a terminal has hidden characters as its own escapes, and reads as before."""
    made = json_text(json.dumps(value, ensure_ascii=False, indent=1))
    assert not HIDDEN.search(made.replace("\n", ""))
    assert json.loads(made) == json.loads(json.dumps(value))


def test_names_of_columns_are_cells() -> None:
    """A PIVOT makes names of columns of values: they are marked as these are."""
    assert cells(pa.table({"=1+1": ["a"], "b\x1b": [1]})) == [["'=1+1", "b<U+001B>"], ["a", "1"]]


def test_lists_and_categories_are_no_formula_either() -> None:
    """What becomes text on the way is guarded as well."""
    table = pa.table({"tags": [["=1+1"]], "kind": pa.array(["@x"]).dictionary_encode()})
    assert cells(table)[1] == ["'=1+1", "'@x"]


@pytest.mark.parametrize("form", ["csv", "table"])
@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.date32()])
def test_dates_that_text_cannot_hold_are_refused_with_a_sentence(form: Format, kind: pa.DataType) -> None:
    """A time beyond year 9999 is told with its column and the way out, one of today is written."""
    whole = pa.int32() if kind == pa.date32() else pa.int64()
    last = 2**31 - 1 if kind == pa.date32() else 2**62
    with pytest.raises(UsageError, match=r"in at is outside.*VARCHAR"):
        write(pa.table({"at": pa.array([None, last], whole).cast(kind)}), form)
    assert b"1970" in write(pa.table({"at": pa.array([None, 1], whole).cast(kind)}), form)


def test_a_table_for_people_counts_its_rows_and_cannot_steer_the_terminal() -> None:
    """Control characters and bidirectional marks in telemetry are shown as their codes."""
    text = write(pa.table({"body": ["a\x1b[31mred\u202eback\x07"]}), "table").decode()
    assert "1 rows" in text
    assert not set(text) & {"\x1b", "\u202e", "\x07"}
    assert "a<U+001B>[31mred<U+202E>back<U+0007>" in text
