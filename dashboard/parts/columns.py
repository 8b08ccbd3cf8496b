"""Columns of a table by the titles that people read: each is an expression over the rows, and how it is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from dashboard.parts.text import percent, visible


class Column(NamedTuple):
    """A column: *value* of a row, and Streamlit's configuration of it."""

    value: pl.Expr
    drawn: Any


Columns = Mapping[str, Column]


def select(rows: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    """Return the values of *columns* of *rows*, by title."""
    return rows.select(c.value.alias(title) for title, c in columns.items())


def configuration(columns: Columns) -> dict[str, Any]:
    """Return how *columns* are drawn, by title."""
    return {title: c.drawn for title, c in columns.items()}


def text(name: str) -> pl.Expr:
    """Return a sender's text with nothing hidden in it."""
    return pl.col(name).map_elements(visible, return_dtype=pl.String)


def seconds(name: str) -> pl.Expr:
    """Return nanoseconds as seconds."""
    return pl.col(name) / 1e9


def moment(name: str) -> pl.Expr:
    """Return nanoseconds since 1970 as a time."""
    return (pl.col(name) // 1_000_000).cast(pl.Datetime("ms"))


def interval(low: str, high: str) -> pl.Expr:
    """Return an interval of shares in words, nothing where it is not known."""

    def words(r: dict[str, float | None]) -> str | None:
        return None if r[low] is None or r[high] is None else f"{100 * r[low]:.1f} to {percent(r[high])}"  # type: ignore[operator]

    return pl.struct(low, high).map_elements(words, return_dtype=pl.String)
