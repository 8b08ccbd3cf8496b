"""Which functions analysts' SQL may call: those that are listed, wherever a function can stand."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest

from collector.model.errors import BadInput
from collector.settings import Store
from collector.store import ddl, extent, functions, parser
from collector.store.database import Database
from collector.store.scope import Relation

TABLES = {"runs": Relation(width=5, tables=1)}
CALLS = [
    "select {f}()",
    "select {f}(1)",
    "select {F}(1)",
    'select "{F}"(1, 2)',
    "select 'a'.{f}()",
    "select main.{f}(1)",
    "select system.main.{f}(1)",
    "select pg_catalog.{f}(1)",
    "select x.{f}(1) from runs x",
    "select {f}(*) from runs",
    "select {f}(columns(*)) from runs",
    "select columns(c -> {f}(c)) from runs",
    "select * replace ({f}(1) as run_id) from runs",
    "select 1 from runs where {f}(1)",
    "select 1 from runs group by {f}(1)",
    "select 1 from runs group by all having {f}(1)",
    "select 1 from runs qualify {f}(1)",
    "select 1 from runs order by {f}(1)",
    "select 1 from runs limit {f}(1)",
    "select 1 from runs offset {f}(1)",
    "select distinct on ({f}(1)) 1 from runs",
    "select 1 from runs a join runs b on {f}(1)",
    "select 1 from runs, lateral (select {f}(1))",
    "select 1 from (values ({f}(1)))",
    "select 1 from range({f}(1))",
    "select (select {f}(1))",
    "select 1 where exists (select {f}(1))",
    "select 1 in (select {f}(1))",
    "select {f}(1) in (1)",
    "select array(select {f}(1))",
    "with x as (select {f}(1)) select 1",
    "with recursive x as (select 1 as n union all select {f}(n) from x) select 1 from x",
    "select 1 union select {f}(1)",
    "select list_transform([1], lambda x: {f}(x))",
    "select list_filter([1], x -> {f}(x))",
    "select [{f}(x) for x in [1] if {f}(x)]",
    "select sum({f}(1)) from runs",
    "select count(*) filter ({f}(1)) from runs",
    "select list(1 order by {f}(1)) from runs",
    "select sum(1) over (partition by {f}(1)) from runs",
    "select sum(1) over (order by {f}(1)) from runs",
    "select sum(1) over (order by 1 rows {f}(1) preceding) from runs",
    "select sum(1) over w from runs window w as (order by {f}(1))",
    "select {f}(1) over () from runs",
    "select lag(1, 1, {f}(1)) over () from runs",
    "select case when {f}(1) then 1 end",
    "select case 1 when 1 then {f}(1) else {f}(2) end",
    "select {f}(1)::varchar",
    "select try({f}(1))",
    "select {f}(1) between 1 and 2",
    "select not {f}(1) and 1 = {f}(1)",
    "select [{f}(1)][{f}(1)]",
    "select {{'a': {f}(1)}}.a",
    "select '[1]'::json -> {f}(1)",
    "select {f}(1) is null, coalesce(1, {f}(1))",
    "select 'a' collate nocase = {f}(1)",
    "from runs pivot ({f}(1) for run_id in ('a'))",
    "from runs pivot (count(*) for ({f}(run_id)) in ('a'))",
    "select 1 from runs using sample 1 rows where {f}(1)",
    "select list_aggregate([1], '{f}')",
]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, set[str]]]:
    """Return the names of all functions that a store's connection knows, by type."""
    database = Database.open(tmp_path_factory.mktemp("functions"), Store())
    rows = database.reading(lambda h: h.rows("SELECT DISTINCT function_type, function_name FROM duckdb_functions()"))
    names: dict[str, set[str]] = {}
    for kind, name in rows:
        names.setdefault(kind, set()).add(name.lower())
    yield names
    database.close()


def refuses(sql: str) -> bool:
    """Tell whether a statement is refused before it is planned."""
    try:
        extent.require(parser.tree(sql), TABLES)
    except BadInput as e:
        assert str(e) == " ".join(str(e).split())[:300], sql  # one sentence
        return True
    return False


def test_no_function_outside_the_list_passes_anywhere(known: dict[str, set[str]]) -> None:
    """Each function of the installed DuckDB, and each macro of ours, that is not listed is refused in every place
    where a function can stand, however it is written.
    """
    everything = set(chain.from_iterable(known.values())) | {name.partition("(")[0] for name in ddl.MACROS}
    listed = functions.ALL | functions.TABLES | functions.WINDOWS
    names = sorted(name for name in everything - listed if name.replace("_", "").isalnum())
    assert len(names) > 500
    assert {"current_setting", "stats", "txid_current", "query", "counted_population", "read_text"} <= set(names)
    # Every name in one place each, and some names in all places: a place never looks at the name.
    for i, name in enumerate(names):
        places = CALLS if i % 40 == 0 else [CALLS[i % len(CALLS)], CALLS[1]]
        for place in places:
            sql = place.format(f=f'"{name}"' if name in ("if", "user") else name, F=name.upper())
            try:
                parser.tree(sql)
            except Exception:
                continue
            assert refuses(sql), sql


def test_listed_functions_are_read() -> None:
    """Each listed name that is a word is read as a call of that name, but for those that are grammar."""
    names = {n for n in functions.ALL if n.replace("_", "").isalnum()} - {"if", "ifnull", "coalesce", "nullif"}
    tree = parser.tree("select " + ", ".join(f'"{n}"(1)' for n in sorted(names)))
    called = {name for name in _values(tree, "function_name") if name}
    assert len(called) > 400
    assert called <= functions.ALL


def _values(tree: object, key: str) -> Iterator[str]:
    if isinstance(tree, dict):
        yield from [str(tree[key])] if key in tree else []
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _values(child, key)


def test_every_place_is_looked_at() -> None:
    """In each of these places a listed function passes, so that it is the name that is refused."""
    for place in CALLS:
        assert refuses(place.format(f="getenv", F="GETENV")), place
    passing = [place for place in CALLS if not refuses(place.format(f="abs", F="ABS"))]
    assert len(passing) > 45


def test_no_table_function_outside_the_list_passes(known: dict[str, set[str]]) -> None:
    """In FROM, by call, with a schema, behind a comma and in LATERAL, only the listed table functions pass."""
    names = {name for kind in ("table", "table_macro", "pragma", "scalar", "macro") for name in known[kind]}
    ours = {name.partition("(")[0] for name, sql in ddl.MACROS.items() if sql.startswith("TABLE")}
    places = ['from "{f}"(1)', 'from main."{f}"(1)', 'from runs, lateral (from "{f}"(run_id))']
    for i, name in enumerate(sorted((names | ours) - functions.TABLES)):
        if name.replace("_", "").isalnum():
            assert refuses(places[i % 3].format(f=name)), name


def test_operators_are_functions(known: dict[str, set[str]]) -> None:
    """Each operator of DuckDB either is listed or is refused; none has a spelling that is not looked at."""
    operators = {n for n in known["scalar"] if not n.replace("_", "").replace(" ", "").isalnum()}
    assert {"||", "+", "->>", "~~"} <= operators
    assert operators - functions.ALL <= {"~~~~", "is distinct from", "is not distinct from"} | {
        n for n in operators if n.startswith("__")
    }


@pytest.mark.parametrize("name", sorted(functions.SERVER))
def test_names_that_sql_reads_as_functions_are_refused(name: str) -> None:
    """What tells of the server is refused also without brackets, and whatever its case."""
    assert refuses(f"select {name}")
    assert refuses(f"select upper({name.upper()}) from runs")


def test_what_is_listed_is_there(known: dict[str, set[str]]) -> None:
    """Each listed function is one of the installed DuckDB or of ours: a name that is gone is taken off the list."""
    everything = set(chain.from_iterable(known.values())) | {name.partition("(")[0] for name in ddl.MACROS}
    spelled_otherwise = {
        "->",
        "coalesce",
        "current_date",
        "current_localtime",
        "current_localtimestamp",
        "ifnull",
        "row",
    }
    assert (functions.ALL | functions.WINDOWS | functions.TABLES) - everything <= spelled_otherwise | {"!", "json"}
