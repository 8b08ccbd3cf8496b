"""What columns mean: said of every one, in its own words, and true of the keys."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from collector.jobs.hourly import CONTRIBUTIONS
from collector.model.tables import LAYERS, PUBLIC
from collector.settings import Settings
from collector.store import meanings
from tests.store.kept import VERSIONS, Opened, newest
from tests.vectors.stores.make import unpack

TABLES = {t["name"]: t for t in meanings.tables()}
SECTIONS = {name: getattr(f.annotation, "model_fields", None) for name, f in Settings.model_fields.items()}
NAMES = {
    name: {*(PUBLIC[name].names if name in PUBLIC else ()), *(SECTIONS.get(name) or ())}
    for name in (*PUBLIC, *(section for section, fields in SECTIONS.items() if fields))
}
"""Table or section of the settings → its columns or settings; `runs` is both."""
UNITS = {"_ns": r"\bns\b|OTLP", "_ms": r"\bms\b", "_cents": r"\bcents\b", "_nanocents": r"\bbillionths of a cent\b"}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """Open a store with runs of many kinds, and what all jobs make of them."""
    opened = Opened(unpack(VERSIONS[-1], tmp_path_factory.mktemp("meanings") / "data"))
    opened.rest(newest())
    yield opened
    opened.close()


def test_every_public_table_and_column_is_told() -> None:
    """SQL's tables are those that are told, with their columns in order; a row has a sentence of its own."""
    assert {name: [c["name"] for c in t["columns"]] for name, t in TABLES.items()} == {
        name: schema.names for name, schema in PUBLIC.items()
    }
    assert all(re.fullmatch(r"[A-Z][^\n]{20,}\.", t["row"]) for t in TABLES.values())
    assert len({t["row"] for t in TABLES.values()}) == len(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_a_meaning_is_a_sentence_that_says_more_than_the_name(name: str) -> None:
    """It has words that the name has not, its unit, and names no column or setting that is not there."""
    for column, meaning in ((c["name"], c["meaning"]) for c in TABLES[name]["columns"]):
        assert re.fullmatch(r"[A-Z`][^\n|]+\.", meaning), column
        words = {w.lower() for w in re.findall(r"\w+", meaning)}
        assert len(words - set(column.split("_")) - {"the", "of", "a", "run", "id"}) >= 3, column
        assert all(re.search(unit, meaning) for suffix, unit in UNITS.items() if column.endswith(suffix)), column
        for table, what in re.findall(r"`(\w+)\.(\w+)`", meaning):
            assert what in NAMES.get(table, {what}), f"{table}.{what}"


@pytest.mark.parametrize("name", TABLES)
def test_the_key_tells_rows_apart(filled: Opened, name: str) -> None:
    """In a store with runs of many kinds, no two rows of a table with a key have the same one."""
    key = TABLES[name]["key"]
    assert set(key) <= set(PUBLIC[name].names)
    rows = filled.table(name)
    assert rows.height or name in ("metric_points", "queue_limits", "long_texts")
    if key:
        assert rows.height == rows.select(key).unique().height


def test_sums_are_kept_by_the_key() -> None:
    """What the hourly jobs add up by is what the schema calls the key."""
    for contributions in CONTRIBUTIONS.values():
        for contribution in contributions:
            assert tuple(contribution.keys) == LAYERS["analytics"][contribution.table].key
