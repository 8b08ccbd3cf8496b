"""Personal data in records: where it stands, and samples without it.

Enter: task logs as `records.prepare` made them, and their cells. Leave: one row per record, key and kind. Whole
columns are narrowed down first, then distinct texts are judged one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import polars as pl

from collector.rules import personal, words

SCANNED = pl.Schema({"at": pl.UInt32, "key": pl.String, "kind": pl.String, "named": pl.Boolean})
"""`at`: row in the task logs. `key`: NULL for the message. `named`: the key says so, not the value."""
_Match = tuple[str | None, str, bool]


def scan(logs: pl.DataFrame, cells: pl.DataFrame) -> pl.DataFrame:
    """Return what personal data and secrets the task *logs* hold (`SCANNED`)."""
    rows = logs.select("body", "attributes").with_row_index("at")
    bodies = rows.select("at", text="body").drop_nulls()
    # Messages repeat, attributes hold ids and do not.
    telling = personal.suspects(bodies.select("text").unique(), "text")
    bodies = bodies.join(telling, on="text", how="semi") if telling.height else bodies.clear()
    attributes = rows.select("at", text="attributes").drop_nulls()
    suspects = personal.suspects(attributes, "text")
    named = _rows_with_personal_keys(cells)
    records = pl.concat([suspects, attributes.filter(pl.col("at").is_in(named.implode()))]).unique("at")
    return pl.concat([_judged(bodies, _in_body), _judged(records, _in_attributes)]).sort("at", "key", "kind")


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


def _in_body(text: str) -> list[_Match]:
    return [(None, kind, False) for kind in personal.kinds(text)]


def _in_attributes(text: str) -> list[_Match]:
    matches: list[_Match] = []
    for key, value in _chosen(text):
        kinds = {kind for leaf in _leaves(value) for kind in personal.kinds(leaf, key)}
        matches.extend((key, kind, False) for kind in sorted(kinds))
        if not kinds and (kind := personal.key_kind(key, value)):
            # A key that names a credential is as good as its form.
            matches.append((key, kind, kind != personal.SECRET))
    return matches


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


def redact_sample(value: Any, key: str = "") -> Any:
    """Return a sample, or what it has at *key*, with personal data and secrets replaced by the name of their kind."""
    if isinstance(value, dict):
        return {personal.redact(k): redact_sample(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [redact_sample(item, key) for item in value]
    if isinstance(value, str):
        hidden = personal.redact(value, key)
        kind = personal.key_kind(key, hidden) if hidden == value else None
        return f"[{kind}]" if kind else hidden
    return value
