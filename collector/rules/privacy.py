"""Personal data in records: where it stands, and samples without it.

Enter: task logs as `records.prepare` made them, and their cells. Leave: one row per record, key and kind. Whole
columns are narrowed down first, then distinct texts are judged one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import polars as pl

from collector import personal
from collector.rules import words

SCANNED = pl.Schema({"at": pl.UInt32, "key": pl.String, "kind": pl.String, "named": pl.Boolean, "country": pl.String})
"""`at`: row in the task logs. `key`: NULL for the message. `named`: the key says so, not the value. `country`: of a
phone number that is one only as dialled there."""
_Match = tuple[str | None, str, bool, str | None]


def suspects(frame: pl.DataFrame, column: str, countries: tuple[str, ...] = ()) -> pl.DataFrame:
    """Return the rows whose text in *column* may hold something: all that `personal.kinds` would find, few others."""
    text = pl.col(column)
    also = f"|{personal.NATIONAL}" if countries else ""
    marked = frame.filter(text.str.contains(personal.TRACE_OR_CARD + also))
    return marked.filter(text.str.contains(f"{personal.TRACE}|{personal.CARD_DIGITS}{also}"))


def scan(logs: pl.DataFrame, cells: pl.DataFrame, countries: tuple[str, ...] = ()) -> pl.DataFrame:
    """Return what personal data and secrets the task *logs* hold (`SCANNED`); *countries*: as `personal.kinds`."""
    rows = logs.select("body", "attributes").with_row_index("at")
    bodies = rows.select("at", text="body").drop_nulls()
    # Messages repeat, attributes hold ids and do not.
    telling = suspects(bodies.select("text").unique(), "text", countries)
    bodies = bodies.join(telling, on="text", how="semi") if telling.height else bodies.clear()
    attributes = rows.select("at", text="attributes").drop_nulls()
    marked = suspects(attributes, "text", countries)
    named = _rows_with_personal_keys(cells)
    records = pl.concat([marked, attributes.filter(pl.col("at").is_in(named.implode()))]).unique("at")
    in_body, in_attributes = partial(_in_body, countries=countries), partial(_in_attributes, countries=countries)
    found = pl.concat([_judged(bodies, in_body), _judged(records, in_attributes)])
    return found.unique().sort("at", "key", "kind", "country")


def _rows_with_personal_keys(cells: pl.DataFrame) -> pl.Series:
    """Return the rows of records whose key set has a key that names personal data."""
    keys = cells.select(key=pl.concat_list("names", "nested")).explode("key").drop_nulls().unique()["key"].to_list()
    telling = [key for key in keys if personal.names_personal_data(key)]
    has = (
        pl.col("names").list.set_intersection(telling).list.len()
        + pl.col("nested").list.set_intersection(telling).list.len()
    )
    return cells.filter(has > 0).select(pl.col("rows").explode())["rows"].drop_nulls()


def _judged(texts: pl.DataFrame, judge: Callable[[str], list[_Match]]) -> pl.DataFrame:
    distinct = texts["text"].unique().to_list()
    matches = [(text, *match) for text in distinct for match in judge(text)]
    judged = pl.DataFrame(
        matches, schema={"text": pl.String, **{k: v for k, v in SCANNED.items() if k != "at"}}, orient="row"
    )
    return texts.join(judged, on="text").select(pl.col(name).cast(kind) for name, kind in SCANNED.items())


def _in_body(text: str, countries: tuple[str, ...]) -> list[_Match]:
    return [(None, kind, False, country) for kind, country in _in_text(text, "", countries)]


def _in_attributes(text: str, countries: tuple[str, ...]) -> list[_Match]:
    matches: list[_Match] = []
    for key, value in _chosen(text):
        found = {one for leaf in _leaves(value) for one in _in_text(leaf, key, countries)}
        matches.extend((key, kind, False, country) for kind, country in found)
        if not any(country is None for _, country in found) and (kind := personal.key_kind(key, value)):
            # A key that names a credential is as good as its form.
            matches.append((key, kind, kind != personal.SECRET, None))
    return matches


def _in_text(text: str, about: str, countries: tuple[str, ...]) -> list[tuple[str, str | None]]:
    """Return the kinds that *text* holds, and with its country what only that makes one."""
    plainly = personal.kinds(text, about)
    only = ((kind, country) for country in countries for kind in personal.kinds(text, about, (country,)))
    return [*((kind, None) for kind in plainly), *((kind, country) for kind, country in only if kind not in plainly)]


def _chosen(text: str) -> Iterator[tuple[str, Any]]:
    try:
        attributes = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return
    if isinstance(attributes, dict):
        for key, value in attributes.items():
            if words.chosen_name(key) is not None and not words.conventional(key):
                yield words.SUFFIX.sub("", key), value


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)


def redact_sample(value: Any, key: str = "", countries: tuple[str, ...] = ()) -> Any:
    """Return a sample, or what it has at *key*, with personal data and secrets replaced by the name of their kind."""
    if isinstance(value, dict):
        return {personal.redact(k, "", countries): redact_sample(v, k, countries) for k, v in value.items()}
    if isinstance(value, list):
        return [redact_sample(item, key, countries) for item in value]
    hidden = personal.redact(value, key, countries) if isinstance(value, str) else value
    kind = personal.key_kind(key, hidden) if hidden == value else None
    return f"[{kind}]" if kind else hidden
