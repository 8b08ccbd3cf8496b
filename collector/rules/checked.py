"""How many records rules looked at: a check that looked at none has found nothing out.

Enter: frames of records, or counts of them, and the chosen rules. Leave: what those rules looked at, by what each says
that it needs. A rule of single records looks at the logs that tasks wrote; one of runs, attempts, phases or waits at
all records of runs, and at none of no run; one of `records` at every record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from collector.rules import engine, records
from collector.rules.frames import RUN, Frames
from collector.rules.profiles import Chosen
from collector.rules.rule import Rule

TALLY = pl.Schema({"what": pl.String, "in_run": pl.Boolean, "service": pl.String, "n": pl.Int64})
"""Records counted. `what`: logs, spans, task_logs, which are logs as well, and others, which no rule was given."""
_OF_RUNS = {"runs", "attempts", "phases", "waits"}
_SINGLE = {"task_logs": {"logs", "personal"}, "spans": {"spans"}}
"""What is looked at by rules that do not need all records, by what they need."""
_OF_ANY = {"logs", "spans", "personal", "records"}
_BY = ["what", "in_run", "service"]


@dataclass(frozen=True, slots=True)
class Checked:
    """What the chosen rules looked at, and what there was."""

    logs: int
    spans: int
    runs: int
    came: int
    """Records there were, looked at or not."""
    services: tuple[tuple[str | None, int], ...] = ()
    """Records that were looked at by the service that sent them, the most first; None: it does not say."""

    @property
    def records(self) -> int:
        """Return how many records were looked at."""
        return self.logs + self.spans

    def document(self) -> dict[str, Any]:
        """Return it as JSON tells it."""
        services = [{"service": service, "records": n} for service, n in self.services]
        counts = {"records": self.records, "logs": self.logs, "spans": self.spans, "runs": self.runs}
        return {**counts, "came": self.came, "services": services}

    @classmethod
    def of_document(cls, told: Mapping[str, Any]) -> Checked:
        """Return what `document` tells."""
        services = tuple((row["service"], row["records"]) for row in told["services"])
        return cls(told["logs"], told["spans"], told["runs"], told["came"], services)


NONE = Checked(0, 0, 0, 0)


def tally(frames: Frames, *, own: pl.DataFrame | None = None, loose: bool = False) -> pl.DataFrame:
    """Return the records of *frames* counted (`TALLY`), of the runs *own* alone where they are given.

    *loose*: none of them is of a run, whatever run they were given to.
    """
    in_run = pl.lit(False) if loose else pl.col("run_key").is_not_null()
    services = frames.resources.select("project", "resource_id", service="service_name")
    logs = engine.adopt(frames.logs.with_columns(in_run=in_run))
    parts = {
        "logs": logs,
        "task_logs": records.select_task_logs(logs, frames.scopes),
        "spans": frames.spans.with_columns(in_run=in_run),
    }
    counted = []
    for what, rows in parts.items():
        mine = rows if own is None else rows.join(own, on=RUN, how="semi")
        placed = mine.join(services, on=["project", "resource_id"], how="left").select("in_run", "service")
        counted.append(
            placed.group_by("in_run", "service").agg(n=pl.len().cast(pl.Int64)).with_columns(what=pl.lit(what))
        )
    return pl.concat(rows.select(list(TALLY)).cast(TALLY) for rows in counted)


def tally_groups(groups: pl.DataFrame, scopes: pl.DataFrame) -> pl.DataFrame:
    """Return records that were counted where they lie (`store.came.records`) as `TALLY`."""
    others, groups = groups.filter("is_passed_over"), groups.filter(~pl.col("is_passed_over"))
    logs = groups.filter(pl.col("table") == "logs")
    blank = [pl.lit(None, pl.String).alias(name) for name in ("operation", "correlation_id", "request_id")]
    parts = {
        "logs": logs,
        "task_logs": records.select_task_logs(logs.with_columns(blank), scopes),
        "spans": groups.filter(pl.col("table") == "spans"),
        "others": others,
    }
    rows = pl.concat(rows.select("in_run", "service", "n", what=pl.lit(what)) for what, rows in parts.items())
    return rows.select(list(TALLY)).cast(TALLY)


def looked_at(tallies: Sequence[pl.DataFrame], chosen: Sequence[Chosen], runs: int, *, apart: bool) -> Checked:
    """Return what the *chosen* rules looked at of what was counted.

    *apart*: records of no run were judged by themselves, which only rules of single records do.
    """
    counted = pl.concat([pl.DataFrame(schema=TALLY), *tallies]).group_by(_BY).agg(pl.col("n").sum())
    active = [c for c in chosen if any(variant.severity is not None for variant in c.variants)]
    every = {need for c in active for need in c.rule.needs}
    alone = [c.rule for c in active if looks_at_loose(c.rule) and (c.rule.grain == "record" or not apart)]
    loose = {need for rule in alone for need in rule.needs}
    of_runs = (
        {"logs", "spans"} if every & (_OF_RUNS | {"records"}) else _single({n.removeprefix("run_") for n in every})
    )
    of_none = {"logs", "spans"} if "records" in loose else _single(loose)
    seen = counted.filter(
        pl.when("in_run").then(pl.col("what").is_in(list(of_runs))).otherwise(pl.col("what").is_in(list(of_none)))
    )
    spans = int(seen.filter(pl.col("what") == "spans")["n"].sum())
    services = seen.group_by("service").agg(pl.col("n").sum()).sort("n", "service", descending=[True, False])
    came = int(counted.filter(pl.col("what") != "task_logs")["n"].sum())
    return Checked(int(seen["n"].sum()) - spans, spans, runs, came, tuple(services.iter_rows()))


def looks_at_loose(rule: Rule) -> bool:
    """Tell whether *rule* can find something in records of no run."""
    return _OF_ANY.issuperset(rule.needs)


def _single(needs: set[str]) -> set[str]:
    return {what for what, of in _SINGLE.items() if needs & of}
