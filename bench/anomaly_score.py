"""Scoring of alarms against what was planted, for the product's events and for hourly flags alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from bench.worlds import FIRST, HOURS, QUEUES, SERIES, START_NS, Incident
from collector.model.units import HOUR_NS

METRICS = ("failures", "retries", "slow", "fast", "volume", "saturation")
CONTRARY = {"slow": "fast", "fast": "slow"}
PAD_H = 1
"""An alarm that ends an hour after the incident still belongs to it."""
RETURN_H = 30
"""For so long after an incident of a day or more has ended an alarm in the other direction tells of its end."""
_LONG_H = 24
GAP_H = 3
LARGE = 10.0
OF_TASKS, OF_QUEUES = SERIES / 200, QUEUES / 20
"""False alarms are told for 200 tasks and 20 queues; a world has this part of them."""
ALARM = pl.Schema({"series": pl.Int64, "direction": pl.String, "begin": pl.Int64, "to": pl.Int64})
RIGHT, WRONG, END = "right", "wrong", "end"
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Score:
    """Counts, which add up over seeds."""

    incidents: int = 0
    found: int = 0
    large: int = 0
    large_found: int = 0
    right: int = 0
    wrong: int = 0
    weeks: float = 0.0
    """Judged, times the part of 200 tasks (20 queues) that was."""

    def __add__(self, other: Score) -> Score:
        mine, theirs = vars(self).values(), vars(other).values()
        return Score(*(a + b for a, b in zip(mine, theirs, strict=True)))

    @property
    def recall(self) -> float:
        """Return the share of all incidents that were found."""
        return self.found / max(self.incidents, 1)

    @property
    def large_recall(self) -> float:
        """Return the share of incidents with at least `LARGE` excess hits that were found."""
        return self.large_found / max(self.large, 1)

    @property
    def precision(self) -> float:
        """Return the share of alarms that belong to an incident."""
        return self.right / max(self.right + self.wrong, 1)

    @property
    def false_a_week(self) -> float:
        """Return false alarms a week of 200 tasks (20 queues)."""
        return self.wrong / max(self.weeks, 1e-9)


def of_events(events: pl.DataFrame) -> pl.DataFrame:
    """Return alarms (`ALARM`) from rows of `events.EVENTS` or `gauges.EVENTS`."""
    hour = [((pl.col(c) - START_NS) // HOUR_NS).alias(name) for c, name in (("from_ns", "begin"), ("to_ns", "to"))]
    return events.select(pl.col("series").str.slice(1).cast(pl.Int64), "direction", *hour)


def of_flags(flags: Flags, direction: str) -> pl.DataFrame:
    """Return alarms from hourly flags (series, hours): hours at most `GAP_H` apart are one."""
    rows: list[tuple[int, str, int, int]] = []
    for s in range(flags.shape[0]):
        at = np.flatnonzero(flags[s])
        for part in np.split(at, np.flatnonzero(np.diff(at) > GAP_H + 1) + 1):
            if part.size and part[-1] >= FIRST:
                rows.append((s, direction, int(part[0]), int(part[-1]) + 1))
    return pl.DataFrame(rows, schema=ALARM, orient="row")


def verdicts(
    alarms: pl.DataFrame, incidents: list[Incident], contrary: Sequence[Incident] = ()
) -> tuple[list[str], list[bool]]:
    """Return what each alarm is (`RIGHT`, `WRONG`, or `END` of an incident), and which incidents were found.

    An incident is found when it is touched. *contrary*: incidents of the metric that says the opposite (slow and fast):
    alarms may tell of their end.
    """
    is_found = [False] * len(incidents)
    of_alarms = []
    for s, direction, begin, to in alarms.select(ALARM.names()).iter_rows():
        opposite = [one for one in incidents if one.direction != direction] + [*contrary]
        long = [one for one in opposite if one.series == s and one.to - one.begin >= _LONG_H]
        verdict = END if any(begin < one.to + RETURN_H and to > one.to for one in long) else WRONG
        for k, one in enumerate(incidents):
            if one.series == s and one.direction == direction and begin < one.to + PAD_H and to > one.begin:
                is_found[k], verdict = True, RIGHT
        of_alarms.append(verdict)
    return of_alarms, is_found


def score(
    alarms: pl.DataFrame, incidents: list[Incident], contrary: Sequence[Incident] = (), of: float = OF_TASKS
) -> Score:
    """Return how alarms and incidents of one metric match, as `verdicts` has it; *of*: `OF_TASKS` or `OF_QUEUES`."""
    of_alarms, is_found = verdicts(alarms, incidents, contrary)
    large = [one.excess >= LARGE for one in incidents]
    return Score(
        len(incidents),
        sum(is_found),
        sum(large),
        sum(f and b for f, b in zip(is_found, large, strict=True)),
        of_alarms.count(RIGHT),
        of_alarms.count(WRONG),
        (HOURS - FIRST) / 168 * of,
    )


def by_kind(alarms: pl.DataFrame, incidents: list[Incident]) -> dict[str, Score]:
    """Return the recall by kind of incident; alarms are not attributed to kinds."""
    kinds = sorted({one.kind for one in incidents})
    return {kind: score(alarms, [one for one in incidents if one.kind == kind]) for kind in kinds}
