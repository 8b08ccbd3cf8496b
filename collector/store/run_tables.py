"""Facts and rows of the run model in DuckDB: what is new, which runs it touches, their records, their rows.

Called by `jobs.runs` inside one writing transaction: `advance` appends facts and names the dirty runs,
`records` returns everything known of them, `replace` writes their rows. Decides whose a record is and who triggered
whom (`run_links`), and nothing else about a run. Nothing here reads a table as a whole: journal numbers or `places`
bound every look-up.
"""

from __future__ import annotations

import polars as pl

from collector.model.believable import LONGEST_NS
from collector.store import CATALOG, changes, earlier, parting, run_links, weights
from collector.store.apply import NAME as APPLIED
from collector.store.apply import watermark
from collector.store.handle import Handle
from collector.store.places import Places, key, within
from collector.store.recent import Changes, Tables, kept_columns
from collector.store.run_links import KEYS
from collector.store.statements import BARE, common

NAME = "runs"
"""Name of this job's watermark; its `row` counts ticks."""
_MOST_DUE = 5_000
"""Runs that are due, taken up in one tick: after an upgrade it may be all of them."""
_HELD = (
    # No wait and no slot begins earlier than twice the longest there is before the run was last seen.
    "greatest(least(queued_ns, taken_ns, started_ns, first_seen_ns), "
    f"coalesce(last_seen_ns, first_seen_ns) - {2 * LONGEST_NS}) AS held_from_ns, "
    # Who waits with its slot given back may hold it all the same, however long it is silent.
    f"greatest(ended_ns, last_seen_ns, due_ns, CASE WHEN is_away THEN last_seen_ns + {LONGEST_NS} END) AS held_until_ns"
)


def pending(h: Handle, most_rows: int) -> tuple[int, int]:
    """Return (done, upto): the seq this job has done, and the one to go to next, about *most_rows* ahead.

    Batches without logs and spans count as done with the ones before them: the last one reaches what is applied.
    """
    done = watermark(h, NAME)
    applied = watermark(h, APPLIED)
    upto = h.frame(
        """
        WITH counted AS (
            SELECT seq, count(*) AS n FROM (
                SELECT seq FROM logs WHERE seq > $done UNION ALL SELECT seq FROM spans WHERE seq > $done
            ) GROUP BY seq
        ), running AS (SELECT seq, sum(n) OVER (ORDER BY seq) AS total, n FROM counted)
        SELECT coalesce(min(seq) FILTER (total >= $most), $applied) AS upto FROM running
        """,
        {"done": done, "most": most_rows, "applied": applied},
    ).item()
    return int(done), int(upto)


def reached(h: Handle) -> int:
    """Return how far the journal is in the run tables."""
    return watermark(h, NAME)


def due(
    h: Handle, as_of_ns: int, set_aside: pl.DataFrame | None = None, *, only_those: bool = False, upgrade: bool = True
) -> pl.DataFrame:
    """Return the runs, some thousand, that are owed or whose rows the clock may change by *as_of_ns*.

    *set_aside* (`project`, `run_key`): runs that are left out, or with *only_those* those alone. *upgrade*: those too
    that are only to be built again since an upgrade or a start.
    """
    some = set_aside is not None and not set_aside.is_empty()
    join = "SEMI" if only_those else "ANTI"
    return h.frame(
        # What the clock says first: an upgrade may have every run built again.
        "SELECT project, run_key, max(due_ns) AS due_ns FROM run_due "  # noqa: S608 -- our own words
        f"{f'{join} JOIN known USING (project, run_key) ' if some else ''}WHERE due_ns <= $as_of "
        f"{'' if upgrade else 'AND due_ns > 0 '}GROUP BY ALL ORDER BY due_ns DESC, run_key LIMIT $most",
        {"as_of": as_of_ns, "most": _MOST_DUE},
        **({"known": set_aside} if some else {}),
    ).select(KEYS.names())


def owe(h: Handle, runs: pl.DataFrame, since_ns: int | None = None, *, sooner: bool = False) -> None:
    """Note that the rows of *runs* (`project`, `run_key`) are to be made again from *since_ns*, or `due_ns`, on.

    *sooner*: or from when they are due already, where that is sooner.
    """
    if runs.is_empty():
        return
    owed = runs if since_ns is None else runs.with_columns(due_ns=pl.lit(since_ns, pl.Int64))
    owed = owed.select(*KEYS.names(), "due_ns")
    if sooner:
        owed = h.frame(
            "SELECT project, run_key, min(due_ns) AS due_ns FROM (SELECT * FROM owed UNION ALL BY NAME "
            "SELECT project, run_key, due_ns FROM run_due SEMI JOIN owed USING (project, run_key)) GROUP BY ALL",
            owed=owed,
        )
    h.run(
        "DELETE FROM run_due USING owed o WHERE run_due.project = o.project AND run_due.run_key = o.run_key", owed=owed
    )
    h.run("INSERT INTO run_due BY NAME SELECT * FROM owed", owed=owed)


WHOSE = "coalesce(run_key, 'trace ' || coalesce(trace_id, ''))"
"""Whose a record is: a run's by its key, else a trace's."""


def show(h: Handle, done: int, whose: list[tuple[str, str]], *, only: bool) -> None:
    """Let statements of this transaction see the records of *whose* (project, `WHOSE`) after journal number *done*
    alone, or all but them.

    Temporary views hide the raw tables; they end with the connection.
    """
    named = pl.DataFrame(whose, schema=KEYS, orient="row")
    h.run("CREATE OR REPLACE TEMP TABLE shown_runs AS SELECT * FROM named", named=named)
    for table in ("logs", "spans"):
        h.run(
            f"CREATE OR REPLACE TEMP VIEW {table} AS SELECT t.* FROM {CATALOG}.main.{table} t WHERE seq <= {done} OR "  # noqa: S608 -- names and numbers of ours
            f"{'' if only else 'NOT '}(project, {WHOSE}) IN (SELECT (project, run_key) FROM shown_runs)"
        )


def advance(
    h: Handle,
    places: Places,
    done: int,
    upto: int,
    *,
    as_of_ns: int,
    adopt_ns: int,
    set_aside: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Append the facts of batches (*done*, *upto*] and return the runs to recompute: project, run_key.

    *adopt_ns*: for how long a log that names no run and the span it stands in may arrive apart. *set_aside*: runs that
    are not returned for being due.
    """
    dirty_now = due(h, as_of_ns, set_aside)
    if upto <= done:
        return dirty_now
    window = {"done": done, "upto": upto}
    said = h.frame(
        """
        SELECT project, dialect, run_id, run_key, min(rank)::BIGINT AS rank, min(seq) AS low, max(seq) AS high FROM (
            SELECT project, dialect, run_id, run_key, $own AS rank, seq FROM spans WHERE seq > $done AND seq <= $upto
            UNION ALL SELECT project, dialect, run_id, run_key, CASE WHEN keys_from IS NULL THEN $own ELSE $heard END,
                seq FROM logs WHERE seq > $done AND seq <= $upto
        ) WHERE run_key IS NOT NULL GROUP BY ALL
        """,
        {**window, "own": parting.OWN, "heard": parting.HEARD},
    )
    adopted = _adopt_orphans(h, window, adopt_ns)
    links = run_links.append(h, places, window)
    moved = places.statements.take_up(places, pl.concat([said, links.named]), done, upto)
    places.note(adopted.with_columns(key(), low="seq", high="seq"))
    names = KEYS.names()
    touched = pl.concat([said.select(names), adopted.select(names), _taken_from(h, adopted)])
    above = pl.concat([places.statements.runs(links.reached), moved])
    dirty = [dirty_now, places.statements.runs(touched), run_links.descendants(h, places, above)]
    return places.statements.bases(pl.concat(dirty)).unique()


def _taken_from(h: Handle, adopted: pl.DataFrame) -> pl.DataFrame:
    """Return the runs that *adopted* logs name in a body or a map, and that have them no more."""
    if adopted.is_empty():
        return adopted.select(KEYS.names())
    low, high = adopted["seq"].min(), adopted["seq"].max()
    return h.frame(
        "SELECT DISTINCT project, run_key FROM logs SEMI JOIN (SELECT project, seq, row FROM adopted) "
        "USING (project, seq, row) WHERE run_key IS NOT NULL AND seq BETWEEN $low AND $high",
        {"low": low, "high": high},
        adopted=adopted,
    )


_SAME_RUN = " AND ".join(
    [
        "(o.run_id IS NULL OR (k.run_id = o.run_id AND k.run_key <> o.run_key",
        *(f"(o.{c} IS NULL OR k.{c} IS NULL OR o.{c} = k.{c})" for c in ("environment", "queue")),
    ]
)
_SAME_RUN += "))"
"""Whether orphan *o* may be of the run that span *k* states: it names none, or the same one and nothing else of it."""


def _adopt_orphans(h: Handle, window: dict[str, int], adopt_ns: int) -> pl.DataFrame:
    """Give logs whose attributes name no run those of their spans, whichever of the two is new; return those logs.

    So with those that name it by a bare number alone: the span that they stand in may state which of several it is.
    The other one is looked for among what was received up to *adopt_ns* before the new records.
    """
    oldest = h.value(
        """
        SELECT min(received_ns) FROM (
            SELECT received_ns FROM spans WHERE seq > $done AND seq <= $upto
            UNION ALL SELECT received_ns FROM logs WHERE seq > $done AND seq <= $upto
        )
        """,
        window,
    )
    since = {"since": int(oldest or 0) - adopt_ns}
    h.run("DELETE FROM log_orphans WHERE received_ns < $since", since)
    h.run(
        f"""
        INSERT INTO log_orphans BY NAME SELECT project, received_ns, seq, row, trace_id, span_id, run_key,
            CASE WHEN keys_from IS NULL THEN run_id END AS run_id, environment, queue FROM logs
        WHERE seq > $done AND seq <= $upto
          AND (run_key IS NULL OR keys_from IS NOT NULL OR ({BARE} AND (environment IS NULL OR queue IS NULL)))
          AND trace_id IS NOT NULL AND span_id IS NOT NULL
        """,  # noqa: S608 -- our own words
        window,
    )
    adopted = h.frame(
        f"""
        WITH fresh AS (SELECT * FROM log_orphans WHERE seq > $done),
        told AS (
            SELECT DISTINCT project, trace_id, CASE WHEN is_partial THEN real_span_id ELSE span_id END AS span_id,
                   run_key, attempt, run_id, environment, queue
            FROM spans WHERE run_key IS NOT NULL AND seq > $done AND seq <= $upto
        ), known AS (
            SELECT DISTINCT project, trace_id, CASE WHEN is_partial THEN real_span_id ELSE span_id END AS span_id,
                   run_key, attempt, run_id, environment, queue
            FROM spans SEMI JOIN fresh USING (project, trace_id)
            WHERE run_key IS NOT NULL AND seq <= $upto AND received_ns >= $since
        )
        SELECT o.project, o.seq, o.row, k.run_key, k.attempt, o.run_key IS NOT NULL AS states FROM fresh o
        JOIN known k USING (project, trace_id, span_id) WHERE {_SAME_RUN}
        UNION
        SELECT o.project, o.seq, o.row, k.run_key, k.attempt, o.run_key IS NOT NULL AS states FROM log_orphans o
        JOIN told k USING (project, trace_id, span_id) WHERE {_SAME_RUN}
        """,  # noqa: S608 -- ditto
        {**window, **since},
    )
    if not adopted.is_empty():
        low, high = adopted["seq"].min(), adopted["seq"].max()
        h.run(
            """
            INSERT INTO log_runs BY NAME SELECT f.* FROM adopted f
            ANTI JOIN (SELECT * FROM log_runs WHERE seq BETWEEN $low AND $high) l
                ON l.project = f.project AND l.seq = f.seq AND l.row = f.row
                AND l.run_key = f.run_key AND l.attempt IS NOT DISTINCT FROM f.attempt
            """,
            {"low": low, "high": high},
            adopted=adopted,
        )
    return adopted


def weigh(h: Handle, places: Places, runs: pl.DataFrame) -> pl.DataFrame:
    """Return what *runs* weigh to be made again (`weights.weigh`): the first ones of a number that was given again."""
    runs = places.statements.bases(runs)
    return weights.weigh(h, places, runs, places.statements.whole(runs))


def records(h: Handle, places: Places, weighed: pl.DataFrame, whose: pl.DataFrame | None = None) -> Tables:
    """Return the records of the runs *weighed* (`weights.weigh`), raw `spans` and `logs`: of heavy ones not all.

    They have the key of their run. *whose*: as `weights.weigh` was told.
    """
    whose = places.statements.of(weighed) if whose is None else whose
    ranges = places.ranges(whose.select(key()))
    heavy = weights.heavy(weighed).select("project", of="run_key")
    lighter = whose.join(heavy, on=heavy.columns, how="anti")
    tables = {name: h.frame(weights.own(name, lighter, ranges), whose=lighter) for name in ("spans", "logs")}
    if not heavy.is_empty():
        ends = weights.ends(h, whose.join(heavy, on=heavy.columns, how="semi"), ranges)
        tables = {name: pl.concat([rows, ends[name]]) for name, rows in tables.items()}
    return {name: earlier.with_project(h, rows) for name, rows in tables.items()}


def rooted(h: Handle, places: Places, links: pl.DataFrame, rows: pl.DataFrame, as_of_ns: int) -> pl.DataFrame:
    """Return *rows* of `runs` with the root that *links* (`run_links.parents`) lead to.

    A run that is told now who made it, or that nobody it was thought of did, gives those below it another root: they
    are owed from *as_of_ns* on.
    """
    if links.is_empty():
        return rows
    turned = run_links.turned(h, places, links, rows)
    below = run_links.descendants(h, places, turned).join(rows, on=KEYS.names(), how="anti")
    owe(h, below, as_of_ns)
    roots = run_links.with_roots(h, places, links, rows).select(*KEYS.names(), found="root_run_id")
    return (
        rows.join(roots, on=KEYS.names(), how="left", maintain_order="left")
        .with_columns(root_run_id=pl.coalesce("found", "root_run_id"))
        .drop("found")
    )


def marked(places: Places, rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows* of `runs` with those `ambiguous` whose records may be of one of several runs."""
    doubtful = places.statements.ambiguous(rows.select(KEYS.names()))
    if doubtful.is_empty():
        return rows
    return (
        rows.join(doubtful.with_columns(found=pl.lit(True)), on=KEYS.names(), how="left", maintain_order="left")
        .with_columns(ambiguous=pl.coalesce("found", "ambiguous"))
        .drop("found")
    )


def replace(h: Handle, places: Places, dirty: pl.DataFrame, rows: list[tuple[str, pl.DataFrame]], upto: int) -> Changes:
    """Write the *rows* of the *dirty* runs in place of what stood there, move the watermark to *upto*; return both."""
    keys = dirty.select(key())
    built = within("built_seq", places.built(keys))
    tick = changes.positions(h)[NAME][0] + 1
    changed = changes.keep(h, tick, upto, dirty, built, kept_columns(rows))
    told = dict(rows)["runs"].filter(pl.col("run_id").is_not_null())
    places.note(places.lone(told).select(key(), common(), low=pl.lit(upto), high=pl.lit(upto)))
    due_ns = pl.min_horizontal("dequeued_ns", pl.col("started_ns") - pl.col("queue_wait_ns"))
    waits = dict(rows)["waits"].filter(pl.col("ended_ns").is_null() & pl.col("released_ns").is_not_null())
    away = waits.select(*KEYS.names(), number="attempt", is_away=pl.lit(True)).unique()
    taken = (
        dict(rows)["attempts"]
        .join(away, on=[*KEYS.names(), "number"], how="left", nulls_equal=True)
        .group_by(KEYS.names())
        .agg(taken_ns=due_ns.min(), is_away=(pl.col("is_away") & pl.col("ended_ns").is_null()).any())
    )
    for table, frame in rows:
        if built != "false":
            h.run(
                f"DELETE FROM {table} USING dirty d WHERE {built} "  # noqa: S608 -- our own table names, numbers
                f"AND {table}.project = d.project AND {table}.run_key = d.run_key",
                dirty=dirty,
            )
        if not frame.is_empty():
            held = "" if table != "runs" else f", {_HELD}"
            joined = "" if table != "runs" else " LEFT JOIN taken USING (project, run_key)"
            h.run(
                f"INSERT INTO {table} BY NAME SELECT frame.*, {upto} AS built_seq{held} FROM frame{joined}",  # noqa: S608 -- ditto
                frame=frame,
                taken=taken,
            )
        if table == "runs":
            h.run(
                "DELETE FROM run_due USING dirty d WHERE run_due.project = d.project AND run_due.run_key = d.run_key",
                dirty=dirty,
            )
            due = frame.select("project", "run_key", "due_ns").drop_nulls()
            h.run("INSERT INTO run_due BY NAME SELECT * FROM due", due=due)
    places.save(keys)
    changes.move(h, [NAME], tick, upto)
    return changed
