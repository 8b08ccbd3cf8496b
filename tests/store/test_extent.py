"""How far a statement may go: what is refused before it is planned, and what a whole store does about the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.model.errors import BadInput, Refused
from collector.model.resident import resident_bytes
from collector.settings import Store
from collector.settings.memory import DEFAULT, divide
from collector.store import collected, confined, extent, parser
from collector.store.database import TEMPORARY, Database
from collector.store.errors import QueryFailed
from collector.store.scope import STORED, Relation, Size
from tests.length import examples
from tests.store.test_store import no_exit

MiB = 2**20
TABLES = {"t": Relation({"n": Size(), "s": STORED, "l": STORED, "big": Size(12 * 1024, large=True)}, width=4, tables=1)}


ALIASES = "s AS a0, " + ", ".join(f"a{i} || a{i} AS a{i + 1}" for i in range(9))
WIDER = ", ".join(f"x{i} AS (SELECT *, * FROM {'x' + str(i - 1) if i else 't'})" for i in range(12))


def refusal(sql: str) -> str:
    """Return why a statement is refused before it is planned, empty when it is not."""
    try:
        extent.require(parser.tree(sql), TABLES)
    except BadInput as e:
        return e.reason
    return ""


def doubling(n: int, made: str = "s || s") -> str:
    """Return a chain of *n* WITH tables, each of which makes *made* of the one before."""
    chain = [f"x{i} AS (SELECT {made} AS s FROM {'x' + str(i - 1) if i else 't'})" for i in range(n)]
    return f"WITH {', '.join(chain)} SELECT s FROM x{n - 1}"


@pytest.mark.parametrize(
    ("within", "beyond", "words"),
    [
        (doubling(3), doubling(9), "of one row"),
        (doubling(2, "replace(s, 'a', 'bbb')"), doubling(9, "replace(s, 'a', 'bbb')"), "of one row"),
        (doubling(1, "l + l + l"), doubling(8, "l + l + l"), "of one row"),
        (doubling(1, "{'a': s, 'b': s}::VARCHAR"), doubling(8, "{'a': s, 'b': s}::VARCHAR"), "of one row"),
        ("SELECT s || s AS a, a || a AS b FROM t", f"SELECT {ALIASES}, s FROM t", "of one row"),
        ("SELECT repeat('ab', 1000)", "SELECT repeat('ab', 100000)", "of one row"),
        ("SELECT lpad(s, 100, ' ') FROM t", "SELECT lpad(s, 1000000, ' ') FROM t", "of one row"),
        ("SELECT range(10)", "SELECT range(100000)", "of one row"),
        ("SELECT range(-5, 5, 2)", "SELECT range(n) FROM t", "between literals"),
        ("SELECT repeat(s, 2) FROM t", "SELECT repeat(s, n) FROM t", "a literal number"),
        ("SELECT format('{:>20}', s) FROM t", "SELECT format('{:>2000}', s) FROM t", "200 places"),
        ("SELECT printf('%9d', n) FROM t", "SELECT printf('%*d', n, n) FROM t", "200 places"),
        ("SELECT printf('%s', s) FROM t", "SELECT printf(s, s) FROM t", "as a literal"),
        ("SELECT replace(s, 'a', 'b') FROM t", "SELECT replace(s, 'a', s) FROM t", "as a literal"),
        ("SELECT regexp_replace(s, 'a', 'b') FROM t", "SELECT regexp_replace(s, 'a', s) FROM t", "as a literal"),
        (
            "SELECT list_transform(range(9), lambda x: x * n) FROM t",
            "SELECT list_transform(range(900), lambda x: s || s) FROM t",
            "of one row",
        ),
        (
            "SELECT [x || s for x in ['a', 'b']] FROM t",
            "SELECT list_transform(range(300), lambda x: range(300))",
            "of one row",
        ),
        ("SELECT array_to_string(['a'], ', ')", f"SELECT array_to_string(range(2000), '{'x' * 99}')", "of one row"),
        ("SELECT NULL::INT[3]", "SELECT NULL::INT[100000]", "1000 values"),
        ("SELECT NULL::INT[3][3]", "SELECT NULL::INT[900][900]", "1000 values"),
        ("SELECT max(s, 3) FROM t", "SELECT max(s, 100000) FROM t", "up to 100"),
        ("SELECT list_aggregate([1], 'sum')", "SELECT list_aggregate([1], s) FROM t", "name of an aggregate"),
        ("SELECT substr(s || s, 1) FROM t", doubling(9, "substr(s || s, 1)"), "of one row"),
        ("SELECT n, list(s) FROM t GROUP BY n", "SELECT list(s) OVER (PARTITION BY n) FROM t", "with GROUP BY"),
        ("SELECT mode(n) OVER () FROM t", "SELECT mode(n) OVER (ROWS 9 PRECEDING) FROM t", "whole partitions"),
        (
            "SELECT sum(n) OVER (ORDER BY n ROWS 9 PRECEDING) FROM t",
            "SELECT count(DISTINCT n) OVER (ORDER BY n ROWS 9 PRECEDING EXCLUDE CURRENT ROW) FROM t",
            "EXCLUDE",
        ),
        ("SELECT s LIKE 'a%' FROM t", f"SELECT {' OR '.join(['big LIKE b'] * 9)} FROM t", "look through"),
        ("SELECT levenshtein(s, 'ab') FROM t", "SELECT levenshtein(left(s, 300), 'ab') FROM t", "at most 256 bytes"),
        ("SELECT left((SELECT big FROM t), 9)", "SELECT lower((SELECT big FROM t))", "cut it first"),
        ("SELECT count(COLUMNS(*)) FROM t", "SELECT lower(COLUMNS(*)) FROM t", "cut it first"),
        ("SELECT r.n::VARCHAR FROM t r", "SELECT r::VARCHAR FROM t r", "cut it first"),
        ("WITH x AS (FROM t) FROM x", "WITH x AS NOT MATERIALIZED (FROM t) FROM x", "NOT MATERIALIZED"),
        ("WITH x AS MATERIALIZED (FROM t) FROM x", doubling(17, "s"), "17 WITH tables"),
        (
            "FROM " + ", ".join(f"t a{i}" for i in range(32)),
            "FROM " + ", ".join(f"t a{i}" for i in range(33)),
            "33 tables",
        ),
        (" UNION ALL ".join(["FROM t"] * 32), " UNION ALL ".join(["FROM t"] * 40), "40 tables"),
        ("SELECT (SELECT 1 FROM t)", f"SELECT {', '.join(['(SELECT 1 FROM t)'] * 40)}", "40 tables"),
        (
            "WITH a AS (FROM t x, t y) FROM a",
            "WITH a AS (FROM t x, t y, t z), b AS (FROM a x, a y, a z), c AS (FROM b x, b y, b z, b w) FROM c",
            "36 tables",
        ),
        (
            "SELECT 1 FROM t WHERE " + " AND ".join(f"n <> {i}" for i in range(200)),
            "SELECT 1 FROM t WHERE " + " AND ".join(f"n <> {i}" for i in range(202)),
            "conditions",
        ),
        ("SELECT " + "(" * 40 + "1" + ")" * 40, "SELECT " + "[" * 70 + "1" + "]" * 70, "nested too deeply"),
        (
            "SELECT count(*) FROM t GROUP BY CUBE (n, s, l)",
            "SELECT count(*) FROM t GROUP BY CUBE (1,2,3,4,5,6,7,8,9)",
            "grouping sets",
        ),
        (
            "FROM t PIVOT (count(*) FOR n IN (1, 2))",
            f"FROM t PIVOT (count(*) FOR n IN ({', '.join(map(str, range(2000)))}))",
            "columns",
        ),
        ("SELECT *, * FROM t", f"WITH {WIDER} FROM x11", "columns"),
        (
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) FROM r",
            "WITH RECURSIVE r AS (SELECT 'a' AS s UNION ALL SELECT s || s FROM r) FROM r",
            "ever larger",
        ),
        (
            "WITH RECURSIVE r AS (SELECT 'a' AS s UNION ALL SELECT left(s || 'b', 99) FROM r) FROM r",
            "WITH RECURSIVE r AS (SELECT [1] AS s UNION ALL SELECT s + [1] FROM r) FROM r",
            "ever larger",
        ),
        ("SELECT 'a' COLLATE nocase", "SELECT 'a' COLLATE de", "collation"),
        (
            "SELECT json_extract(s, '$.a'), s ->> 'b' FROM t",
            "SELECT json_extract(s, [" + ", ".join(["'$'"] * 200) + "]) FROM t",
            "of one row",
        ),
        (
            "SELECT to_json({'a': s}), s::VARCHAR FROM t",
            f"SELECT {', '.join(['to_json(r)'] * 20)} FROM (SELECT 1 AS {'n' * 5000}) r",
            "of one row",
        ),
        (f"SELECT 1 AS {'n' * 900}", f"SELECT 1 AS {'n' * 9000}", "names"),
        ("SELECT 1::DECIMAL(9, 2)", "SELECT 'a'::ENUM ('a')", "type"),
    ],
)
def test_each_bound_lets_pass_what_is_within_it(within: str, beyond: str, words: str) -> None:
    """What stays within a bound passes, and what does not is told which bound it was."""
    assert refusal(within) == ""
    assert words in refusal(beyond)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Open a store of 60,000 logs, some of them long."""
    opened = Database.open(tmp_path_factory.mktemp("extent"), Store(), no_exit, memory=256 * MiB)
    opened.writing(
        lambda h: h.run(
            "INSERT INTO logs (project, seq, run_id, body) SELECT 'p', range, md5((range // 9)::VARCHAR), "
            "repeat(md5(range::VARCHAR), CASE WHEN range < 4000 THEN 200 ELSE 9 END) FROM range(60000)"
        )
    )
    opened.writing(
        lambda h: h.run(
            "INSERT INTO logs (project, seq, run_id, body, attributes) SELECT 'p', 60001 + range, 'big', "
            "repeat(chr((97 + range)::INT), 1000000), json_object('a', repeat('b', 300000), 'n', range) FROM range(2)"
        )
    )
    yield opened
    opened.close()


REPEATED = "(SELECT body FROM logs WHERE seq = 60001) a, (SELECT body FROM logs WHERE seq = 60002) b, range(2048) t(r)"
EITHER = "CASE WHEN r % 2 = 0 THEN a.body ELSE b.body END"
HUNGRY = [
    *(
        f"SELECT {made} FROM (SELECT {EITHER} AS x, r FROM {REPEATED})"
        for made in (
            "max(len(lower(x)))",
            "max(x || r)",
            "max([x, x])",
            "max({'a': x, 'b': x})",
            "x",
            "max(x)",
            "max(sha256(x))",
            "count(regexp_full_match(x, '(.|a)*b(.|a)*c'))",
            "max(x COLLATE nocase)",
            "count(x ILIKE '%b%c%')",
            "max(coalesce(x, '') || 'a')",
            "max(string_split(x, 'a'))",
            "max(x->>'$')",
            "max(lower(x->>'$'))",
            "max(replace(x, 'a', 'b'))",
            "list(x)",
            "max(to_json(x))",
            "max(CAST(x AS INT[]))",
            "x, x AS y, r",
        )
    ),
    "SELECT mode(seq) OVER (ORDER BY seq ROWS BETWEEN 50000 PRECEDING AND CURRENT ROW) FROM logs",
    "SELECT list(seq) OVER (ORDER BY seq ROWS BETWEEN 5000 PRECEDING AND CURRENT ROW) FROM logs",
    "SELECT body || body || body || body FROM logs",
    "SELECT upper(body), lower(body), reverse(body), body || 'x' FROM logs",
    "SELECT repeat('x', 50000) || seq FROM logs",
    "SELECT list_transform(range(900), lambda x: x * seq) FROM logs",
    "SELECT string_agg(body, ',') FROM logs",
    "SELECT x || seq FROM (SELECT string_agg(body, ',') AS x FROM logs), logs",
    "SELECT x, seq FROM (SELECT list(run_id) AS x FROM logs), logs",
    "SELECT string_agg(body, ',') OVER () || 'x' FROM logs",
    "SELECT json_group_array(body) FROM logs",
    "SELECT list(body ORDER BY seq) FROM logs",
    "SELECT count(DISTINCT a.body || b.run_id) FROM logs a, logs b",
    "SELECT a.body || b.run_id AS x FROM logs a, logs b ORDER BY x DESC",
    "SELECT arg_max(a.body, b.seq, 100) FROM logs a, logs b GROUP BY a.run_id",
    "SELECT mode(a.run_id || b.run_id) FROM logs a, logs b",
    "SELECT median(a.seq + b.seq) FROM logs a, logs b",
    "WITH RECURSIVE r AS (SELECT '' AS s UNION ALL SELECT left(s || 'abc', 9000) FROM r) SELECT max(s) FROM r",
    "FROM logs USING SAMPLE reservoir(100000000 ROWS)",
    "SELECT string_split(body, '') FROM logs",
    "SELECT regexp_replace(body, '(.*)', '\\1\\1\\1', 'g') FROM logs",
]


def test_hungry_statements_end_in_time_and_memory(database: Database) -> None:
    """Each of these is refused, answered or ended soon after its time; beside none does the process take much more
    memory, so that the watchdog has nothing to do.
    """
    fired: list[str] = []
    database.watchdog.look_at_memory(
        resident_bytes() + divide(DEFAULT).store, lambda texts, how: fired.extend(texts), fired.append
    )
    limits = Store(query_time=timedelta(milliseconds=400))
    for sql in HUNGRY:
        began = time.monotonic()
        try:
            assert confined.select(database, sql, project="p", limits=limits).table.nbytes <= limits.query_size
        except Refused as e:
            assert e.message
        assert time.monotonic() - began < 10, sql
    assert fired == []


def test_who_fills_the_disk_is_ended_before_telemetry_is_refused(tmp_path: Path) -> None:
    """What sorts on disk ends with a sentence where too little is free; what needs none of it is answered."""
    database = Database.open(tmp_path, Store(), memory=64 * 2**20)
    try:
        database.watchdog.look_at_disk(tmp_path / TEMPORARY, 2**62)
        sorts = "SELECT max(n) AS n FROM (SELECT row_number() OVER (ORDER BY hash(range)) n FROM range(20000000))"
        with pytest.raises(QueryFailed, match="no room left"):
            confined.select(database, sorts, project="p", limits=Store())
        few = confined.select(database, "SELECT sum(range) AS n FROM range(1000000)", project="p", limits=Store())
        assert few.table.num_rows == 1
        database.watchdog.look_at_disk(tmp_path / TEMPORARY, 0)
        all_of_it = confined.select(database, sorts.replace("20000000", "8000000"), project="p", limits=Store())
        assert all_of_it.table["n"].to_pylist() == [8_000_000]
    finally:
        database.close()


def test_large_texts_are_read_and_cut_by_everybody(database: Database) -> None:
    """Of a text of any size length, parts of JSON, patterns and cuts are told as DuckDB tells them; where something is
    made of one that is large the statement ends with what to do, and what it says helps.
    """

    def ask(sql: str) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = confined.select(database, sql, project="p", limits=Store()).table.to_pylist()
        return rows

    of = "FROM logs WHERE run_id = 'big' ORDER BY seq"
    assert ask(f"SELECT length(body) AS n, left(body, 2) AS l, body LIKE '%b' AS b {of}") == [
        {"n": 1_000_000, "l": "aa", "b": False},
        {"n": 1_000_000, "l": "bb", "b": True},
    ]
    assert ask(f"SELECT attributes->>'$.n' AS n, attributes->>'n' AS m {of}") == [{"n": k, "m": k} for k in "01"]
    assert [len(str(row["body"])) for row in ask(f"SELECT body {of}")] == [1_000_000] * 2
    for made in ("lower(body)", "body || 'x'", "lower(max(body) OVER ())", "upper(attributes->>'$.a')"):
        with pytest.raises(QueryFailed, match=r"more than 12 KiB; cut it first, as in left\(body, 500\)"):
            ask(f"SELECT {made} {of}")
    assert ask(f"SELECT upper(left(body, 3)) AS u {of}") == [{"u": "AAA"}, {"u": "BBB"}]
    rest = ask("SELECT count(lower(CASE WHEN strlen(body) < 12288 THEN body END)) AS n FROM logs")
    assert rest == [{"n": 60_000}]
    assert [*ask("SELECT run_id, count(lower(left(body, 9))), list(seq) FROM logs GROUP BY ALL LIMIT 1")[0]] == [
        "run_id",
        'count(lower("left"(body, 9)))',
        "list(seq)",
    ]
    with pytest.raises(QueryFailed, match="texts of one row have more than 64 KiB; cut them"):
        ask("SELECT a.body FROM logs a JOIN logs b USING (run_id) WHERE a.run_id = 'big'")


def test_collected_values_are_looked_at_one_by_one(database: Database) -> None:
    """A value within the bound comes as it is, under its own name; one beyond it ends the statement with a sentence."""
    limits = Store()
    for call in ("string_agg(run_id, ',' ORDER BY seq)", "list(run_id)", "len(array_agg(DISTINCT run_id))"):
        few = confined.select(database, f"SELECT {call} FROM logs WHERE seq < 100", project="p", limits=limits).table
        plain = database.reading(lambda h, call=call: h.frame(f"SELECT {call} FROM logs WHERE seq < 100"))
        assert few.schema.names == plain.columns
        assert few.column(0).to_pylist() == plain.to_series().to_list()
        with pytest.raises(QueryFailed, match=f"collects more than {collected.MOST_BYTES // 1024} KiB in one value"):
            confined.select(database, f"SELECT {call} FROM logs", project="p", limits=limits)


COLLECTING = [
    "string_agg({x})",
    "list({x} ORDER BY {x})",
    "list({x}) FILTER (l.seq >= 0)",
    "json_group_object({x}, 1)",
]


@pytest.mark.parametrize("call", COLLECTING)
def test_what_a_statement_collects_is_counted_as_it_comes(database: Database, call: str) -> None:
    """In one group or in many, filtered or ordered: beyond so much together a statement ends, with what
    to do instead, before values are made of it; fewer rows are collected.
    """
    made = call.format(x="l.run_id")
    few = f"SELECT {made} AS made FROM logs l WHERE seq < 100"
    assert confined.select(database, few, project="p", limits=Store()).table.num_rows > 0
    many = f"SELECT count(made) FROM (SELECT {made} AS made FROM logs l, range(5000)"
    for sql in (f"{many})", f"{many} GROUP BY l.seq)"):
        with pytest.raises(QueryFailed, match=f"{collected.MOST_TOGETHER // MiB} MiB over rows; narrow it, or make"):
            confined.select(database, sql, project="p", limits=Store())


LEAVES = st.sampled_from(["s", "n", "l", "'x'", "1", "NULL", "t.s"])
CALLS = st.sampled_from(
    [
        "upper({0})",
        "{0} || {1}",
        "concat({0}, {1}, {0})",
        "repeat({0}, 3)",
        "[{0}, {1}]",
        "coalesce({0}, {1})",
        "{0} + {1}",
        "replace({0}::VARCHAR, 'x', 'yyy')",
        "to_json({0})",
        "json_extract(to_json({0}), '$[*]')",
        "to_json({0}) -> ['$', '$', '$[0]']",
        "to_json({{'a_long_name_of_a_field': {0}}})",
        "{0}::VARCHAR",
        "len({0}::VARCHAR)",
        "left({0}::VARCHAR, 9)",
        "list_transform([{0}], lambda x: [x, {1}])",
        "CASE WHEN true THEN {0} ELSE {1} END",
        "string_split({0}::VARCHAR, 'x')",
        "lpad({0}::VARCHAR, 20, '-')",
        "hex({0}::VARCHAR)",
        "{{'a': {0}, 'b': {1}}}",
        "array_to_string([{0}, {1}], 'xyz')",
    ]
)


@settings(max_examples=examples(60))
@given(
    expression=st.recursive(LEAVES, lambda inner: st.builds(lambda f, a, b: f.format(a, b), CALLS, inner, inner)),
    text=st.integers(0, 256),
)
def test_no_value_is_larger_than_was_told(database: Database, expression: str, text: int) -> None:
    """Of a row whose texts have at most the bytes that a column counts as, nothing is made that is larger than the
    size that was told from the statement alone.
    """
    walk = extent.Queries(TABLES)
    sql = f"SELECT {expression} AS made FROM t"
    try:
        told = walk.query(parser.tree(sql)["statements"][0]["node"], {}, None).columns["made"]
    except BadInput:
        return
    row = f"SELECT 7 AS n, repeat('x', {text}) AS s, ['x', repeat('y', {text} // 2)] AS l"
    try:
        made = database.reading(lambda h: h.value(f"WITH t AS ({row}) SELECT strlen(made::VARCHAR) FROM ({sql})"))
    except Exception as e:  # types that do not fit
        assert type(e).__module__.startswith(("duckdb", "_duckdb"))
        return
    assert (made or 0) <= 2 * told.bytes + 64
