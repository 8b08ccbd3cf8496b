"""Judging runs where a rule fails on some of them: the others are judged by every rule, those by every other rule.

Rules are told apart first, since nearly every failure is of one; then the runs, or records of none, that it fails on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import polars as pl

from collector.model.halves import by_halves
from collector.model.project import PROJECT
from collector.rules.frames import RUN, Frames
from collector.rules.profiles import Chosen
from collector.store import aside
from collector.store.aside import Aside
from collector.store.errors import is_of_data

_MOST_RULES, _MOST_TRIES, _MOST_GUILTY = 64, 512, 32
"""…tries to tell rules apart and runs or records, and how many of those a rule may fail on: beyond, it is to blame."""
Judge = Callable[[Frames, list[Chosen]], pl.DataFrame]
Piece = tuple[object, object]
"""A run (project, run key), or a record (seq, row)."""
Left = tuple[str, Piece | None, BaseException]
"""Rule, the run or record it fails on (None: it fails on no single one, and judged nothing), and why."""


@dataclass(slots=True)
class Spared:
    """What was judged, and what had to be left out."""

    rows: list[pl.DataFrame] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    def asides(self, stage: str, runs: pl.DataFrame, as_of_ns: int) -> list[Aside]:
        """Return what was left out as `store.aside` keeps it; *runs* name the runs that were judged."""
        names = {
            (p, k): (i, a, b) for p, k, i, a, b in runs.select(*RUN, "run_id", "first_seq", "last_seq").iter_rows()
        }
        asides = []
        for code, piece, why in self.left:
            run_id, first, last = names.get(piece, (None, None, None)) if piece else (None, None, None)
            key = f"{code} {piece[1]}" if run_id and piece else code
            asides.append(
                Aside(
                    PROJECT,
                    stage,
                    "rule",
                    key,
                    aside.reason(why),
                    as_of_ns,
                    run_id=run_id,
                    first_seq=first,
                    last_seq=last,
                )
            )
        return asides


def spared(judge: Judge, frames: Frames, chosen: Sequence[Chosen], *, by: list[str] | None = None) -> Spared:
    """Return what *judge* returns for all of *frames*, without the rules and runs it fails for.

    *by*: what tells apart what is judged, columns of logs and, where they are `RUN`, of every frame.
    """
    by = by or RUN
    outcome = Spared()

    def of_rules(some: list[Chosen]) -> None:
        outcome.rows.append(judge(frames, some))

    tried = by_halves(chosen, of_rules, is_of_data, most=_MOST_RULES)
    groups = [([rule], why) for rule, why in tried.failed]
    groups += [(some, RuntimeError("too many rules fail to tell them apart")) for some in tried.left]
    for rules, why in groups:
        pieces = [*_pieces(frames, by).iter_rows()]
        act = partial(_tried, judge, frames, by, rules)
        blamed = by_halves(pieces, act, is_of_data, most=_MOST_TRIES)
        guilty = [] if blamed.left or len(blamed.failed) > _MOST_GUILTY else blamed.failed
        code = rules[0].rule.code if len(rules) == 1 else "several"
        try:
            if not guilty:
                raise why
            outcome.rows.append(judge(_of(frames, [piece for piece, _ in guilty], by, keep=False), rules))
            outcome.left += [(code, piece, error) for piece, error in guilty]
        except BaseException as e:
            if not is_of_data(e):
                raise
            outcome.left.append((code, None, e))
    return outcome


def _tried(judge: Judge, frames: Frames, by: list[str], rules: list[Chosen], some: list[Piece]) -> None:
    """Judge *some* alone, for no more than to see whether that fails."""
    judge(_of(frames, some, by), rules)


def _pieces(frames: Frames, by: list[str]) -> pl.DataFrame:
    judged = [frames.runs, frames.logs, frames.spans] if by == RUN else [frames.logs]
    return pl.concat([rows.select(by) for rows in judged]).unique().drop_nulls().sort(by)


def _of(frames: Frames, some: Sequence[Piece], by: list[str], *, keep: bool = True) -> Frames:
    """Return *frames* with the runs or records *some* alone, or with all but those."""
    schema = frames.logs.select(by).schema
    named = pl.DataFrame(some, schema=schema, orient="row")
    names = ("logs",) if by != RUN else ("logs", "spans", "runs", "attempts", "phases", "waits", "repeats")
    parts = {
        name: getattr(frames, name).join(named, on=by, how="semi" if keep else "anti", maintain_order="left")
        for name in names
    }
    return replace(frames, **parts)
