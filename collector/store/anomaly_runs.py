"""The runs behind an anomaly: those of its subject in its span, which of them are affected, and what they break."""

# ruff: noqa: S608 -- queries are put together from names of ours; values are parameters

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from collector.model.report import Kind
from collector.model.units import DAY_NS
from collector.store.anomaly_kinds import KNOWN, SOURCES
from collector.store.handle import Handle

MOST = 20_000
"""Runs looked at for one anomaly: the newest."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose runs, and from when to when. *threshold_ns*: beyond which a duration is affected; *is_faster*: below it."""

    kind: Kind
    name: str
    task_id: str | None
    environment: str | None
    platform_project: str | None
    detail: str
    from_ns: int
    to_ns: int
    threshold_ns: int | None = None
    is_faster: bool = False
    run_keys: tuple[str, ...] = ()
    """Affected runs, where they are known already."""


def runs(h: Handle, project: str, asked: Asked) -> pl.DataFrame:
    """Return the live runs of a span, newest first: run_key, run_id, task_id, at_ns, status, affected, dimensions.

    Dimensions: version, queue, machine, tags (list), error_group, services (list: what the run called). *affected* is
    NULL where it is not known. The version of a run that its attempts tell is that of the affected one.
    """
    who = KNOWN if asked.run_keys else SOURCES[asked.kind].runs
    rows = h.frame(
        f"""
        WITH live AS (SELECT * FROM runs WHERE project = $project AND is_live(environment, is_test, is_replay)
                      AND is_of(environment, $environment) AND is_of(platform_project, $platform_project)
                      AND held_until_ns >= $from - 86400000000000 AND held_from_ns < $to + 86400000000000),
        who AS ({who})
        SELECT r.run_key, r.run_id, r.task_id, r.at_ns, r.status, w.affected, w.version, r.queue, r.machine, r.tags,
               r.error_group
        FROM live r JOIN who w USING (run_key) ORDER BY r.at_ns DESC, r.run_key LIMIT {MOST}
        """,
        _parameters(project, asked, who),
    )
    keys = rows.select("run_key")
    called = h.frame(
        "SELECT run_key, list_sort(list(DISTINCT called_service)) AS services FROM phases "
        "SEMI JOIN keys USING (run_key) WHERE project = $project AND called_service IS NOT NULL "
        "AND coalesce(started_ns, ended_ns) >= $from GROUP BY run_key",
        {"project": project, "from": asked.from_ns - DAY_NS},
        keys=keys,
    )
    return rows.join(called, on="run_key", how="left", maintain_order="left")


def affected_keys(h: Handle, project: str, asked: Asked) -> list[str]:
    """Return the keys of those runs that are affected."""
    return runs(h, project, asked).filter(pl.col("affected").fill_null(False))["run_key"].to_list()


def _parameters(project: str, asked: Asked, sql: str) -> dict[str, object]:
    choices: dict[str, object] = {
        "threshold": asked.threshold_ns if asked.threshold_ns is not None else 10**9,
        "is_faster": asked.is_faster,
        "name": asked.name,
        "task": asked.task_id,
        "detail": asked.detail,
        "keys": list(asked.run_keys),
    }
    whose = {"environment": asked.environment, "platform_project": asked.platform_project}
    fixed = {"project": project, "from": asked.from_ns, "to": asked.to_ns}
    return {**fixed, **whose, **{name: value for name, value in choices.items() if f"${name}" in sql}}


def broken(h: Handle, project: str, keys: list[str]) -> list[str]:
    """Return the codes of conventions that the runs *keys* break, the commonest first, notes left out."""
    if not keys:
        return []
    wanted = pl.DataFrame({"run_key": keys})
    codes = h.frame(
        "SELECT code, count(DISTINCT run_key) AS n FROM run_findings SEMI JOIN wanted USING (run_key) "
        "WHERE project = $project AND severity <> 'info' GROUP BY code ORDER BY n DESC, code",
        {"project": project},
        wanted=wanted,
    )
    return codes["code"].to_list()
