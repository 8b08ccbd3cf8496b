"""What rules look at, made of what the store has: runs with all their records, and records beside them."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from collector.analyse import evidence, runs
from collector.rules import engine
from collector.rules.frames import Frames
from collector.store.recent import Tables


def frames(tables: Tables, as_of_ns: int, *, live: bool = False) -> Frames:
    """Return whole runs (`store.looked_at.whole`) as rules look at them; *live*: whether *as_of_ns* is now."""
    records = runs.records(tables["spans"], tables["logs"])
    return Frames(
        spans=records.spans,
        logs=records.logs,
        scopes=tables["scopes"],
        resources=tables["resources"],
        runs=tables["runs"],
        attempts=tables["attempts"],
        phases=tables["phases"],
        waits=tables["waits"],
        as_of_ns=as_of_ns,
        live=live,
        from_zero=records.from_zero,
        repeats=evidence.repeats(tables["spans"], tables["logs"]),
    )


def beside(whole: Frames, loose: Tables) -> Frames:
    """Return *whole* with records (`store.looked_at.loose`) that name no run beside those of its runs."""
    records = runs.records(loose["spans"], loose["logs"])
    # Outside a run there is nothing to count attempts by.
    logs = records.logs.with_columns(attempt=pl.lit(None, pl.Int32), attempt_source=pl.lit(None, pl.String))
    repeats = evidence.repeats(loose["spans"], loose["logs"])
    return replace(
        whole,
        logs=pl.concat([whole.logs, logs]),
        spans=pl.concat([whole.spans, records.spans]),
        resources=pl.concat([whole.resources, loose["resources"]]).unique(["project", "resource_id"]),
        repeats=pl.concat([whole.repeats, repeats]),
    )


def of_no_run(whole: Frames, loose: Tables) -> Frames:
    """Return the logs of *loose* alone, given to the run of *whole* that has their correlation id, if one does."""
    both = beside(whole, loose)
    ids = loose["logs"].select("seq", "row")
    none = {name: getattr(whole, name).clear() for name in ("spans", "runs", "attempts", "phases", "waits", "repeats")}
    logs = engine.adopt(both.logs).join(ids, on=["seq", "row"], how="semi", maintain_order="left")
    return replace(both, logs=logs, **none)
