"""Numbers from telemetry beside numbers from what really happened. `python -m tests.analyse.ground_truth` prints them.

Queues of the synthetic 48 hours are in `ground_truth_queues`.

The truth's side knows nothing of the code that is tested: it counts attempts and intervals as the platform or the
simulation recorded them. A run counts as proved when telemetry can show how it ended: not when it was killed (crash,
timeout), not when it left no record, and without spans only when it completed.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import statistics
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from collector.analyse import cohorts, levels, retries, slots, throughput
from collector.analyse.frames import schema_of
from collector.cli.recordings import Recorded, newest_ns, read
from collector.model.units import HOUR_NS
from tests.inprocess import SAMPLES, SETS, TRIGGER_DEV, Pipeline, later, recorded

MS = 1_000_000
SYNTHETIC = "synthetic-48h"
GRACE_NS = 600_000 * MS
"""How long after the newest record the numbers are taken: past the grace of a failed run."""
LEASE_NS = 3_600_000 * MS


@dataclass(frozen=True)
class Truth:
    """One run as it happened; times in ns, end and outcome NULL while open."""

    run_id: str
    task: str
    queue: str
    is_test: bool
    is_proved: bool
    is_open: bool
    ok: bool | None
    queued_ns: int
    status: str
    attempts: list[dict[str, Any]]


@dataclass(frozen=True)
class Both:
    """A set from both sides."""

    name: str
    as_of_ns: int
    truth: list[Truth]
    runs: pl.DataFrame
    attempts: pl.DataFrame
    phases: pl.DataFrame
    waits: pl.DataFrame
    a_day_later: dict[str, pl.DataFrame]
    """Runs and attempts when the clock has nothing left to change."""


def load(name: str) -> Both:
    """Return a set after it went through decode, journal, store and runs job, and its truth."""
    requests = list(read(str(SAMPLES / f"{name}.jsonl.zst"))) if name == SYNTHETIC else recorded(name)
    as_of_ns = max(newest_ns(r) for r in requests) + GRACE_NS
    with tempfile.TemporaryDirectory() as directory, Pipeline(Path(directory) / "data") as p:
        for at in range(0, len(requests), 500):
            p.group(requests[at : at + 500], as_of_ns)
        p.apply()
        p.tick(as_of_ns)
        tables = {name: p.table(name) for name in ("runs", "attempts", "phases", "waits")}
        p.tick(later(requests))
        a_day_later = {name: p.table(name) for name in ("runs", "attempts")}
    return Both(
        name,
        as_of_ns,
        _synthetic() if name == SYNTHETIC else _recorded(name, requests),
        **tables,
        a_day_later=a_day_later,
    )


def simulated() -> list[dict[str, Any]]:
    """Return what the simulation of the synthetic workload did, run by run."""
    with gzip.open(SAMPLES / f"{SYNTHETIC}.truth.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _synthetic() -> list[Truth]:
    return [
        Truth(
            t["run_id"],
            t["task"],
            t["queue"],
            False,
            t["status"] != "open",
            t["status"] == "open",
            None if t["status"] == "open" else t["status"] == "completed",
            t["attempts"][0]["queued_ns"],
            t["status"],
            t["attempts"],
        )
        for t in simulated()
    ]


def _recorded(name: str, requests: list[Recorded]) -> list[Truth]:
    stated = [json.loads(line) for line in (TRIGGER_DEV / f"{name}.truth.jsonl").read_text().splitlines()]
    silent_file = TRIGGER_DEV / f"{name}.silent.json"
    silent = set(json.loads(silent_file.read_text())) if silent_file.exists() else set()
    spans = any(r.signal.name == "traces" for r in requests)
    shown = {"COMPLETED_SUCCESSFULLY", "COMPLETED_WITH_ERRORS", "CANCELED"} if spans else {"COMPLETED_SUCCESSFULLY"}
    return [
        Truth(
            t["runId"],
            t["task"],
            t["queue"],
            t["isTest"],
            t["status"] in shown and t["runId"] not in silent,
            False,
            {"COMPLETED_SUCCESSFULLY": True, "COMPLETED_WITH_ERRORS": False}.get(t["status"]),
            _ns(t["createdAt"]),
            t["status"],
            [
                {"number": a["number"], "started_ns": _ns(a["startedAt"]), "ended_ns": _ns(a["endedAt"]), "ok": a["ok"]}
                for a in t["attempts"]
            ],
        )
        for t in stated
        if t["runId"] not in silent
    ]


def _ns(iso: str) -> int:
    return round(dt.datetime.fromisoformat(iso).timestamp() * 1000) * MS


def attempts_beside(both: Both) -> list[tuple[Truth, dict[str, Any], dict[str, Any]]]:
    """Return (run, attempt that happened, attempt as telemetry has it) of every attempt that telemetry names."""
    keys = dict(both.runs.select("run_id", "run_key").rows())
    ours = {(a["run_key"], a["number"]): a for a in both.attempts.rows(named=True)}
    return [
        (t, a, shown)
        for t in both.truth
        for a in t.attempts
        if (shown := ours.get((keys.get(t.run_id), a["number"]))) is not None
    ]


def taken(attempt: dict[str, Any]) -> int:
    """Return when telemetry has an attempt begin: taken from its queue, else started."""
    return attempt["started_ns"] if attempt["dequeued_ns"] is None else attempt["dequeued_ns"]


def is_told(both: Both, attempt: dict[str, Any]) -> bool:
    """Tell whether telemetry states when an attempt began: not if its process had to start first and never said so."""
    return attempt["dequeued_ns"] is not None or attempt["start_kind"] == "warm" or both.name == SYNTHETIC


def is_shown(both: Both, attempt: dict[str, Any]) -> bool:
    """Tell whether telemetry states both when an attempt began and when it ended."""
    return is_told(both, attempt) and attempt["ended_source"] in ("measured", "derived")


def numbers_beside(both: Both) -> dict[str, tuple[float | None, float | None, float | None]]:
    """Return number → (truth of proved runs, runwell's, coverage); test runs are out of both."""
    counted = [t for t in both.truth if not t.is_test]
    # That an attempt failed is proved by the next one, whatever became of the run.
    shown = [t for t in counted if t.is_proved or len(t.attempts) > 1]
    ended = [t for t in counted if t.is_proved and t.ok is not None]
    made = cohorts.run_cohorts(both.runs, both.attempts)
    report = retries.report(made, ["project"], as_of_ns=both.as_of_ns, horizons=0)
    ours = {(r["measure"], r["statistic"]): r for r in report.rows(named=True)}
    n = [len(t.attempts) for t in shown]
    good = [t for t in ended if t.ok]
    again = [t for t in ended if len(t.attempts) > 1]
    # Attempts that were not the last, and failed last ones of proved runs.
    wasted = [
        a["ended_ns"] - a["started_ns"]
        for t in shown
        for a in (t.attempts if t.is_proved and t.ok is False else t.attempts[:-1])
    ]
    truth = {
        ("run_retry_rate", "share"): sum(x > 1 for x in n) / len(n),
        ("attempts_per_run", "mean"): statistics.fmean(n),
        ("run_failure_rate", "share"): 1 - len(good) / len(ended),
        ("eventual_success", "share"): sum(t.ok for t in again if t.ok is not None) / len(again) if again else None,
        ("first_attempt_success", "share"): sum(len(t.attempts) == 1 for t in good) / len(ended),
        ("masked_failure", "share"): sum(len(t.attempts) > 1 for t in good) / len(ended),
        ("wasted_time", "total"): float(sum(wasted)),
        ("canceled_runs", "count"): sum(t.status == "CANCELED" for t in counted),
        ("attempt_failure_rate", "share"): attempts_failed(both),
    }
    hours = retries.attempts(cohorts.attempt_hours(both.runs, both.attempts), ["project"])
    standing = throughput.seen(made, ["project"])
    ours |= {(r["measure"], r["statistic"]): r for rows in (hours, standing) for r in rows.rows(named=True)}
    return {
        measure: (value, ours[measure, statistic]["value"], ours[measure, statistic]["coverage"])
        for (measure, statistic), value in truth.items()
    }


def attempts_failed(both: Both) -> float:
    """Return the share of failed ones among attempts of which telemetry can show that: of proved runs, and retried.

    Those that were canceled are in neither.
    """
    outcomes = [
        a["ok"] for t in both.truth if not t.is_test for a in t.attempts if t.is_proved or a["number"] < len(t.attempts)
    ]
    canceled = sum(t.status == "CANCELED" for t in both.truth if not t.is_test and t.is_proved)
    return (outcomes.count(False) - canceled) / (len(outcomes) - canceled)


def funnel_beside(both: Both) -> list[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """Return per attempt k: k, what is true and what telemetry has of reached, succeeded, retried, failed.

    Reached counts every run; the others those that are proved.
    """
    counted = [t for t in both.truth if not t.is_test]
    funnel = retries.funnel(cohorts.run_cohorts(both.runs, both.attempts), ["project"])
    names = ("reached", "succeeded", "retried", "failed")
    true = []
    for k in range(1, max(len(t.attempts) for t in counted) + 1):
        reached = [t for t in counted if len(t.attempts) >= k]
        last = [t.ok for t in reached if t.is_proved and len(t.attempts) == k]
        true.append((len(reached), last.count(True), sum(len(t.attempts) > k for t in reached), last.count(False)))
    ours = {r["attempt"]: tuple(r[n] for n in names) for r in funnel.rows(named=True)}
    return [(k, t, ours.get(k, (0,) * 4)) for k, t in enumerate(true, start=1)]


def durations_beside(both: Both) -> dict[str, list[tuple[int, int]]]:
    """Return measure -> (true, telemetry's) in ns of every run or attempt of which telemetry tells it whole.

    Left out: runs that are not proved or whose first attempt does not tell when it began, and gaps next to such.
    """
    by_run = {r["run_id"]: r for r in both.runs.rows(named=True)}
    attempts: dict[tuple[str, int], dict[str, Any]] = {
        (t.run_id, a["number"]): o for t, a, o in attempts_beside(both) if is_shown(both, o)
    }
    pairs: dict[str, list[tuple[int, int]]] = {
        name: [] for name in ("queue_wait", "execution", "end_to_end", "attempt", "gap")
    }
    for t in both.truth:
        run, n = by_run[t.run_id], len(t.attempts)
        first, last = attempts.get((t.run_id, 1)), attempts.get((t.run_id, n))
        for a in t.attempts:
            one, before = attempts.get((t.run_id, a["number"])), attempts.get((t.run_id, a["number"] - 1))
            if one:
                pairs["attempt"].append((a["ended_ns"] - a["started_ns"], one["ended_ns"] - taken(one)))
            if one and before:
                ended = t.attempts[a["number"] - 2]["ended_ns"]
                pairs["gap"].append((a["started_ns"] - ended, taken(one) - before["ended_ns"]))
        if first and run["queued_ns"] is not None:
            pairs["queue_wait"].append((t.attempts[0]["started_ns"] - t.queued_ns, taken(first) - run["queued_ns"]))
        if first and last and t.is_proved:
            end = t.attempts[-1]["ended_ns"]
            pairs["execution"].append((end - t.attempts[0]["started_ns"], run["ended_ns"] - taken(first)))
            if run["end_to_end_ns"] is not None:
                pairs["end_to_end"].append((end - t.queued_ns, run["end_to_end_ns"]))
    return pairs


def percentile_beside(pairs: list[tuple[int, int]], permille: int) -> tuple[int, int]:
    """Return the nearest-rank percentile of both sides."""
    rank = -(-len(pairs) * permille // 1000)
    true, ours = (sorted(side)[rank - 1] for side in zip(*pairs, strict=True))
    return true, ours


def levels_beside(both: Both) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the level tables of truth and of telemetry over the same hours, of attempts that telemetry shows whole."""
    shown = [(t, a, o) for t, a, o in attempts_beside(both) if is_shown(both, o)]
    scope = {"project": "default", **{c: both.runs[c][0] for c in ("environment", "platform_project")}}
    true = pl.DataFrame(
        [{**scope, "queue": t.queue, "from_ns": a["started_ns"], "to_ns": a["ended_ns"]} for t, a, _ in shown],
        schema={**dict.fromkeys((*scope, "queue"), pl.String), "from_ns": pl.Int64, "to_ns": pl.Int64},
    )
    if not shown:
        empty = pl.DataFrame(schema=schema_of("queue_levels"))
        return empty, empty
    keys = pl.DataFrame([(o["run_key"], o["number"]) for _, _, o in shown], schema=["run_key", "number"], orient="row")
    ours = slots.slots(both.runs, both.attempts, both.waits, as_of_ns=both.as_of_ns, lease_ns=LEASE_NS).collect()
    ours = ours.join(keys.cast({"number": pl.Int32}), on=["run_key", "number"], how="semi")
    low = int(true["from_ns"].min()) // HOUR_NS * HOUR_NS  # type: ignore[arg-type]
    none = (both.runs.clear(), both.attempts.clear(), both.waits.clear())
    sure = slots.doubts(*none, as_of_ns=0, lease_ns=0).collect()
    nothing = slots.queued(*none, as_of_ns=0).collect()
    limits = pl.DataFrame(schema=schema_of("queue_limits"))
    true_, ours_ = (
        levels.queue_levels(held, sure, nothing, limits, from_ns=low, to_ns=both.as_of_ns) for held in (true, ours)
    )
    return true_, ours_


def overlap_beside(both: Both) -> list[tuple[str, int, int, int, float, float]]:
    """Return per queue: name, attempts, peak of truth and of telemetry, slot seconds of truth and of telemetry."""
    n = Counter(t.queue for t, _, o in attempts_beside(both) if is_shown(both, o))
    true, ours = (
        {
            r[0]: r[1:]
            for r in table_.group_by("queue")
            .agg(pl.col("level").max(), seconds=(pl.col("level") * pl.col("ns")).sum() / 1e9)
            .rows()
        }
        for table_ in levels_beside(both)
    )
    return [(q, n[q], true[q][0], ours[q][0], true[q][1], ours[q][1]) for q in sorted(true)]


def table(both: Both) -> str:
    """Return the numbers of a set side by side."""
    beside = attempts_beside(both)
    counted = [t for t in both.truth if not t.is_test]
    lines = [
        f"## {both.name}: {len(both.truth)} runs with records, {len(counted)} no tests, "
        f"{sum(t.is_proved for t in counted)} proved",
        "| number | truth | runwell | coverage |",
        "|---|---|---|---|",
        f"| attempts | {sum(len(t.attempts) for t in both.truth)} | {both.attempts.height} | |",
    ]
    for name, (value, our_value, coverage) in numbers_beside(both).items():
        scale = 1e9 if name == "wasted_time" else 1
        lines.append(
            f"| {name}{', s' if scale > 1 else ''} | {_show(value, scale)} | {_show(our_value, scale)} "
            f"| {_show(coverage)} |"
        )
    for what, of in (
        (
            "end of attempts, largest distance, ms",
            [
                abs(o["ended_ns"] - a["ended_ns"])
                for _, a, o in beside
                if a["ended_ns"] and o["ended_source"] in ("measured", "derived")
            ],
        ),
        (
            "start of attempts that tell it, largest distance, ms",
            [abs(taken(o) - a["started_ns"]) for _, a, o in beside if is_told(both, o)],
        ),
        (
            "start of attempts that do not, largest distance, ms",
            [abs(taken(o) - a["started_ns"]) for _, a, o in beside if not is_told(both, o)],
        ),
    ):
        if of:
            lines.append(f"| {what} | 0 | {max(of) / MS:.3f} | {len(of)} attempts |")
    for measure, pairs in durations_beside(both).items():
        if pairs:
            apart = max(abs(ours - true) for true, ours in pairs) / MS
            shown = [" ".join(f"{percentile_beside(pairs, p)[i] / MS:.1f}" for p in (500, 950)) for i in (0, 1)]
            lines.append(f"| {measure}: p50 p95, ms | {shown[0]} | {shown[1]} | {len(pairs)}; apart {apart:.3f} ms |")
    for k, true, ours in funnel_beside(both):
        lines.append(f"| attempt {k}: reached, succeeded, retried, failed | {true} | {ours} | |")
    lines += [
        f"| queue {queue}: peak; slot seconds | {p}; {s:.2f} | {our_p}; {our_s:.2f} | {n} attempts |"
        for queue, n, p, our_p, s, our_s in overlap_beside(both)
    ]
    return "\n".join([*lines, ""])


def _show(value: float | None, scale: float = 1) -> str:
    return "unknown" if value is None else f"{value / scale:.4f}"


if __name__ == "__main__":
    for chosen in sys.argv[1:] or [*SETS, SYNTHETIC]:
        both = load(chosen)
        print(table(both))
        if chosen == SYNTHETIC:
            from tests.analyse.ground_truth_queues import lines

            print("\n".join(lines(both)))
