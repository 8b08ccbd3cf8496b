"""Setting a run aside: its row says that it could not be worked out and why, and no other run table has it.

It changes like any other run, so whatever is kept of runs takes back what its rows before said.
"""

from __future__ import annotations

from functools import partial

import polars as pl
import structlog

from collector.store import aside, run_links, run_tables
from collector.store.aside import Aside
from collector.store.database import Database, Handle, is_of_data
from collector.store.places import Memory, Places

Run = tuple[str, str]
"""Project and run key."""
_PARTS = ("attempts", "phases", "waits")


def begin(h: Handle) -> pl.DataFrame:
    """Make every run due that is set aside, or left out by a rule: an upgrade may have mended it. Return the former."""
    found = aside.runs(h)
    run_tables.owe(h, pl.concat([found, aside.judged(h)]).unique(), 0)
    return found


def set_aside(database: Database, memory: Memory, run: Run, stage: str, error: BaseException, as_of_ns: int) -> None:
    """Set *run* aside, in a transaction of its own: *stage* could not work it out, as *error* says."""
    row = pl.DataFrame([run], schema=run_links.KEYS, orient="row")
    why = aside.reason(error)
    work = partial(_set_aside, memory=memory, run=row, stage=stage, why=why, as_of_ns=as_of_ns)
    try:
        database.writing(work)
    except Exception as e:
        if not is_of_data(e):
            raise
        database.writing(partial(work, unread=True))
    structlog.get_logger().error("run_build_failed", stage=stage, run_key=run[1], error_type=type(error).__name__)
    memory.aside = database.reading(aside.runs)


def _set_aside(
    h: Handle, memory: Memory, run: pl.DataFrame, stage: str, why: str, as_of_ns: int, *, unread: bool = False
) -> None:
    upto = run_tables.reached(h)
    places = Places(h, memory, upto)
    row = aside.bare(h, places, run, why, as_of_ns, unread=unread)
    empty = {name: h.frame(f"SELECT * EXCLUDE (built_seq) FROM {name} LIMIT 0") for name in _PARTS}  # noqa: S608 -- our names
    run_tables.replace(h, places, run, [("runs", row), *empty.items()], upto)
    aside.forget_runs(h, run)
    told = row.to_dicts()[0]
    found = Aside(
        told["project"], stage, "run", told["run_key"], why, as_of_ns,
        run_id=told["run_id"], first_seq=told["first_seq"], last_seq=told["last_seq"],
    )  # fmt: skip
    aside.note(h, [found])
