"""Texts that are too long to stand in a row."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.journal import Entry
from collector.model.tables import RAW, WIRE
from collector.settings import Store
from collector.store import apply, confined, long_texts
from collector.store.database import Database
from collector.store.errors import QueryFailed

LIMIT = long_texts.MOST

letters = st.sampled_from(["a", "é", "漢", "😀", '"', "\\", "\n", "{"])
texts = st.builds(lambda some, times: "".join(some) * times, st.lists(letters, max_size=5), st.integers(0, 4_000))
values = st.recursive(
    texts
    | st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=20), inner, max_size=5),
    max_leaves=12,
)
few = st.dictionaries(st.text(max_size=20), values, max_size=8)
many = st.builds(
    lambda n, size, last: {**{f"key_{i}": "x" * size for i in range(n)}, "run_id": "r", "last": last},
    st.integers(1, 500),
    st.integers(0, 200),
    values,
)
objects = few | many


words = st.builds(lambda n, size: ["w" * size] * n, st.integers(0, 400), st.integers(0, 200))


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    """An open store."""
    with tempfile.TemporaryDirectory() as directory:
        opened = Database.open(Path(directory), Store(threads=1), on_fatal=lambda e: None)
        yield opened
        opened.close()


def table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows of a wire table, NULL where nothing is said."""
    return pa.Table.from_pylist(rows, WIRE[name])


def applied(database: Database, tables: dict[str, pa.Table]) -> int:
    """Store *tables* as the next group; return its number."""
    seq = apply.applied(database) + 1
    apply.apply(database, [Entry(seq=seq, received_ns=1, tables=tables)])
    return seq


@given(rows=st.lists(st.tuples(texts, objects, st.lists(texts, max_size=3) | words), min_size=1, max_size=2))
def test_no_text_of_a_row_is_long_and_whole_ones_are_as_they_came(
    database: Database, rows: list[tuple[str, dict[str, Any], list[str]]]
) -> None:
    """A row has no text, and no list of texts, beyond the bound; what was cut is counted, says how long it was, and can
    be had as it came; JSON that is cut is JSON of the same kind whose keys were there, and its short values stand."""
    sent = [
        {
            "project": "p",
            "trace_id": "t",
            "name": name,
            "attributes": json.dumps(o),
            "events": json.dumps([o]),
            "tags": t,
        }
        for name, o, t in rows
    ]
    seq = applied(database, {"spans": table("spans", sent)})

    def read(h: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
        stored = h.frame('SELECT * FROM spans WHERE seq = $seq ORDER BY "row"', {"seq": seq})
        return stored, long_texts.whole(h, "spans", stored)

    stored, whole = database.reading(read)
    for row, again, before in zip(stored.iter_rows(named=True), whole.iter_rows(named=True), sent, strict=True):
        long = [c for c in ("name", "attributes", "events") if len(str(before[c]).encode()) > LIMIT]
        assert {c for c in before if again[c] != before[c]} <= {"tags"}
        assert {c for c in before if row[c] != before[c]} <= {*long, "tags"}
        assert all(len(row[c].encode()) <= LIMIT for c in ("name", "attributes", "events"))
        assert sum(len(tag.encode()) for tag in row["tags"]) <= LIMIT
        assert (row["long_bytes"] or 0) >= sum(len(str(before[c]).encode()) for c in long)
        assert (row["long_bytes"] is None) == (row["long_hash"] is None) == (not long and row["tags"] == before["tags"])
        if "name" in long:
            start, end = row["name"].rsplit("…", 1)
            assert before["name"].startswith(start)
            assert end == f" ({len(before['name']):,} characters)"
        kept, was = json.loads(row["attributes"]), json.loads(before["attributes"])
        assert kept.keys() <= was.keys()
        assert all(kept[k] == v for k, v in was.items() if len(json.dumps({k: v})) * (len(was) + 1) < LIMIT)
        assert isinstance(json.loads(row["events"]), list)


def test_one_long_value_leaves_the_others_their_room(database: Database) -> None:
    """However long one value of an object is, the others stand whole, and as much of it as has room, however deep."""
    others = {f"key_{i}": i for i in range(100)}
    long = {"before": 1, "prompt": [{"text": "long " * 100_000, "role": "user"}], **others}
    seq = applied(database, {"logs": table("logs", [{"project": "p", "body": "x", "attributes": json.dumps(long)}])})
    row = database.reading(lambda h: h.rows("SELECT attributes, long_bytes FROM logs WHERE seq = $s", {"s": seq}))[0]
    kept = json.loads(row[0])
    assert {k: v for k, v in kept.items() if k != "prompt"} == {"before": 1, **others}
    assert kept["prompt"][0]["role"] == "user"
    assert len(kept["prompt"][0]["text"]) > LIMIT // 2
    assert row[1] == len(json.dumps(long))


def test_of_too_many_values_the_shortest_stand_of_lists_the_first(database: Database) -> None:
    """Where values are too many for each to have some room, the shortest of an object stand, wherever they are, and the
    first of a list, whole but for the last of them; what nests too deep to be looked through is cut as text is."""
    wide = {**{f"key_{i}": "x" * 100 for i in range(300)}, "run_id": "run", "ok": True}
    bodies = [json.dumps(wide), json.dumps([{"n": i, "text": "y" * 100} for i in range(400)]), "[" * 900 + "]" * 20_000]
    seq = applied(database, {"logs": table("logs", [{"project": "p", "body": body} for body in bodies])})
    ask = "SELECT body FROM logs WHERE seq = $seq ORDER BY row"
    of_wide, of_list, of_deep = (body for (body,) in database.reading(lambda h: h.rows(ask, {"seq": seq})))
    kept = json.loads(of_wide)
    first = [k for k in kept if k.startswith("key_")][:-1]
    assert (kept["run_id"], kept["ok"]) == ("run", True)
    assert {k: kept[k] for k in first} == {f"key_{i}": "x" * 100 for i in range(len(first))}
    items = json.loads(of_list)[:-1]
    assert items == json.loads(bodies[1])[: len(items)]
    assert min(len(of_wide), len(of_list)) > LIMIT - 200
    assert of_deep == bodies[2][: len(of_deep.split("…")[0])] + "… (20,900 characters)"


def test_a_row_of_a_catalogue_has_its_texts_once(database: Database) -> None:
    """However often a resource comes, in one group or in several, its long text is there once and whole."""
    said = json.dumps({"key": "v" * 3 * LIMIT, "service.name": "mail"})
    row = {"project": "p", "resource_id": "r", "service_name": "mail", "attributes": said}
    for _ in range(3):
        applied(database, {"resources": table("resources", [row, row])})
    ask = "SELECT count(*), any_value(attributes), any_value(long_bytes) FROM resources WHERE resource_id = 'r'"
    n, kept, size = database.reading(lambda h: h.rows(ask))[0]
    assert (n, size) == (1, len(said))
    assert json.loads(kept)["service.name"] == "mail"
    ask = "SELECT string_agg(text, '' ORDER BY part) FROM long_texts WHERE id = 'r' AND column_name = 'attributes'"
    assert database.reading(lambda h: h.value(ask)) == said


def test_rows_that_differ_only_in_what_is_cut_are_told_apart(database: Database) -> None:
    """Two records that read alike in their rows have two hashes where their texts differ, one where they do not."""
    bodies = [LIMIT * "a" + end for end in ("b", "c", "b")]
    seq = applied(database, {"logs": table("logs", [{"project": "p", "body": body} for body in bodies])})
    rows = database.reading(
        lambda h: h.rows('SELECT body, long_hash FROM logs WHERE seq = $s ORDER BY "row"', {"s": seq})
    )
    assert rows[0] == rows[2]
    assert rows[0][0] == rows[1][0]
    assert rows[0][1] != rows[1][1]


def test_questions_in_sql_get_every_text_as_it_came(database: Database) -> None:
    """Whatever its length, SQL answers a text as it was sent, of records and of catalogues, filters by it, and takes
    parts of its JSON; what would read too much of them at once ends with a sentence that says what to do."""
    bodies = ["short", "b" * (LIMIT + 1), "c" * 3 * LIMIT + "end"] * 3
    said = json.dumps({"key": "v" * 2 * LIMIT, "last": 1})
    logs = [{"project": "q", "resource_id": "q", "body": body, "attributes": said} for body in bodies]
    resources = [{"project": p, "resource_id": "q", "attributes": said} for p in ("q", "another")]
    applied(database, {"logs": table("logs", logs), "resources": table("resources", resources)})

    def ask(sql: str) -> list[tuple[Any, ...]]:
        answer = confined.select(database, sql, project="q", limits=Store()).table
        return [tuple(row.values()) for row in answer.to_pylist()]

    assert ask("SELECT body FROM logs ORDER BY row") == [(body,) for body in bodies]
    assert ask("SELECT DISTINCT l.attributes, r.attributes FROM logs l JOIN resources r USING (resource_id)") == [
        (said, said)
    ]
    assert ask("SELECT count(*) FROM logs WHERE body LIKE '%end'") == [(3,)]
    assert ask("SELECT DISTINCT attributes->>'last' FROM logs") == [("1",)]
    short = table(
        "logs", [{"project": "q", "body": "1" * (LIMIT + 1), "attributes": json.dumps({"k": "v" * 2**20})}] * 40
    )
    applied(database, {"logs": short})
    assert ask("SELECT DISTINCT strlen(body) FROM logs WHERE body LIKE '1%'") == [(LIMIT + 1,)]
    many = [{"project": "q", "body": "m" * 2**20}] * (long_texts.MOST_AT_ONCE // 2**20 + 1)
    applied(database, {"logs": table("logs", many)})
    assert ask("SELECT count(*), sum(long_bytes) > 2**25 FROM logs") == [(len(bodies) + 40 + len(many), True)]
    assert ask("SELECT left(body, 2) FROM logs ORDER BY seq DESC, row LIMIT 2") == [("mm",)] * 2
    with pytest.raises(QueryFailed, match="more than 32 MiB together; ask for fewer rows"):
        ask("SELECT body FROM logs WHERE body LIKE 'm%'")


def test_every_table_of_records_says_what_it_has_cut() -> None:
    """Each raw table but that of long texts has a column that says how much was cut, and none of them is sent."""
    assert {name for name, schema in RAW.items() if "long_bytes" in schema.names} == set(WIRE)
    assert not any("long_bytes" in schema.names for schema in WIRE.values())
