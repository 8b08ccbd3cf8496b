"""What runs add to findings, kept per run, and summed up when asked.

`replace` and `replace_window` write what rules found, `grouped` sums up since a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from collector.store import changes, run_tables, weights
from collector.store.handle import Handle

_CHOSEN = """is_of(environment, $environment)
    AND is_of(platform_project, $platform_project)"""
"""Whether a run is one of those asked for."""
RULES, WINDOW = "rules", "rules_window"
"""Watermarks: of the job that judges runs each by itself, and up to which group what only a window shows was read."""
_JUDGED, _LOOSE = "rules_judged", "rules_loose"
"""Watermark up to which group every run was judged by itself."""
MOST_GROUPS = 50
"""Distinct operations or keys told apart per rule and task; the rest is one finding."""


def clear(h: Handle) -> None:
    """Forget what runs added."""
    h.run("DELETE FROM run_findings WHERE NOT run_findings.window")


def replace(h: Handle, keys: pl.DataFrame, rows: pl.DataFrame, since_ns: int) -> None:
    """Write what the runs *keys* add, *rows*, in place of what they added; nothing of them is older than *since_ns*."""
    h.run(
        "DELETE FROM run_findings USING keys k WHERE last_seen_ns >= $since AND NOT run_findings.window "
        "AND run_findings.project = k.project AND run_findings.run_key = k.run_key",
        {"since": since_ns},
        keys=keys.select("project", "run_key"),
    )
    _insert(h, rows, window=False)


def replace_window(h: Handle, rows: pl.DataFrame, seq: int = 0, loose_seq: int = 0) -> None:
    """Write what a window of runs and loose logs shows, *rows*, in place of what the window before showed.

    *seq*: up to which group all was there when it was read, 0 where that is not known. *loose_seq*: the first group of
    which loose logs were read.
    """
    h.run("DELETE FROM run_findings WHERE run_findings.window")
    _insert(h, rows, window=True)
    changes.move(h, [_LOOSE], 0, loose_seq)
    if seq:
        changes.move(h, [WINDOW], 0, seq)


def note_judged(h: Handle) -> None:
    """Note up to which group runs are judged, each by itself, where none of the run tables waits for it."""
    at = changes.positions(h)
    tick, newest_seq = at[RULES][0], at[run_tables.NAME][1]
    if tick and at[_JUDGED][1] != newest_seq and not changes.unsettled(h, tick):
        changes.move(h, [_JUDGED], 0, newest_seq)


def judged(h: Handle) -> tuple[int, int]:
    """Return up to which group of the journal rules judged runs, each by itself, and what only a window shows."""
    at = changes.positions(h)
    return at[_JUDGED][1] if at[RULES][0] else 0, at[WINDOW][1]


def loose_seq(h: Handle) -> int:
    """Return the first group of the journal of which rules judged records of no run."""
    return changes.positions(h)[_LOOSE][1]


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
    first_seq: int
    """The group of the journal with which it began."""
    tasks: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema={"task_id": pl.String}))
    """`task_id` of the tasks of which is told what only many runs show; NULL: of runs of none."""
    loose: pl.DataFrame | None = None
    """`place` of records of no run that findings are shown by, and whether it is `inside` what came; None: all is."""


_LATELY = """(o.last_seen_ns >= $since
    OR len(list_filter(o.places, lambda p: split_part(p, '/', -2)::BIGINT >= {first_seq})) > 0)"""
_OF_CAME = "(o.run_key IN (SELECT run_key FROM came_runs) OR (o.run_key IS NULL AND {lately}))"
_OF_SCOPE = """
    CASE WHEN coalesce(o.places[1], '') IN (SELECT place FROM came_loose)
        THEN o.places[1] IN (SELECT place FROM came_loose WHERE inside) AND {lately}
    WHEN o.run_key IS NULL
        THEN EXISTS (SELECT 1 FROM came_tasks c WHERE c.task_id IS NOT DISTINCT FROM o.task_id) AND {lately}
    ELSE o.run_key IN (SELECT run_key FROM came_runs) END
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
        lately = _LATELY.format(first_seq=came.first_seq)
        within, frames = _OF_CAME.format(lately=lately), {"came_runs": came.runs}
        if came.loose is not None:
            within = _OF_SCOPE.format(lately=lately)
            frames |= {"came_tasks": came.tasks, "came_loose": came.loose}
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
