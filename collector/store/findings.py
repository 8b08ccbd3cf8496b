"""What runs add to findings, kept per run, and summed up when asked.

`whole` returns everything rules look at for some runs, `replace` and `replace_window` write what they found, `grouped`
sums up since a time. Look-ups are bounded by places and times; nothing here judges anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from collector.model.tables import PUBLIC
from collector.store import run_links, run_tables, weights
from collector.store.ddl import BUILT
from collector.store.handle import Handle
from collector.store.places import Memory, Places, key, within

_KEYS = ["project", "run_key"]
_CHOSEN = """($environment IS NULL OR environment = $environment)
    AND ($platform_project IS NULL OR platform_project = $platform_project)"""
"""Whether a run is one of those asked for."""
MOST_GROUPS = 50
"""Distinct operations or keys told apart per rule and task; the rest is one finding."""


def judged(h: Handle, memory: Memory, keys: pl.DataFrame) -> pl.DataFrame:
    """Return the runs to judge where *keys* changed, those and their parents, by weight (`weights.weigh`)."""
    places = Places(h, memory)
    parents = _parents(h, places, memory, keys)
    return weights.weigh(h, places, pl.concat([keys.select(_KEYS), parents]).unique())


def seen(h: Handle, memory: Memory, judged: pl.DataFrame) -> pl.DataFrame:
    """Return what has to be seen to judge the runs *judged*, by weight: those, their parents and their children.

    Of so many children that they would not fit some are left out; each is judged with its parent in its own turn.
    """
    places = Places(h, memory)
    around = pl.concat([_parents(h, places, memory, judged), run_links.children(h, places, judged)]).unique()
    around = around.join(judged, on=_KEYS, how="anti")
    if around.is_empty():
        return judged
    left = weights.MOST // 2 - int(judged["weight"].clip(0, weights.MOST_OF_RUN).sum())
    fits, _ = weights.fitting(weights.weigh(h, places, around), left)
    return pl.concat([judged, fits])


def _parents(h: Handle, places: Places, memory: Memory, keys: pl.DataFrame) -> pl.DataFrame:
    recent, rest = memory.recent.tables(keys)
    links = [tables["links"] for tables in recent]
    if not rest.is_empty():
        links.append(run_links.parents(h, places, rest))
    schema = pl.DataFrame(schema=run_links.KEYS)
    return pl.concat([schema, *(rows.select("project", run_key="parent_run_key").drop_nulls() for rows in links)])


def whole(h: Handle, memory: Memory | None, keys: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return raw `spans` and `logs` of the runs *keys* (`weights.weigh`), their run tables, and their catalogues.

    *memory* belongs to the thread that writes; any other has none.
    """
    recent, rest = memory.recent.tables(keys) if memory else ([], keys)
    if not recent or not rest.is_empty():
        recent.append(_stored(h, Places(h, memory), keys.join(rest, on=_KEYS, how="semi")))
    tables = {name: pl.concat(part[name] for part in recent) for name in ("spans", "logs", *BUILT)}
    return {**tables, "scopes": h.frame("SELECT * FROM scopes"), "resources": _resources(h, tables)}


def _resources(h: Handle, tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the resources that the raw `spans` and `logs` of *tables* stand on."""
    ids = pl.concat([tables[name].select("project", "resource_id") for name in ("spans", "logs")]).unique()
    return h.frame("SELECT * FROM resources SEMI JOIN ids USING (project, resource_id)", ids=ids)


def some_of(tables: dict[str, pl.DataFrame], runs: list[tuple[str, str]]) -> dict[str, pl.DataFrame]:
    """Return the rows of *tables* (`whole`) that are of *runs* (project, run key), and the catalogues."""
    named = pl.DataFrame(runs, schema=run_links.KEYS, orient="row")
    return {
        name: rows if name in ("scopes", "resources") else rows.join(named, on=_KEYS, how="semi")
        for name, rows in tables.items()
    }


def _stored(h: Handle, places: Places, keys: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return raw `spans` and `logs` and the run tables of *keys*, from the store."""
    tables = run_tables.records(h, places, keys)
    built = within("t.built_seq", places.built(keys.select(key())))
    for name in BUILT:
        columns = ", ".join(f't."{column}"' for column in PUBLIC[name].names)
        tables[name] = h.frame(
            f"SELECT {columns} FROM {name} t SEMI JOIN keys USING (project, run_key) WHERE {built}",  # noqa: S608 -- names and numbers of ours
            keys=keys,
        )
    return tables


def loose_logs(h: Handle, since_ns: int, most: int) -> dict[str, pl.DataFrame]:
    """Return the newest raw `logs` received since *since_ns* that no run has, at most *most*, as `loose` does.

    Fewer where they would weigh more than is read at one time.
    """
    newest = h.frame(
        f"SELECT project, seq, row, {weights.SIZE['logs']} AS weight FROM logs l "  # noqa: S608 -- our own words
        "ANTI JOIN log_runs r ON r.project = l.project AND r.seq = l.seq AND r.row = l.row "
        "WHERE l.run_key IS NULL AND l.received_ns >= $since ORDER BY l.seq DESC, l.row DESC LIMIT $most",
        {"since": since_ns, "most": most},
    )
    kept = newest.filter(pl.col("weight").cum_sum() <= weights.MOST // 2)
    low = int(kept["seq"].min() or 0)  # type: ignore[arg-type]
    logs = h.frame(
        "SELECT l.* FROM logs l SEMI JOIN kept USING (project, seq, row) WHERE l.seq >= $low "
        "ORDER BY l.seq DESC, l.row DESC",
        {"low": low},
        kept=kept,
    )
    tables = {"spans": h.frame("SELECT * FROM spans LIMIT 0"), "logs": logs}
    return {**tables, "resources": _resources(h, tables)}


_OF_NONE = {
    "spans": "SELECT * FROM spans t WHERE project = $project AND run_key IS NULL",
    "logs": "SELECT t.* FROM logs t ANTI JOIN log_runs r ON r.project = t.project AND r.seq = t.seq AND r.row = t.row "
    "WHERE t.project = $project AND t.run_key IS NULL",
}
"""Raw table → SQL for the records of a project that no run has."""


def loose(h: Handle, project: str, groups: list[int] | None = None) -> dict[str, pl.DataFrame]:
    """Return raw `spans` and `logs` of *project* that no run has, and the `resources` they stand on.

    *groups*: only those that came in these groups of the journal.
    """
    came = "" if groups is None else f" AND t.seq IN ({', '.join(map(str, groups)) or 'NULL'})"
    tables = {name: h.frame(of_none + came, {"project": project}) for name, of_none in _OF_NONE.items()}
    return {**tables, "resources": _resources(h, tables)}


def loose_weights(h: Handle, project: str) -> pl.DataFrame:
    """Return what the records of *project* that no run has weigh, per group of the journal: `seq`, `weight`."""
    sizes = " UNION ALL ".join(
        f"SELECT seq, {weights.SIZE[name]} AS bytes FROM ({of_none})"  # noqa: S608 -- our own words
        for name, of_none in _OF_NONE.items()
    )
    return h.frame(
        f"SELECT seq, sum(bytes)::BIGINT AS weight FROM ({sizes}) GROUP BY seq ORDER BY seq",  # noqa: S608 -- ditto
        {"project": project},
    )


def correlated(h: Handle, logs: pl.DataFrame) -> pl.DataFrame:
    """Return raw `logs` of runs with the correlation ids of *logs*: one a run, of up to two runs an id."""
    run_key, joined = weights.shown("logs")
    return h.frame(
        f"""
        WITH ids AS (SELECT DISTINCT project, correlation_id FROM wanted WHERE correlation_id IS NOT NULL),
        l AS (
            SELECT t.* REPLACE ({run_key}) FROM logs t {joined}
            SEMI JOIN ids ON ids.project = t.project AND ids.correlation_id = t.correlation_id
        )
        SELECT * FROM l WHERE run_key IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY l.project, l.correlation_id, l.run_key ORDER BY l.seq, l.row) = 1
            AND dense_rank() OVER (PARTITION BY l.project, l.correlation_id ORDER BY l.run_key) <= 2
        """,  # noqa: S608 -- our own words
        wanted=logs.select("project", "correlation_id"),
    )


def counts(h: Handle, project: str) -> tuple[int, int]:
    """Return how many logs and spans of *project* there are: those of runs once each, others as they came."""
    logs, spans = (
        h.value(
            f"SELECT coalesce(sum({count}), 0) + (SELECT count(*) FROM ({of_none})) FROM runs WHERE project = $project",  # noqa: S608 -- ditto
            {"project": project},
        )
        for count, of_none in (("log_count", _OF_NONE["logs"]), ("span_count", _OF_NONE["spans"]))
    )
    return int(logs), int(spans)


def newest_ns(h: Handle, project: str) -> int:
    """Return the latest time that a record of *project* states, 0 when there is none; no later than clocks can say."""
    return int(
        h.value(
            """
            SELECT least(max(ns), $last)::BIGINT FROM (
                SELECT time_unix_nano AS ns FROM logs WHERE project = $project
                UNION ALL SELECT end_time_unix_nano FROM spans WHERE project = $project
            )
            """,
            {"project": project, "last": 2**62},
        )
        or 0
    )


def newest_runs(h: Handle, since_ns: int, most: int, *, of: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return at most *most* runs seen since *since_ns*, the newest first, as `weights.weigh` does; only some *of* them.

    Fewer where their records would weigh more than is read at one time.
    """
    chosen, frames = ("", {}) if of is None else ("SEMI JOIN chosen USING (project, run_key)", {"chosen": of})
    newest = h.frame(
        f"SELECT project, run_key FROM runs {chosen} WHERE last_seen_ns >= $since ORDER BY last_seen_ns DESC "  # noqa: S608 -- our own words
        "LIMIT $most",
        {"since": since_ns, "most": most},
        **frames,
    )
    weighed = newest.join(weights.weigh(h, Places(h), newest), on=_KEYS, maintain_order="left")
    return weights.fitting(weighed)[0]


def clear(h: Handle) -> None:
    """Forget what runs added."""
    h.run("DELETE FROM run_findings WHERE NOT run_findings.window")


def replace(h: Handle, keys: pl.DataFrame, rows: pl.DataFrame, since_ns: int) -> None:
    """Write what the runs *keys* add, *rows*, in place of what they added; nothing of them is older than *since_ns*."""
    h.run(
        "DELETE FROM run_findings USING keys k WHERE last_seen_ns >= $since AND NOT run_findings.window "
        "AND run_findings.project = k.project AND run_findings.run_key = k.run_key",
        {"since": since_ns},
        keys=keys.select(_KEYS),
    )
    _insert(h, rows, window=False)


def replace_window(h: Handle, rows: pl.DataFrame) -> None:
    """Write what a window of runs and loose logs shows, *rows*, in place of what the window before showed."""
    h.run("DELETE FROM run_findings WHERE run_findings.window")
    _insert(h, rows, window=True)


def add(h: Handle, rows: pl.DataFrame) -> None:
    """Write what runs add, *rows*, beside what there is."""
    _insert(h, rows, window=False)


def _insert(h: Handle, rows: pl.DataFrame, *, window: bool) -> None:
    if rows.is_empty():
        return
    record = pl.element().struct
    written = rows.with_columns(
        pl.col("places").list.eval(
            pl.concat_str(
                [
                    record.field(name).cast(pl.String).fill_null("0")
                    for name in ("time_ns", "said", "table", "seq", "row")
                ],
                separator="/",
            )
        ),
        window=pl.lit(window),
    )
    h.run("INSERT INTO run_findings BY NAME SELECT * FROM written", written=written)


@dataclass(frozen=True, slots=True)
class Came:
    """Runs of which records came, and what of findings without a run is told beside them."""

    runs: pl.DataFrame
    """`project`, `run_key`."""
    tasks: pl.DataFrame | None
    """`task_id` of the tasks whose findings without a run are told; None: all of them."""
    first_seq: int
    """The group of the journal with which it began."""


_OF_CAME = """
    (o.run_key IN (SELECT run_key FROM came_runs) OR (o.run_key IS NULL AND {of_tasks} AND (
        o.last_seen_ns >= $since
        OR len(list_filter(o.places, lambda p: split_part(p, '/', -2)::BIGINT >= {first_seq})) > 0)))
"""


def grouped(
    h: Handle,
    project: str,
    since_ns: int,
    *,
    code: str | None = None,
    run_key: str | None = None,
    environment: str | None = None,
    platform_project: str | None = None,
    came: Came | None = None,
) -> pl.DataFrame:
    """Return what runs add up to since *since_ns*, one row per finding, with its first records as `samples`.

    Columns as `rules.findings.describe` takes them; `ever_ns`: when it was first seen at all. *environment*,
    *platform_project*: only what runs of that one add; what belongs to no run has none. *came*: all that these runs
    add, whenever it happened.
    """
    within, frames = "coalesce(o.last_seen_ns >= $since, true)", {}
    if came is not None:
        of_tasks = "true" if came.tasks is None else "o.task_id IN (SELECT task_id FROM came_tasks)"
        within = _OF_CAME.format(of_tasks=of_tasks, first_seq=came.first_seq)
        frames = {"came_runs": came.runs, **({} if came.tasks is None else {"came_tasks": came.tasks})}
    rows = h.frame(
        f"""
        WITH own AS (
            SELECT * FROM run_findings WHERE project = $project AND ($code IS NULL OR code = $code)
              AND ($run_key IS NULL OR run_key = $run_key)
              AND (($environment IS NULL AND $platform_project IS NULL) OR run_key IN (
                SELECT run_key FROM runs WHERE project = $project AND {_CHOSEN}))
        ), seen AS (
            SELECT code, severity, task_id, operation, key, min(first_seen_ns) AS ever_ns, sum(count) AS n
            FROM own GROUP BY code, severity, task_id, operation, key
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY code, severity, task_id ORDER BY n DESC, operation, key) > $most
                   AS rest
            FROM seen
        ), told AS (
            SELECT o.* REPLACE (
                       CASE WHEN NOT r.rest THEN o.operation END AS operation,
                       CASE WHEN NOT r.rest THEN o.key END AS key
                   ), r.ever_ns
            FROM own o JOIN ranked r
              ON r.code = o.code AND r.severity = o.severity AND r.task_id IS NOT DISTINCT FROM o.task_id
             AND r.operation IS NOT DISTINCT FROM o.operation AND r.key IS NOT DISTINCT FROM o.key
            WHERE {within}
        )
        SELECT project, code, severity, task_id, operation, key, sum(count)::BIGINT AS count,
               count(DISTINCT run_key) AS runs, min(first_seen_ns) AS first_seen_ns,
               max(last_seen_ns) AS last_seen_ns, arg_min(since_version, first_seen_ns) AS since_version,
               list_sort(list_distinct(flatten(list(details))))[1:3] AS details,
               list_sort(flatten(list(places)))[1:3] AS places, min(ever_ns) AS ever_ns
        FROM told GROUP BY ALL
        """,  # noqa: S608 -- our own words and numbers
        {
            "project": project,
            "since": since_ns,
            "code": code,
            "run_key": run_key,
            "environment": environment,
            "platform_project": platform_project,
            "most": MOST_GROUPS,
        },
        **frames,
    )
    return rows.with_columns(samples=pl.Series(_samples(h, project, rows["places"].to_list()), dtype=pl.Object))


def _samples(h: Handle, project: str, addresses: list[list[str]]) -> list[list[dict[str, Any]]]:
    """Return the raw records at *addresses*, each with its own `time_ns`."""
    wanted = pl.DataFrame(
        [(*_address(text), i, nth) for i, texts in enumerate(addresses) for nth, text in enumerate(texts)],
        schema={"table": pl.String, "seq": pl.Int64, "row": pl.Int64, "finding": pl.Int64, "nth": pl.Int64},
        orient="row",
    )
    samples: list[list[dict[str, Any]]] = [[] for _ in addresses]
    for table, own_time in (("logs", "time_unix_nano"), ("spans", "start_time_unix_nano")):
        records = wanted.filter(pl.col("table") == table)
        if records.is_empty():
            continue
        seqs = ", ".join(str(n) for n in sorted(set(records["seq"].to_list())))
        run_key, joined = weights.shown(table)
        rows = h.frame(
            f"SELECT a.finding, exact_ns(t.time_source, t.{own_time}, t.time, t.received_ns) AS time_ns, "  # noqa: S608 -- names and numbers of ours
            f"t.* REPLACE ({run_key}) FROM {table} t JOIN records a ON a.seq = t.seq AND a.row = t.row {joined} "
            f"WHERE t.project = $project AND t.seq IN ({seqs}) ORDER BY a.finding, a.nth",
            {"project": project},
            records=records,
        )
        for row in rows.iter_rows(named=True):
            samples[row["finding"]].append(row)
    return samples


def _address(text: str) -> tuple[str, int, int]:
    table, seq, row = text.split("/")[-3:]
    return table, int(seq), int(row)


def totals_of(h: Handle, runs: pl.DataFrame) -> pl.DataFrame:
    """Return the same as `totals`, of the *runs* (`project`, `run_key`) alone."""
    return h.frame(
        "SELECT project, task_id, count(*) AS of_runs, min(task_file) AS task_file FROM runs "
        "SEMI JOIN chosen USING (project, run_key) GROUP BY ALL",
        chosen=runs,
    )


def totals(
    h: Handle, project: str, since_ns: int, environment: str | None = None, platform_project: str | None = None
) -> pl.DataFrame:
    """Return per task how many runs were seen since *since_ns*, and its file: `rules.findings.describe`'s totals."""
    return h.frame(
        "SELECT project, task_id, count(*) AS of_runs, min(task_file) AS task_file FROM runs "  # noqa: S608 -- our own words
        f"WHERE project = $project AND last_seen_ns >= $since AND {_CHOSEN} GROUP BY ALL",
        {"project": project, "since": since_ns, "environment": environment, "platform_project": platform_project},
    )


def compliance(
    h: Handle, project: str, since_ns: int, environment: str | None = None, platform_project: str | None = None
) -> tuple[int, int]:
    """Return how many runs were seen since *since_ns*, and how many of them break no rule at level error."""
    counts = h.frame(
        f"""
        WITH broken AS (
            SELECT DISTINCT run_key FROM run_findings
            WHERE project = $project AND severity = 'error' AND run_key IS NOT NULL
        )
        SELECT count(*) AS runs, count(*) FILTER (b.run_key IS NULL) AS clean
        FROM runs r LEFT JOIN broken b ON b.run_key = r.run_key
        WHERE r.project = $project AND r.last_seen_ns >= $since AND {_CHOSEN}
        """,  # noqa: S608 -- ditto
        {"project": project, "since": since_ns, "environment": environment, "platform_project": platform_project},
    )
    runs, clean = counts.row(0)
    return int(runs), int(clean)


def active_tasks(h: Handle, project: str, since_ns: int) -> pl.DataFrame:
    """Return the tasks that were seen since *since_ns*: `task_id`, `active`."""
    return h.frame(
        "SELECT DISTINCT task_id, true AS active FROM runs WHERE project = $project AND last_seen_ns >= $since",
        {"project": project, "since": since_ns},
    )


def publish(h: Handle, findings: pl.DataFrame) -> int:
    """Write *findings* as the public table, in place of the ones before; return how many there are."""
    h.run("DELETE FROM findings")
    if not findings.is_empty():
        h.run("INSERT INTO findings BY NAME SELECT * FROM findings_now", findings_now=findings)
    return findings.height
