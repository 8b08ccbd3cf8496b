"""Tables of `runwell stats`: a row a task or queue with what matters, or a row a number with all that it rests on.

Everything telemetry wrote is shown as text with nothing hidden in it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import polars as pl

from collector.analyse.measures import MEASURES
from collector.cli.stats_columns import FOOT, KEYS, LISTS, SECTIONS, Column, ListColumn, Section, titled
from collector.model.shown import counted, duration, visible
from collector.model.statistics import AT_LEAST

if TYPE_CHECKING:
    from rich.table import Table

UNKNOWN = "?"
NARROW = 110
"""Columns below which a terminal is narrow."""
MOST = 200
"""Most rows a table shows."""
_WEAKEST = ("measured", "derived", "inferred", "unknown")
_MARKS = {"measured": "●", "derived": "◐", "inferred": "○", "unknown": "?"}
_NUMBERS = ("measure", "statistic", "outcome", "unit", "value", "n", "low", "high", "provenance", "coverage", "note")
_PIVOTED = ("value", "low", "high", "unit", "note")
_TIMES = ("hour_ns", "bucket_ns")


def text(name: str, rows: pl.DataFrame, *, width: int | None, every: bool) -> str:
    """Return the tables of *rows*, the answer of statistic *name*, at most *width* characters wide (None: any).

    *every*: a row a number, also where there are several tasks or queues.
    """
    from io import StringIO

    from rich.console import Console

    console = Console(
        file=StringIO(),
        width=width or 10_000,
        color_system=None,
        force_terminal=False,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    narrow = width is not None and width < NARROW
    for part in _parts(name, rows, narrow=narrow, every=every):
        console.print(part, soft_wrap=isinstance(part, str) and width is None)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"  # type: ignore[attr-defined]


def window(name: str, from_ns: int, to_ns: int, widened: str = "") -> str:
    """Return the range that an answer is of, in words, and in what it was counted: to what it was *widened*."""
    if name in ("holders", "eta", "stuck", "retrying"):
        return f"{name}: at {_moment(to_ns)} UTC"
    whole = f", {widened}" if widened else ""
    return f"{name}: {_moment(from_ns)} to {_moment(to_ns)} UTC{whole}"


def _parts(name: str, rows: pl.DataFrame, *, narrow: bool, every: bool) -> Iterator[Table | str]:
    if name in LISTS:
        yield from _listed(LISTS[name], rows, narrow=narrow)
        return
    keys = [c for c in rows.columns if c not in _NUMBERS]
    by = [k for k in keys if k not in ("operation", "phase", "called_service")]
    groups = rows.select(by).unique(maintain_order=True)
    if every or (groups.height == 1 and name != "calls"):
        yield from _numbers(rows, by)
        return
    for section in SECTIONS[name]:
        yield from _wide(section, rows, keys, narrow=narrow)


@dataclass(frozen=True, slots=True)
class _Cells:
    """A column of a table: its head, whether it stands to the right as numbers do, and its cell of a row."""

    head: str
    to_right: bool
    of: Callable[[dict[str, Any]], str]


def _table(columns: Sequence[_Cells], rows: pl.DataFrame) -> Table:
    """Return the table of *rows*."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, collapse_padding=True, show_edge=False)
    for i, c in enumerate(columns):
        made.add_column(
            c.head, justify="right" if c.to_right else "left", overflow="fold", no_wrap=c.to_right and i > 0
        )
    for row in rows.iter_rows(named=True):
        made.add_row(*(c.of(row) for c in columns))
    return made


def _wide(section: Section, rows: pl.DataFrame, keys: list[str], *, narrow: bool) -> Iterator[Table | str]:
    """Yield a row a task or queue."""
    rows = rows.filter(pl.col("measure").is_in(section.measures) & pl.col("outcome").is_null())
    if rows.is_empty():
        return
    several = rows.select(keys).n_unique() > 1
    keys = [k for k in keys if rows[k].null_count() < rows.height]
    fixed = [k for k in keys if several and rows[k].n_unique() == 1 and k not in ("task_id", "queue", *_TIMES)]
    measures = set(rows["measure"])
    columns = [c for c in section.columns if c.measure in measures and not (narrow and c.roomy)]
    wide = _pivoted(rows, keys, section, columns)
    cells = _of_keys([k for k in keys if k not in fixed], narrow=narrow)
    for i, c in enumerate(columns):
        cells += _of_number(i, c, narrow=narrow)
    cells.append(
        _Cells("", False, lambda r: _MARKS[r["known"]]) if narrow else _Cells("Known", False, itemgetter("known"))
    )
    if section.title:
        yield section.title
    yield _table(cells, wide.head(MOST))
    same = ", ".join(f"{KEYS.get(k, k).lower()} {_key(k, rows[k][0])}" for k in fixed if k != "project")
    about = f" ({same})" if same else ""
    sorted_by = "" if set(keys) & set(_TIMES) else f", sorted by {section.order}"
    yield _count(wide.height, about) + sorted_by
    if any(_is_least(note) for i in range(len(columns)) for note in wide[f"note_{i}"].head(MOST)):
        yield f"+ {FOOT['+']}"
    if narrow:
        yield "● measured  ◐ derived  ○ inferred  ? unknown"
    yield ""


def _is_least(note: str | None) -> bool:
    """Tell whether a number with that note is at least so much."""
    return (note or "").startswith(AT_LEAST)


def _of_keys(keys: list[str], *, narrow: bool) -> list[_Cells]:
    """Return the columns of *keys*; where it is narrow, whose something is stands in the column of it."""
    cells = [_Cells(KEYS.get(k, k), False, lambda r, k=k: _key(k, r[k])) for k in keys]  # type: ignore[misc]
    n = next((i for i, k in enumerate(keys[1:], 1) if k not in ("environment", "platform_project")), len(keys))
    if not narrow or n < 2:
        return cells
    return [_Cells(cells[0].head, False, lambda r: " · ".join(str(c.of(r)) for c in cells[:n])), *cells[n:]]


def _of_number(i: int, column: Column, *, narrow: bool) -> list[_Cells]:
    """Return the column of number *i* of `_pivoted`, and the one of its interval where there is room."""
    value, low, high, unit, note = (f"{what}_{i}" for what in _PIVOTED)

    def cell(r: dict[str, Any]) -> str:
        return written(r[value], r[unit] or "") + ("+" if r[value] is not None and _is_least(r[note]) else "")

    cells = [_Cells(_head(column.title, narrow=narrow), True, cell)]
    if column.interval and not narrow:
        cells.append(_Cells("95 %", True, lambda r: _interval(r[low], r[high], r[unit] or "")))
    return cells


def _pivoted(rows: pl.DataFrame, keys: list[str], section: Section, columns: list[Column]) -> pl.DataFrame:
    """Return a row a group: *keys*, value_i and others of `_PIVOTED` of *columns*, known; most of the order first."""

    def of(c: Column, what: str) -> pl.Expr:
        mine = (pl.col("measure") == c.measure) & (pl.col("statistic") == c.statistic)
        return pl.col(what).filter(mine).first()

    weak = pl.col("provenance").replace_strict({w: i for i, w in enumerate(_WEAKEST)}, default=3, return_dtype=pl.Int8)
    shown = (
        pl.any_horizontal((pl.col("measure") == c.measure) & (pl.col("statistic") == c.statistic) for c in columns)
        & pl.col("value").is_not_null()
    )
    grouped = rows.group_by(keys, maintain_order=True).agg(
        *(of(c, what).alias(f"{what}_{i}") for i, c in enumerate(columns) for what in _PIVOTED),
        known=weak.filter(shown).max().fill_null(3),
    )
    order = next((i for i, c in enumerate(columns) if c.title == section.order), 0)
    times = [k for k in keys if k in _TIMES]
    others = [k for k in keys if k not in times]
    if times:
        ordered = grouped.sort(*others, *times, nulls_last=True)
    else:
        ordered = grouped.sort(f"value_{order}", *others, descending=[True, *[False] * len(others)], nulls_last=True)
    return ordered.with_columns(known=pl.col("known").replace_strict(dict(enumerate(_WEAKEST)), return_dtype=pl.String))


def _numbers(rows: pl.DataFrame, keys: list[str]) -> Iterator[Table | str]:
    """Yield for each group a row a number, with all that it rests on."""
    left = MOST
    for of, group in rows.group_by(keys, maintain_order=True):
        if left <= 0:
            yield _count(rows.height, "", shown=MOST)
            return
        named = [
            (k, v) for k, v in zip(keys, of, strict=True) if k != "project" and (k, v) != ("platform_project", None)
        ]
        about = [f"{KEYS.get(k, k)} {_key(k, v)}" for k, v in named]
        yield " · ".join(about) or "All together"
        some = group.head(left)
        left -= some.height
        notes = {note: i for i, note in enumerate(filter(None, some["note"].unique(maintain_order=True)), 1)}
        yield _table(
            [
                _Cells("Number", False, _number_name),
                _Cells("Value", True, lambda r: written(r["value"], r["unit"])),
                _Cells("95 %", True, lambda r: _interval(r["low"], r["high"], r["unit"])),
                _Cells("n", True, lambda r: written(r["n"], "")),
                _Cells("Known", False, itemgetter("provenance")),
                _Cells("Coverage", True, lambda r: "" if r["coverage"] is None else written(r["coverage"], "share")),
                _Cells("Note", True, lambda r, notes=notes: f"[{notes[r['note']]}]" if r["note"] else ""),  # type: ignore[misc]
            ],
            some,
        )
        for note, i in notes.items():
            yield f"[{i}] {note}"
        yield ""


def _number_name(r: dict[str, Any]) -> str:
    """Return what a row's number is: of which step or call, its title, and the outcome it is of."""
    within = [visible(r[k]) for k in ("operation", "phase", "called_service") if r.get(k) is not None]
    name = " ".join([*within, titled(r["measure"], r["statistic"], r["unit"])])
    return f"{name} ({r['outcome']})" if r["outcome"] else name


def _listed(columns: Sequence[ListColumn], rows: pl.DataFrame, *, narrow: bool) -> Iterator[Table | str]:
    """Yield a list; optional columns of which nothing is known are left out."""
    if rows.is_empty():
        return
    present = [c for c in columns if c.name in rows.columns and not (narrow and c.roomy)]
    shown = [c for c in present if not c.optional or any(v not in (None, False) for v in rows[c.name])]
    listed = {c.name for c in columns} | {"project", "population"}
    several = [k for k in rows.columns if k in KEYS and k not in listed and rows[k].n_unique() > 1]
    at = 1 if "task_id" in rows.columns else 0
    shown[at:at] = [ListColumn(k, KEYS[k], "time" if k in _TIMES else "text", "") for k in several]
    yield _table([_of_list(c, narrow=narrow) for c in shown], rows.head(MOST))
    yield _count(rows.height, "")
    yield ""


def _of_list(column: ListColumn, *, narrow: bool) -> _Cells:
    to_right = column.kind != "text" or column.name == "run_id"
    return _Cells(_head(column.title, narrow=narrow), to_right, lambda r: _cell(r[column.name], column))


def _head(title: str, *, narrow: bool) -> str:
    """Return the head of a column of numbers, which in a narrow table has a word a line."""
    return title.replace(" ", "\n") if narrow else title


def _count(height: int, of: str, *, shown: int | None = None) -> str:
    rest = f", the first {MOST} shown; --format csv has all" if shown or height > MOST else ""
    return f"{counted(height, 'row')}{of}{rest}"


def _key(name: str, value: Any) -> str:
    if value is None:
        return "" if name == "called_service" else UNKNOWN  # most steps call none
    return _moment(value) if name in _TIMES else visible(str(value))


def _cell(value: Any, column: ListColumn) -> str:
    if value is None:
        return "" if column.name == "note" else UNKNOWN
    match column.kind:
        case "time":
            return _moment(value)
        case "ns" | "share":
            return written(value, column.kind)
        case "number":
            return written(value, "")
    return ("yes" if value else "") if isinstance(value, bool) else visible(str(value))


def _moment(ns: int) -> str:
    import datetime as dt

    return f"{dt.datetime.fromtimestamp(ns // 1_000_000_000, dt.UTC):%Y-%m-%d %H:%M:%S}"


def _interval(low: float | None, high: float | None, unit: str) -> str:
    """Return an interval; one of percentages has the sign once."""
    if low is None and high is None:
        return ""
    if unit == "share" and low is not None and high is not None:
        return f"{100 * low:.1f} to {written(high, unit)}"
    return f"{written(low, unit)} to {written(high, unit)}"


def written(value: float | None, unit: str) -> str:
    """Return a number with its unit; unknown is a question mark."""
    if value is None:
        return UNKNOWN
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit == "nanocents":
        return f"{value / 1e9:.4g} cents"
    if unit == "runs_per_hour":
        shown = value if 0.01 <= abs(value) < 1 else round(value, 1) or 0.0  # no minus before a 0
        return f"{shown:.2g}/h" if 0 < abs(shown) < 1 else f"{shown:,.1f}/h"
    if unit == "slots" and value != int(value):
        return f"{round(value, 2) or 0.0:,.2f}" if abs(value) >= 0.005 or value < 0 else "<0.01"
    if unit == "ns":
        return duration(value)
    return f"{int(value):,}" if value == int(value) else f"{value:,.4g}"


def explain(name: str, rows: pl.DataFrame, *, width: int | None) -> str:
    """Return what each number or column means, and what holds for all of them."""
    meanings: dict[str, str] = {}
    if name in LISTS:
        meanings = {c.title: c.text for c in LISTS[name] if c.text}
    else:
        asked = dict.fromkeys([m for s in SECTIONS[name] for m in s.measures] + rows["measure"].to_list())
        for measure in asked:
            shown = [n.title for s in SECTIONS[name] for n in s.columns if n.measure == measure]
            title = MEASURES[measure].title
            heads = ", ".join(t for t in dict.fromkeys(shown) if t.lower() != title.lower())
            meanings[f"{title} ({measure}{heads and '; column '}{heads})"] = MEASURES[measure].text
    lines = ["What the numbers mean", ""]
    rest = {"?": FOOT["?"]} if name in LISTS else FOOT
    for title, meaning in {**meanings, **rest}.items():
        lines += textwrap.wrap(
            f"{visible(title)}: {meaning}",
            width=max(40, width or 120),
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
    return "\n".join(lines) + "\n"
