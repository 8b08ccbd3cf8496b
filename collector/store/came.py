"""What came since a time, narrowed down to a scope: whose runs, and how many records of which kind.

Tasks and environments of a record are those of its run, where it has one. A run is of a service where any of its
records is, and then with all of its records: rules look at whole runs.
"""

from __future__ import annotations

import polars as pl

from collector.model.scope import ALL, Scope, Unknown, unknown
from collector.store import findings, weights
from collector.store.findings import Came
from collector.store.handle import Handle
from collector.store.named import queries

_LOGGED = "operation IS NOT NULL OR t.correlation_id IS NOT NULL OR t.request_id IS NOT NULL"


def _grouped(table: str) -> str:
    """Return SQL for the records of raw *table*, counted by run and by what tells whether a rule looks at them."""
    run_key, joined = weights.shown(table)
    own = ("t.source", "t.scope_id", "t.seq < $loose_seq") if table == "logs" else ("NULL", "NULL", "true")
    source, scope, is_early = own
    return f"""
        SELECT '{table}' AS "table", t.project, {run_key}, t.task_id, t.environment, t.resource_id,
               {source} AS source, {scope} AS scope_id, {f"t.{_LOGGED}" if table == "logs" else "false"} AS belongs,
               {is_early} AS is_early, count(*) AS n
        FROM {table} t {joined} WHERE t.project = $project AND t.received_ns >= $since GROUP BY ALL
    """  # noqa: S608 -- our own words


_NAMED = """(len($tasks) = 0 OR list_contains($tasks, task_id))
    AND (len($environments) = 0 OR list_contains($environments, environment))"""
_SERVED = "(len($services) = 0 OR list_contains($services, service))"
"""Whether a record is of those asked for."""
_PLACED = f"""
    WITH grouped AS ({_grouped("logs")} UNION ALL BY NAME {_grouped("spans")}),
    placed AS (
        SELECT g.* REPLACE (
                   CASE WHEN m.run_key IS NULL THEN g.task_id ELSE m.task_id END AS task_id,
                   CASE WHEN m.run_key IS NULL THEN g.environment ELSE m.environment END AS environment
               ), r.service_name AS service
        FROM grouped g LEFT JOIN runs m ON m.project = g.project AND m.run_key = g.run_key
        LEFT JOIN resources r ON r.project = g.project AND r.resource_id = g.resource_id
    ),
    served AS (SELECT DISTINCT run_key FROM placed WHERE list_contains($services, service) AND run_key IS NOT NULL),
    came AS (
        SELECT * FROM placed WHERE {_NAMED} AND ((run_key IS NULL AND {_SERVED}) OR len($services) = 0
            OR run_key IN (FROM served))
    )
"""  # noqa: S608 -- our own words


_SHOWN = f"""
    WITH shown AS (
        SELECT DISTINCT place, split_part(place, '/', -2)::BIGINT AS seq, split_part(place, '/', -1)::BIGINT AS row
        FROM (SELECT unnest(places) AS place FROM run_findings WHERE project = $project AND run_findings.window)
        WHERE split_part(place, '/', -3) = 'logs'
    ), loose AS (
        SELECT s.place, t.task_id, t.environment, r.service_name AS service, {weights.shown("logs")[0]}
        FROM shown s JOIN logs t ON t.seq = s.seq AND t.row = s.row {weights.shown("logs")[1]}
        LEFT JOIN resources r ON r.project = t.project AND r.resource_id = t.resource_id
        WHERE t.project = $project
    )
    SELECT place, {_NAMED} AND {_SERVED} AS inside FROM loose WHERE run_key IS NULL
"""  # noqa: S608 -- ditto
"""SQL for the records of no run that findings are shown by, and whether they are in a scope."""


def runs(h: Handle, project: str, scope: Scope, since_ns: int = 0) -> pl.DataFrame:
    """Return the runs (`project`, `run_key`) in *scope* of which a record was received since *since_ns*."""
    sql = f"{_PLACED} SELECT DISTINCT project, run_key FROM came WHERE run_key IS NOT NULL ORDER BY ALL"  # noqa: S608 -- our own words
    return h.frame(sql, {**_asked(project, scope), "since": since_ns, "loose_seq": 0})


def records(h: Handle, project: str, scope: Scope, since_ns: int = 0) -> pl.DataFrame:
    """Return how many records in *scope* were received since *since_ns*, arrivals that came twice counted twice.

    `n` by `table`, `in_run`, `service`, `is_passed_over` (of no run, and not among those that rules judged), and what
    tells logs of tasks from others (`rules.records.select_task_logs`).
    """
    sql = f"""
        {_PLACED} SELECT "table", run_key IS NOT NULL AS in_run,
                  run_key IS NULL AND is_early AS is_passed_over, service, project, source, scope_id, resource_id,
                  CASE WHEN belongs OR run_key IS NOT NULL THEN '' END AS run_key, sum(n)::BIGINT AS n
        FROM came GROUP BY ALL ORDER BY ALL
    """  # noqa: S608 -- our own words
    return h.frame(sql, {**_asked(project, scope), "since": since_ns, "loose_seq": findings.loose_seq(h)})


def of_findings(h: Handle, project: str, scope: Scope, since_ns: int) -> Came:
    """Return whose findings are told of what was received since *since_ns* in *scope*.

    What only many runs show is told of tasks all of whose runs that came are in *scope*, and of a task that is asked
    for by name alone; what records of no run show, where they are.
    """
    inside = runs(h, project, scope, since_ns)
    first = (
        "SELECT coalesce(min(seq), 0) FROM (SELECT seq FROM logs WHERE project = $project AND received_ns >= $since "
    )
    first += "UNION ALL SELECT seq FROM spans WHERE project = $project AND received_ns >= $since)"
    first_seq = int(h.value(first, {"project": project, "since": since_ns}))
    if not scope:
        return Came(inside, first_seq)
    tasks = h.frame(
        "SELECT task_id FROM runs SEMI JOIN every USING (project, run_key) LEFT JOIN inside USING (project, run_key) "
        "GROUP BY task_id HAVING count(*) = count(inside.run_key)",
        every=runs(h, project, ALL, since_ns),
        inside=inside,
    )
    if not (scope.service or scope.environment):
        tasks = pl.concat([tasks, pl.DataFrame({"task_id": scope.task})]).unique()
    return Came(inside, first_seq, tasks, h.frame(_SHOWN, _asked(project, scope)))


def _asked(project: str, scope: Scope) -> dict[str, object]:
    lists = {"tasks": scope.task, "services": scope.service, "environments": scope.environment}
    return {"project": project, **{name: list(names) for name, names in lists.items()}}


def strangers(h: Handle, project: str, scope: Scope) -> list[Unknown]:
    """Return the names of *scope* that no record of *project* ever had."""
    found: list[Unknown] = []
    for kind, names in scope.kinds():
        known = h.frame(queries()["known_names"].sql, {"project": project, "kind": kind})["value"].to_list()
        found += [said for name in names if (said := unknown(kind, name, known)) is not None]
    return found


def anything(h: Handle, project: str) -> bool:
    """Tell whether any log or span of *project* was ever received."""
    one = "SELECT 1 FROM {} WHERE project = $project LIMIT 1"
    counted = f"SELECT count(*) FROM (({one.format('logs')}) UNION ALL ({one.format('spans')}))"  # noqa: S608 -- our own words
    return bool(h.value(counted, {"project": project}))


def narrowed(loose: dict[str, pl.DataFrame], scope: Scope) -> dict[str, pl.DataFrame]:
    """Return records of no run (`store.looked_at.loose`) that are in *scope*."""
    services = loose["resources"].select("project", "resource_id", service="service_name")
    kept = dict(loose)
    for table in ("logs", "spans"):
        rows = loose[table].join(services, on=["project", "resource_id"], how="left", maintain_order="left")
        columns = {"task": "task_id", "service": "service", "environment": "environment"}
        inside = [pl.col(columns[kind]).is_in(list(names)) for kind, names in scope.kinds()]
        kept[table] = rows.filter(*inside).drop("service")
    return kept
