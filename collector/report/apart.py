"""Detection where a part of it fails: it goes on without the tasks, queues or senders at fault, and says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

import polars as pl

from collector.model.halves import by_halves
from collector.model.report import LeftOut
from collector.report.found import Look
from collector.report.inputs import Inputs
from collector.store import aside
from collector.store.errors import is_of_data

T = TypeVar("T")
_JUDGED = ("counts", "histograms", "full_queues", "senders", "regular", "errors", "stuck")
"""Frames of `Inputs` whose rows are of a task, queue or sender."""
_NAMES = ("task_id", "name", "queue")
EVERYTHING = "everything"
"""Name of what is left out where no single one is at fault."""
_NONE = Look([], [])
_MOST = 512
"""Tries to tell names apart; a part that fails for too many is left out whole."""


@dataclass(slots=True)
class Apart:
    """Looks part by part, and remembers what could not be judged."""

    inputs: Inputs
    left_out: list[LeftOut] = field(default_factory=list)

    def look(self, part: str, act: Callable[[Inputs], Look]) -> Look:
        """Return what *act* makes of the inputs, without those names in them that it fails for."""
        try:
            return act(self.inputs)
        except BaseException as e:
            if not is_of_data(e):
                raise
            failed = e
        everyone = names(self.inputs)
        tried = by_halves(
            everyone, lambda some: _drop(act(only(self.inputs, some))), is_of_data, most=_MOST, failed=failed
        )
        guilty = tried.failed
        try:
            if not guilty or tried.left:
                raise failed
            result = act(only(self.inputs, [name for name, _ in guilty], keep=False))
        except BaseException as e:
            if not is_of_data(e):
                raise
            self.note(part, EVERYTHING, e)
            return _NONE
        for name, why in guilty:
            self.note(part, name, why)
        return result

    def tried(self, part: str, name: str, act: Callable[[], T]) -> T | None:
        """Return what *act* gives; None where it fails, and remember that *part* could not judge *name*."""
        try:
            return act()
        except BaseException as e:
            if not is_of_data(e):
                raise
            self.note(part, name, e)
            return None

    def note(self, part: str, name: str, why: BaseException) -> None:
        """Remember that *part* could not judge *name*."""
        self.left_out.append(LeftOut(part=part, name=name, reason=aside.reason(why)))


def _drop(look: Look) -> None:
    """Take no notice of what was only tried."""


def names(inputs: Inputs) -> list[str]:
    """Return the tasks, queues and senders that detection looks at."""
    columns = [_name(getattr(inputs, frame)) for frame in _JUDGED]
    return pl.concat(columns).drop_nulls().unique().sort().to_list()


def only(inputs: Inputs, some: Sequence[str], *, keep: bool = True) -> Inputs:
    """Return *inputs* with the rows of *some* names alone, or with all but those."""
    parts = {}
    for f in fields(Inputs):
        if f.name in _JUDGED:
            rows = getattr(inputs, f.name)
            parts[f.name] = rows.filter(_name(rows).is_in(list(some)).fill_null(False) == keep)
    return replace(inputs, **parts)


def _name(rows: pl.DataFrame) -> pl.Series:
    columns = [pl.col(c).cast(pl.String) for c in _NAMES if c in rows.columns]
    return rows.select(pl.coalesce(columns).alias("name"))["name"]
