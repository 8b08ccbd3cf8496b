"""What rules look at: whole runs of which records came, those around them, and records that no run has.

Look-ups are bounded by places and times, and by what is read at one time (`weights`); nothing here judges anything.
"""

from __future__ import annotations

import polars as pl

from collector.model.tables import PUBLIC
from collector.store import run_links, run_tables, weights
from collector.store.ddl import BUILT
from collector.store.handle import Handle
from collector.store.places import Memory, Places, key, within

_KEYS = ["project", "run_key"]


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
