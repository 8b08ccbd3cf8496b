"""Analysts' SQL: one SELECT over one project's public tables, and nothing else whatever it is called."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.model.errors import BadInput, Refused
from collector.model.tables import PUBLIC
from collector.settings import Store
from collector.store import confined, ddl
from collector.store.database import Database
from collector.store.errors import QueryFailed
from tests.inprocess import Pipeline, later, recorded
from tests.length import examples
from tests.store.test_store import LOCKED

OWN, OTHER = "mine", "some'one"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Open a store in which two projects have runs."""
    with Pipeline(tmp_path_factory.mktemp("confined") / "data") as p:
        for project, name in ((OWN, "long-wait"), (OTHER, "http-proto")):
            requests = recorded(name)
            p.group(requests, later(requests), project=project)
        p.apply()
        p.tick(later(requests))
        yield p.database


def ask(database: Database, sql: str, limits: Store | None = None, project: str = OWN) -> pa.Table:
    """Return the rows that *project* gets."""
    return confined.select(database, sql, project=project, limits=limits or Store()).table


@pytest.mark.parametrize("table", PUBLIC)
def test_each_project_sees_its_own_rows_in_every_public_table(database: Database, table: str) -> None:
    """The same statement gives each project its rows, both together are all rows, and nobody else sees any."""
    counts = {p: ask(database, f"SELECT count(*) AS n FROM {table}", project=p)["n"][0].as_py() for p in (OWN, OTHER)}
    owners = set(ask(database, f"SELECT DISTINCT project FROM {table}")["project"].to_pylist())
    assert owners == ({OWN} if counts[OWN] else set())
    whole = database.reading(lambda h: h.value(f"SELECT count(*) FROM {table}"))
    assert sum(counts.values()) == whole
    assert ask(database, f"SELECT * FROM {table}", project="nobody").num_rows == 0


def test_public_tables_have_their_public_columns(database: Database) -> None:
    """A view has the columns that docs/schema.md lists, in that order, and no private one."""
    for name, schema in PUBLIC.items():
        assert ask(database, f"FROM {name} LIMIT 1").schema.names == schema.names


USEFUL = [
    "FROM runs",
    "select * from runs r join attempts a using (run_key) order by a.number",
    "with x as (select 1 as a), y as (select a + 1 as b from x) select * from y",
    "with recursive t as (select 1 as n union all select n + 1 from t where n < 5) select * from t",
    "with runs as (select * from runs where status = 'completed') select count(*) from runs",
    "select * from (values (1), (2)) v(i)",
    "select status, count(*) from Runs group by all having count(*) > 0 order by all",
    "from runs pivot (count(*) for status in ('completed', 'failed'))",
    "select unnest(tags) from runs",
    "select json_extract_string(attributes, '$.k') from logs limit 3",
    "select r.run_id from runs r, lateral (select * from attempts a where a.run_key = r.run_key) x",
    "select * from runs positional join attempts",
    "select * from runs asof join attempts on runs.run_key = attempts.run_key and runs.ended_ns >= attempts.ended_ns",
    "select columns('.*_ns') from runs",
    "select 1; -- one statement with its end",
    "select 1 as a, interval 1 day as a; -- both",
    "select *, row_number() over (order by run_id) as i from runs qualify i < 3",
    "select * from runs union all by name select * from runs",
    "select * from range(3), generate_series(1, 2) g(i)",
    "unpivot (select 1 as a, 2 as b) on a, b",
]


@pytest.mark.parametrize("sql", USEFUL)
def test_what_analysts_write_works(database: Database, sql: str) -> None:
    """Confinement costs none of DuckDB's SELECT: joins, windows, pivots, recursion, short forms."""
    assert ask(database, sql).num_columns > 0


PRIVATE = sorted(set(ddl.TABLES) - set(PUBLIC))
SYSTEM = ["duckdb_tables", "duckdb_settings", "duckdb_columns", "sqlite_master", "pg_tables", "pg_class", "tables"]
ROUTES = [
    "select * from {t}",
    'select * from "{t}"',
    "from {t}",
    "table {t}",
    "select * from main.{t}",
    "select * from runwell.{t}",
    "select * from runwell.main.{t}",
    "select * from temp.{t}",
    "select * from information_schema.{t}",
    "select * from pg_catalog.{t}",
    "select * from system.main.{t}",
    "select * from {t}()",
    "select (select count(*) from {t})",
    "select 1 where exists (from {t})",
    "select * from runs where run_id in (select 'a' from {t})",
    "select * from runs order by (select count(*) from {t})",
    "select * from runs limit (select count(*) from {t})",
    "select count(*) filter (exists (from {t})) from runs",
    "select array(select 1 from {t})",
    "select * from runs, {t}",
    "select * from runs, lateral (select * from {t})",
    "select * from runs positional join {t}",
    "select * from runs natural join {t}",
    "select * from runs semi join {t} on true",
    "select * from runs asof join {t} on runs.started_ns >= {t}.seq",
    "select * from (select 1 union all select 1 from {t})",
    "select 1 except select 1 from {t}",
    "with x as (select * from {t}) select * from x",
    "with x as materialized (select * from {t}) select * from x",
    "with {t} as (select * from {t}) select * from {t}",
    "with recursive {t} as (select * from {t}) select * from {t}",
    "with a as (select 1), {t} as (select * from {t}) select * from {t}",
    "with recursive x as (select 1 as n union all select n + 1 from x, {t} where n < 3) select * from x",
    "select * from (with {t} as (select 1) select * from {t}), {t}",
    'with "{T}" as (select * from {t}) select * from "{T}"',
    "select * from {t} as runs",
    "select * from {t} tablesample 10%",
    "select * from {t} at (version => 1)",
    "select * from (unpivot {t} on columns(*))",
    "select * from (pivot {t} on seq in (1))",
    "pivot {t} on seq",
    "describe {t}",
    "summarize {t}",
    "select * from (describe {t})",
    "select * from (summarize {t})",
    "select * from query('select * from {t}')",
    "select * from query_table('{t}')",
    "select * from query_table(['{t}'])",
    "select * from seq_scan('{t}')",
    "select * from pragma_table_info('{t}')",
    "select * from pragma_storage_info('{t}')",
    "select * from json_execute_serialized_sql(json_serialize_sql('select * from {t}'))",
    "explain analyze select * from {t}",
    "/* runs */ select * from /**/ {t} -- runs",
]


@pytest.mark.parametrize("route", ROUTES)
def test_no_route_leads_to_private_or_system_tables(database: Database, route: str) -> None:
    """Whatever stands around its name, a table that is not public cannot be read."""
    for table in (*PRIVATE, *SYSTEM):
        with pytest.raises(Refused):
            ask(database, route.format(t=table, T=table.upper()))


@pytest.mark.parametrize("table", ["runs", "logs"])
@pytest.mark.parametrize("schema", ["main", "runwell", "runwell.main", '"runwell"."main"', "RUNWELL.MAIN"])
def test_public_tables_are_reached_through_their_view_alone(database: Database, schema: str, table: str) -> None:
    """The table behind a view, with everybody's rows, has a qualified name, and qualified names are refused."""
    for sql in (f"select * from {schema}.{table}", f"with x as (from {schema}.{table}) from x"):
        with pytest.raises(BadInput, match="no table"):
            ask(database, sql)


NOT_ONE_SELECT = [
    "",
    ";",
    "-- nothing",
    "select 1; select 2",
    "select 1; drop table runs",
    "begin",
    "commit",
    "set threads = 1",
    "pragma database_list",
    "pragma table_info('runs')",
    "call duckdb_tables()",
    "use memory",
    "show tables",
    "show all tables",
    "explain select 1",
    "insert into runs select * from runs",
    "delete from runs",
    "update runs set run_id = 'x'",
    "drop view runs",
    "create table x as select 1",
    "create temp table x as select 1",
    "create or replace temp view runs as select 1",
    "create macro f() as 1",
    "alter table runs drop column run_id",
    "attach ':memory:' as m",
    "detach runwell",
    "prepare p as select 1",
    "execute p",
    "vacuum",
    "checkpoint",
    "with x as (insert into runs select * from runs returning *) select * from x",
    "with x as (delete from runs returning *) select * from x",
    "with x as (update runs set run_id = 'x' returning *) select * from x",
    "merge into runs using attempts on false when not matched then insert",
    "copy runs to '/tmp/x.csv'",
    "copy runs from '/tmp/x.csv'",
    "comment on table runs is 'x'",
]


@pytest.mark.parametrize("sql", NOT_ONE_SELECT)
def test_anything_but_one_select_is_refused_and_changes_nothing(database: Database, sql: str) -> None:
    """One statement, of type SELECT, that does not write in a WITH; the store is the same afterwards."""
    before = database.reading(lambda h: h.frame("SELECT count(*), min(run_id), max(run_id) FROM runs").row(0))
    with pytest.raises(Refused):
        ask(database, sql)
    assert database.reading(lambda h: h.frame("SELECT count(*), min(run_id), max(run_id) FROM runs").row(0)) == before


@pytest.mark.parametrize(
    "sql",
    [
        *LOCKED,
        "select getenv('HOME')",
        "select main.getenv('HOME')",
        "select 'HOME'.getenv()",
        "select list_transform(['HOME'], lambda x: getenv(x))",
        "select current_setting('temp_directory')",
        "select getvariable('x')",
        "select * from duckdb_secrets()",
        "select * from which_secret('s3://x', 's3')",
        "select * from read_blob('/etc/passwd')",
        "select * from read_json('/etc/passwd')",
        "select * from parquet_metadata('/etc/passwd')",
        'select * from "/etc/passwd"',
        "select * from '/etc/passwd.csv'",
        "select * from 'https://example.com/x.parquet'",
        "select * from duckdb_logs()",
        "select * from checkpoint()",
        "select write_log('x')",
        "select sleep_ms(1)",
    ],
)
def test_files_settings_secrets_and_the_network_are_out_of_reach(database: Database, sql: str) -> None:
    """The list of DuckDB's ways out, each refused with a sentence that shows nothing from outside."""
    with pytest.raises(Refused) as refused:
        ask(database, sql)
    assert "root:" not in refused.value.message
    assert "\n" not in refused.value.message


@given(sql=st.text(max_size=40))
def test_any_text_is_answered_or_refused(database: Database, sql: str) -> None:
    """No text brings out anything but rows or a sentence."""
    try:
        ask(database, sql)
    except Refused as e:
        assert e.message


@settings(max_examples=examples(30))
@given(project=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12))
def test_a_projects_name_is_a_value_not_sql(database: Database, project: str) -> None:
    """Quotes and comments in a project's name neither break a statement nor open another project."""
    expected = {OWN: 4}.get(project, 0)
    assert ask(database, "SELECT count(*) AS n FROM runs", project=project)["n"][0].as_py() == expected
    assert ask(database, "FROM runs", project="x' OR '1'='1").num_rows == 0


@pytest.mark.parametrize(
    "sql",
    [
        "select " + "(" * 5000 + "1" + ")" * 5000,
        "select * from " + "(select * from " * 900 + "runs" + ")" * 900,
        "select * from " + "(" * 30_000 + "runs" + ")" * 30_000,
        "select * from " + "(" * 2_000,
        "select ((" * 7_000,
        "select * from " + "(runs join " * 1_000 + "runs" + " on true)" * 1_000,
        "select * from " + ", ".join(["(" * 60 + "runs" + ")" * 60] * 290),
        "select " + "- " * 20_000 + "1",
        "select 1 " + "+ -- \n" * 5_000 + "1",
        "select " + "[" * 3_000 + "{'a': (" * 3_000,
        "select 'é', e'\\'((', $$((($$, " + "(" * 20_000,
    ],
)
def test_deep_nesting_is_refused_with_a_sentence(database: Database, sql: str) -> None:
    """However deep a statement nests, the answer is a sentence."""
    with pytest.raises(Refused, match=r"(?i)too deep|depth"):
        ask(database, sql)


def test_brackets_in_texts_and_many_flat_ones_are_read(database: Database) -> None:
    """What is quoted, named or commented nests nothing, and a list may be as long as a statement."""
    quoted = f"select '{'(' * 9_000}' as a, $$ {'[' * 9_000} $$ as \"{'(' * 900}\" -- {'(' * 9_000}"
    assert ask(database, quoted)["a"].to_pylist() == ["(" * 9_000]
    values = "select count(*) as n from (" * 13 + "values " + ",".join(["(1)"] * 900) + ")" * 13
    assert ask(database, values)["n"].to_pylist() == [1]
    flat = "select count(*) as n from (values " + ", ".join(["((((((((1))))))))"] * 3_000) + ")"
    assert ask(database, flat)["n"].to_pylist() == [3_000]


def test_a_parser_that_goes_astray_ends_the_process_without_the_interpreter() -> None:
    """It holds the interpreter's lock, so that no thread of Python could end it."""
    astray = """
from collector.store import parser
parser._LAST_RESORT_S, parser.MOST_NESTING = 0.2, 10**9
parser.statements("select * from " + "(" * 8_000 + "runs" + ")" * 8_000)
"""
    ended = subprocess.run([sys.executable, "-c", astray], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, "Timeout" in ended.stderr) == (1, True)


def test_a_query_that_takes_too_long_is_stopped(database: Database) -> None:
    """The message names the limit and its setting, and the store answers the next question."""
    limits = Store(query_time=timedelta(milliseconds=300))
    with pytest.raises(QueryFailed, match=r"longer than 0\.3 s.*store\.query_time"):
        ask(database, "select sum(a.range * b.range) from range(1000000) a, range(1000000) b", limits)
    assert ask(database, "select 1 as one", limits)["one"].to_pylist() == [1]


def test_rows_and_bytes_are_capped_and_the_answer_says_so(database: Database) -> None:
    """An answer is cut at the first limit it reaches, and names it; one at the limit is whole."""
    limits = Store(query_rows=3000, query_size=1_000_000)
    cut = confined.select(database, "from range(1000000000)", project=OWN, limits=limits)
    assert (cut.table.num_rows, cut.truncated) == (3000, "rows")
    whole = confined.select(database, "from range(3000)", project=OWN, limits=limits)
    assert (whole.table.num_rows, whole.truncated) == (3000, "")
    wide = confined.select(database, "select repeat('x', 10000) from range(3000)", project=OWN, limits=limits)
    assert wide.truncated == "bytes"
    assert 0 < wide.table.num_rows * 10_000 <= wide.table.nbytes <= 1_000_000
    limits = Store(query_size=100_000)
    few = confined.select(database, "select repeat('x', 30000) from range(10)", project=OWN, limits=limits)
    assert (few.table.num_rows, few.truncated) == (3, "bytes")
    with pytest.raises(QueryFailed, match=r"first row is larger than 1000 bytes.*store\.query_size"):
        ask(database, "select repeat('x', 2000)", Store(query_size=1000))


def test_every_type_comes_as_something_that_readers_share(database: Database) -> None:
    """Intervals, maps, bits and variants come as text, and columns of one name are numbered."""
    table = ask(
        database,
        "select interval 1 day as a, map {'k': 1} as a, '101'::bit as b, {'i': interval 1 day} as c, 1::hugeint as d, "
        "1.5::decimal(5, 2) as e, true as f, null as g",
    )
    assert table.schema.names == ["a", "a_1", "b", "c", "d", "e", "f", "g"]
    assert table.to_pylist()[0]["a"] == "1 day"
    assert table.to_pylist()[0]["a_1"] == "{k=1}"
    assert [str(t) for t in table.schema.types[:4]] == ["string"] * 4


def test_order_is_kept(database: Database) -> None:
    """Rows come in the order that the statement asks for, over many batches."""
    table = ask(database, "select i from range(10000) t(i) order by i desc")
    assert table["i"].to_pylist() == list(range(9999, -1, -1))


def test_a_wrong_query_says_what_duckdb_says(database: Database) -> None:
    """A mistake is told in DuckDB's first line, which names the column."""
    with pytest.raises(QueryFailed, match='"runid" not found'):
        ask(database, "select runid from runs")
