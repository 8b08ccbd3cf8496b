"""The body of docs/sql.md: what a statement may do, and which functions it may call."""

from __future__ import annotations

from collector.store import collected, extent, functions, literals, long_texts, parser, sizes, texts

_HEAD = """# SQL

`runwell sql` and `POST /api/v1/sql` ask one SELECT, in DuckDB's dialect, over the [tables](schema.md): joins, windows,
WITH, PIVOT, lambdas, JSON. It reads nothing else, changes nothing, and cannot hurt: what could take much is refused
before it runs, with a sentence that says what to do.

```sh
runwell sql "select task_id, status, count(*) from runs group by all"
runwell sql "select task_id, string_agg(distinct status, ', ' order by status) from runs group by all"
runwell sql "select run_id, left(body, 200) from logs where body ilike '%timeout%' order by time desc limit 20"
```
"""
_BOUNDS = {
    "`store.query_time`, from before the statement is looked at": "ended",
    "`store.query_rows`, `store.query_size` (also as JSON)": "cut, and said: `runwell sql` ends with 1",
    f"texts of more than {long_texts.MOST // 1024} KiB that are read of 2,048 rows: "
    f"{long_texts.MOST_AT_ONCE // 2**20} MiB": "ended; ask for fewer rows, or for slices in `long_texts`",
    "two statements at a time, eight more wait": "503, `Retry-After`",
    f"64 KiB of text, {extent.MOST_NAMES // 1024} KiB of names that it gives, {extent.MOST_DEPTH} expressions in each "
    f"other, {extent.MOST_ANDS} conditions joined by AND": "refused",
    f"brackets in each other, or signs in a row: what is deeper than {parser.FLAT} adds up to "
    f"{parser.MOST_NESTING:,} (150 in each other)": "refused",
    "disk for what it sorts and groups: 8 GiB, and as much as leaves `journal.free_disk` and 256 MiB free": "ended",
    f"{extent.MOST_CTES} WITH tables, none NOT MATERIALIZED": "refused",
    f"{extent.MOST_TABLES} tables, each counted as often as it is named, also through WITH": "refused",
    f"{extent.MOST_COLUMNS:,} columns, {extent.MOST_PIVOTED:,} of PIVOT, {extent.MOST_SETS} grouping sets": "refused",
    f"what functions make of one row: {sizes.MOST_BYTES // 1024} KiB, each text column counted with its longest "
    f"value, {texts.MOST_TEXT // 1024} KiB at most": "refused; cut first, as in `left(body, 500)`",
    f"a text of which something else than a part of its JSON is made: {texts.MOST_TEXT // 1024} KiB": "ended; cut "
    f"first, or leave it out with `CASE WHEN strlen(body) < {texts.MOST_TEXT} THEN body END`",
    f"what functions look through in one row (`LIKE`, `regexp_matches`, `md5`, …): {sizes.MOST_READ // 1024} KiB; of a "
    f"text that a join can repeat {texts.MOST_LOOKED_AT // 1024} KiB": "refused or ended; cut first",
    f"texts that `levenshtein` and its kind compare: {sizes.MOST_NEAR} bytes": "refused; cut first",
    "texts in one row of an answer that a join can repeat: 64 KiB": "ended; cut first",
    "`mode`, `entropy` with `OVER`: whole partitions; `list`, `string_agg`, …: none": "refused; collect with GROUP BY "
    "in a subquery, and join that",
    "what a recursive WITH makes of its own values: no more each time": "refused; cut, as in "
    r"`left(path \|\| name, 1000)`",
    "one value that is collected (`list`, `string_agg`, `json_group_array`, …): "
    f"{collected.MOST_BYTES // 1024} KiB": "ended",
    f"all that is collected together: {collected.MOST_TOGETHER // 2**20} MiB": "ended",
    f"several values of `max`, `arg_max`, …: {literals.MOST_TOP}": "refused",
}
_FOOT = """
Whoever hangs up has the statement ended. Should the process take too much memory beside a statement all the same, it
is ended, told in status and `doctor`, and the same text is refused for an hour; what helps is another statement, and a
report of this one.

What is not listed here is not available.
"""
_KINDS = {
    "of a value, giving a number, a time, a truth or a short text": functions.SMALL
    | functions.NEAR
    | functions.WINDOWS,
    "of values, giving at most as much": functions.KEEPS | functions.PICKS | functions.ARITHMETIC | functions.PATHS,
    "giving a few times as much, or a list of parts": functions.TIMES.keys() | functions.JOINS.keys(),
    "bounded by literals": functions.LITERAL.keys(),
    "of a list and a lambda, or the name of an aggregate": functions.MAPS | functions.FILTERS | functions.BY_NAME,
    "of the rows of a group, also with `OVER`": functions.AGGREGATES | functions.TOP,
    "collecting what a group holds": functions.COLLECTS,
    "in `FROM`": functions.TABLES,
}


def body() -> str:
    """Return the page without its first line."""
    bounds = [f"| {what} | {beyond} |" for what, beyond in _BOUNDS.items()]
    kinds = [f"| {what} | {', '.join(map(_code, sorted(names)))} |" for what, names in _KINDS.items()]
    head = "|---|---|"
    return "\n".join(
        [_HEAD, "| bound | beyond it |", head, *bounds, _FOOT, "| functions and operators | |", head, *kinds, ""]
    )


def _code(name: str) -> str:
    return f"`{name}`".replace("|", "\\|")
