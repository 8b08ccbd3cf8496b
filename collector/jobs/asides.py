"""Setting a run aside: its row says that it could not be worked out and why, and no other run table has it.

It changes like any other run, so whatever is kept of runs takes back what its rows before said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import polars as pl
import structlog

from collector.model.units import MINUTE_NS
from collector.store import aside, run_links, run_tables, weights
from collector.store.aside import Aside
from collector.store.database import Database
from collector.store.errors import is_of_data
from collector.store.handle import Handle
from collector.store.places import Memory, Places

Run = tuple[str, str]
"""Project and run key."""
_RUN = ["project", "run_key"]
_PARTS = ("attempts", "phases", "waits")
_PAUSE_SHARE, _LONGEST_PAUSE_NS = 8, MINUTE_NS
"""A run is tried again an eighth of the time after it changed that it has been set aside, a minute at most."""


def patience(seconds: float) -> Callable[[], bool]:
    """Return what tells whether *seconds* have passed since."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


def begin(h: Handle) -> pl.DataFrame:
    """Make every run due that is set aside, or left out by a rule: an upgrade may have mended it. Return the former."""
    runs = aside.runs(h)
    run_tables.owe(h, pl.concat([runs.select("project", "run_key"), aside.judged(h)]).unique(), 0)
    return runs


def owe(h: Handle, runs: pl.DataFrame, as_of_ns: int) -> None:
    """Have *runs* (`aside.runs`), which changed, tried again after a pause."""
    pause = pl.min_horizontal((as_of_ns - pl.col("since_ns")).clip(0) // _PAUSE_SHARE, pl.lit(_LONGEST_PAUSE_NS))
    run_tables.owe(h, runs.with_columns(due_ns=as_of_ns + pause), sooner=True)


def shortened(h: Handle, runs: pl.DataFrame, heavy: pl.DataFrame, stage: str, as_of_ns: int) -> pl.DataFrame:
    """Return the rows *runs*, where those of *heavy* (`weights.weigh`) say that not all of their records were read.

    They are noted like runs that are set aside, so that each is read again after a pause, however often it changes.
    """
    mib = weights.MOST_OF_RUN // 2**20
    why = pl.format(
        "its {} records are more than can be looked at together: the first and the last of them count, {} MiB in all",
        "records",
        pl.lit(mib),
    )
    told = runs.join(heavy.select(*_RUN, why=why), on=_RUN, how="left", maintain_order="left")
    told = told.with_columns(set_aside=pl.coalesce("why", "set_aside"))
    columns = (*_RUN, "set_aside", "run_id", "first_seq", "last_seq")
    aside.note(
        h,
        (
            Aside(project, stage, "run", key, reason, as_of_ns, run_id=run_id, first_seq=first, last_seq=last)
            for project, key, reason, run_id, first, last in told.filter(pl.col("why").is_not_null())
            .select(columns)
            .iter_rows()
        ),
    )
    return told.drop("why")


def set_aside(
    database: Database, memory: Memory, failed: Sequence[tuple[Run, BaseException]], stage: str, as_of_ns: int
) -> None:
    """Set runs aside that *stage* could not work out: together, or where that fails each by itself."""
    if not failed:
        return
    work = partial(_set_aside, memory=memory, stage=stage, as_of_ns=as_of_ns)
    try:
        database.writing(partial(work, failed=failed))
    except Exception as e:
        if not is_of_data(e):
            raise
        for one in failed:
            try:
                database.writing(partial(work, failed=[one]))
            except Exception as again:
                if not is_of_data(again):
                    raise
                database.writing(partial(work, failed=[one], unread=True))
    for (_, run_key), error in failed:
        structlog.get_logger().error("run_build_failed", stage=stage, run_key=run_key, error_type=type(error).__name__)
    memory.recent.clear()
    memory.aside = database.reading(aside.runs)


def _set_aside(
    h: Handle,
    memory: Memory,
    failed: Sequence[tuple[Run, BaseException]],
    stage: str,
    as_of_ns: int,
    *,
    unread: bool = False,
) -> None:
    upto = run_tables.reached(h)
    places = Places(h, memory, upto)
    runs = pl.DataFrame([run for run, _ in failed], schema=run_links.KEYS, orient="row")
    rows = pl.concat(
        aside.bare(h, places, runs[i], aside.reason(why), as_of_ns, unread=unread) for i, (_, why) in enumerate(failed)
    )
    empty = {name: h.frame(f"SELECT * EXCLUDE (built_seq) FROM {name} LIMIT 0") for name in _PARTS}  # noqa: S608 -- our names
    run_tables.replace(h, places, runs, [("runs", rows), *empty.items()], upto)
    aside.note(
        h,
        (
            Aside(
                r["project"],
                stage,
                "run",
                r["run_key"],
                r["set_aside"],
                as_of_ns,
                run_id=r["run_id"],
                first_seq=r["first_seq"],
                last_seq=r["last_seq"],
            )
            for r in rows.iter_rows(named=True)
        ),
    )
