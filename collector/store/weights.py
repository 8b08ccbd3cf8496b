"""What the records of runs weigh in memory, so that whoever reads whole runs takes as many at a time as fit.

A weight is bytes: what a record costs in a frame whatever it says, and its long texts twice, whichever they are. Of a
run that is heavier than one may be, its first and its last records are read, in the order they came, and what is left
out is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl
import pyarrow as pa

from collector.model.tables import EVENT, SAYS, WIRE
from collector.store.handle import Handle
from collector.store.places import Places, Ranges, key, within

MOST = 32 * 2**20
"""What is read of runs at one time."""
MOST_OF_RUN = 48 * 2**20
"""What is read of one run."""
_KEYS = ["project", "run_key"]
RECORD = 640
"""Bytes of a record without its long texts."""
_LONG = {"logs": ("body", "attributes", "error_message"), "spans": ("attributes", "events", "links", "error_stack")}
"""Texts that may be long in any record. All others together have room in `RECORD`, where nobody means harm."""


def _size(table: str) -> str:
    texts = [field.name for field in WIRE[table] if pa.types.is_string(field.type)]
    long = _bytes(_LONG[table])
    short = _bytes(text for text in texts if text not in _LONG[table])
    return f"({RECORD} + 2 * ({long} + greatest(0, {short} - {RECORD})))"


def _bytes(texts: Iterable[str]) -> str:
    return " + ".join(f"coalesce(strlen({text}), 0)" for text in texts)


SIZE = {table: _size(table) for table in _LONG}
"""Raw table → the weight of one of its rows, in SQL."""


_OF_STRANGER = "l.keys_from IS NOT NULL AND n.of IS NULL"
_ADOPTED = ", ".join(
    [
        *(
            f"CASE WHEN NOT ({_OF_STRANGER}) THEN l.{name} END AS {name}"
            for name in ("run_id", *(set(SAYS) - {"attempt"}))
        ),
        *(f"CASE WHEN l.keys_from IS DISTINCT FROM 'body' THEN l.{name} END AS {name}" for name in EVENT),
        "CASE WHEN l.keys_from IS NULL THEN coalesce(l.attempt, r.attempt) ELSE r.attempt END AS attempt",
        "w.of AS run_key",
        "NULL AS keys_from",
    ]
)
"""What a log says of the run that it stands in."""
BEGAN = {"logs": "time_unix_nano", "spans": "start_time_unix_nano"}
"""Raw table → the column of when a record begins."""


def in_time(table: str, t: str = "t", whose: str = "w") -> str:
    """Return SQL that tells whether a row *t* of raw *table* begins within bounds of *whose* (`statements.WHOSE`)."""
    began = f"exact_ns({t}.time_source, {t}.{BEGAN[table]}, {t}.time, {t}.received_ns)"
    return (
        f"({whose}.from_ns IS NULL OR {began} >= {whose}.from_ns) "
        f"AND ({whose}.until_ns IS NULL OR {began} < {whose}.until_ns)"
    )


def shown(table: str, t: str = "t") -> tuple[str, str]:
    """Return (SQL for the key of the run that a row *t* of raw *table* states, what is to be joined to *t* for it)."""
    stated, adopted = f"{t}.run_key", ""
    if table == "logs":
        stated = f"coalesce(a.span_key, {t}.run_key)"
        adopted = f"LEFT JOIN given_logs a ON a.of_project = {t}.project AND a.of_seq = {t}.seq AND a.of_row = {t}.row "
    moved = f"LEFT JOIN moved_keys w ON w.of_project = {t}.project AND w.stated_key = {stated} AND {in_time(table, t)}"
    return f"coalesce(w.of_run_key, {stated}) AS run_key", adopted + moved


def own(table: str, whose: pl.DataFrame, ranges: Ranges) -> str:
    """Return SQL for the rows of raw *table* that are of a run by *whose* (`statements.WHOSE`), with its key.

    The statement sees that frame as `whose`. *ranges*: where in the journal they may be (`Places.ranges`). A log in a
    span of a run is that run's by a key of its own (`log_runs`). The run that keys in its body or a map name has it no
    more, and they say nothing of another one; nor has one that could be several.
    """
    is_cut = whose["until_ns"].count() + whose["from_ns"].count() > 0
    at, adopted_at = (f" AND {in_time(table, t)}" if is_cut else "" for t in "tl")
    its = f"t.project = w.project AND t.run_key = w.run_key{at}"
    if table != "logs":
        return (
            f"SELECT t.* REPLACE (w.of AS run_key) FROM {table} t JOIN whose w ON {its} WHERE {within('t.seq', ranges)}"  # noqa: S608 -- ranges of numbers
        )
    return f"""
        SELECT t.* REPLACE (w.of AS run_key) FROM logs t JOIN whose w ON {its}
        ANTI JOIN log_runs r ON r.project = t.project AND r.seq = t.seq AND r.row = t.row AND r.states
        WHERE {within("t.seq", ranges)}
        UNION ALL BY NAME
        SELECT l.* REPLACE ({_ADOPTED})
        FROM log_runs r JOIN whose w ON w.project = r.project AND w.run_key = r.run_key
        JOIN logs l ON l.project = r.project AND l.seq = r.seq AND l.row = r.row{adopted_at}
        LEFT JOIN (SELECT DISTINCT project, run_key, of FROM whose) n
            ON n.project = l.project AND n.run_key = l.run_key AND n.of = w.of
        WHERE {within("l.seq", ranges)} AND {within("r.seq", ranges)}
    """  # noqa: S608 -- ranges of numbers


def weigh(h: Handle, places: Places, runs: pl.DataFrame, whose: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return *runs* (`project`, `run_key`) with how many `records` they have and their `weight`, the lightest first.

    *whose*: whose keys are theirs (`statements.WHOSE`), where `Statements.of` is not meant.
    """
    whose = places.statements.of(runs) if whose is None else whose
    ranges = places.ranges(whose.select(key()))
    of_table = " UNION ALL ".join(
        f"SELECT project, run_key, count(*) AS n, sum({size}) AS bytes FROM ({own(table, whose, ranges)}) GROUP BY ALL"  # noqa: S608 -- names and numbers of ours
        for table, size in SIZE.items()
    )
    return h.frame(
        "SELECT project, run_key, coalesce(sum(n), 0)::BIGINT AS records, "  # noqa: S608 -- ditto
        f"coalesce(sum(bytes), 0)::BIGINT + {RECORD} AS weight "
        f"FROM runs_ LEFT JOIN ({of_table}) USING (project, run_key) GROUP BY ALL ORDER BY weight, run_key",
        runs_=runs.select(_KEYS).unique(),
        whose=whose,
    )


def fitting(weighed: pl.DataFrame, most: int | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (those of *weighed* that fit into *most*, else `MOST`, from the first on, at least one; the others)."""
    within_most = pl.col("weight").clip(0, MOST_OF_RUN).cum_sum() <= (MOST if most is None else most)
    n = max(1, weighed.select(within_most.sum()).item())
    return weighed[:n], weighed[n:]


def parts(weighed: pl.DataFrame, most: int | None = None) -> Iterator[pl.DataFrame]:
    """Yield *weighed* in parts that fit, none if there is nothing."""
    while not weighed.is_empty():
        part, weighed = fitting(weighed, most)
        yield part


def heavy(weighed: pl.DataFrame) -> pl.DataFrame:
    """Return those of *weighed* of which not every record is read."""
    return weighed.filter(pl.col("weight") > MOST_OF_RUN)


def ends(h: Handle, whose: pl.DataFrame, ranges: Ranges) -> dict[str, pl.DataFrame]:
    """Return raw `spans` and `logs` of the runs of *whose* that came first and last, half of `MOST_OF_RUN` each.

    Of a run whose records name it, logs that name it in a body or a map are none of them: masses of what a stranger
    sent would leave no room for what counts.
    """
    sized = " UNION ALL ".join(
        f"SELECT '{table}' AS name, project, run_key, seq, row, {size} AS bytes, "  # noqa: S608 -- names and numbers of ours
        f"{'keys_from IS NULL' if table == 'logs' else 'true'} AS own FROM ({own(table, whose, ranges)})"
        for table, size in SIZE.items()
    )
    kept = h.frame(
        f"""
        SELECT name, project, run_key, seq, row FROM (
            SELECT *, sum(bytes) OVER (PARTITION BY project, run_key ORDER BY seq, row, name) AS up,
                   sum(bytes) OVER (PARTITION BY project, run_key ORDER BY seq DESC, row DESC, name DESC) AS down
            FROM (FROM ({sized}) QUALIFY own OR NOT bool_or(own) OVER (PARTITION BY project, run_key))
        ) WHERE up <= $half OR down <= $half
        """,  # noqa: S608 -- ditto
        {"half": MOST_OF_RUN // 2},
        whose=whose,
    )
    return {
        table: h.frame(
            f"SELECT * FROM ({own(table, whose, ranges)}) SEMI JOIN kept USING (project, run_key, seq, row)",  # noqa: S608 -- ditto
            whose=whose,
            kept=kept.filter(pl.col("name") == table),
        )
        for table in SIZE
    }
