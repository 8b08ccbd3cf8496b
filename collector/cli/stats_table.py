"""Tables of `runwell stats`: a row a task or queue with what matters, or a row a number with all that it rests on.

Everything telemetry wrote is shown as text with nothing hidden in it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from collector.analyse.measures import MEASURES
from collector.cli.stats_columns import FOOT, KEYS, LISTS, SECTIONS, Column, Number, Section, titled
from collector.model.shown import duration, visible
from collector.model.units import HOUR_NS

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


def window(name: str, from_ns: int, to_ns: int) -> str:
    """Return the range that an answer is of, in words."""
    if name in ("holders", "stuck", "retrying"):
        return f"{name}: at {_moment(to_ns)} UTC"
    whole = "" if name == "little" or from_ns % HOUR_NS == 0 else ", from the whole hour before"
    return f"{name}: {_moment(from_ns)} to {_moment(to_ns)} UTC{whole}"


def _parts(name: str, rows: pl.DataFrame, *, narrow: bool, every: bool) -> Iterator[Table | str]:
    if name in LISTS:
        yield from _listed(LISTS[name], rows, narrow=narrow)
        return
    keys = [c for c in rows.columns if c not in _NUMBERS]
    own = [k for k in keys if k not in ("operation", "phase", "called_service")]
    groups = rows.select(own).unique(maintain_order=True)
    if every or (groups.height == 1 and name != "calls"):
        yield from _numbers(rows, own)
        return
    for section in SECTIONS[name]:
        yield from _wide(section, rows, keys, narrow=narrow)


def _table(columns: Sequence[tuple[str, bool]]) -> Table:
    """Return an empty table of (title, whether it is a number)."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, collapse_padding=True, show_edge=False)
    for i, (title, is_number) in enumerate(columns):
        made.add_column(title, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number and i > 0)
    return made


def _wide(section: Section, rows: pl.DataFrame, keys: list[str], *, narrow: bool) -> Iterator[Table | str]:
    """Yield a row a task or queue."""
    found = rows.filter(pl.col("measure").is_in(section.measures) & pl.col("outcome").is_null())
    if found.is_empty():
        return
    several = found.select(keys).n_unique() > 1
    keys = [k for k in keys if found[k].null_count() < found.height]
    fixed = [k for k in keys if several and found[k].n_unique() == 1 and k not in ("task_id", "queue", *_TIMES)]
    shown = [k for k in keys if k not in fixed]
    numbers = [n for n in section.numbers if not (narrow and n.roomy)]
    numbers = [n for n in numbers if found.filter(pl.col("measure") == n.measure).height]
    wide = _pivoted(found, keys, section, numbers)
    joined = narrow and len(shown) > 1 and shown[1] == "environment"  # one column of both is narrower
    heads = [(KEYS.get(k, k), False) for k in shown if not (joined and k == "environment")]
    for n in numbers:
        heads.append((_head(n.title, narrow=narrow), True))
        if n.interval and not narrow:
            heads.append(("95 %", True))
    table = _table([*heads, ("" if narrow else "Known", False)])
    for row in wide.head(MOST).iter_rows(named=True):
        cells = [_key(k, row[k]) for k in shown]
        if joined:
            cells[:2] = [" · ".join(cells[:2])]
        for i, n in enumerate(numbers):
            cells.append(written(row[f"value_{i}"], row[f"unit_{i}"] or ""))
            if n.interval and not narrow:
                cells.append(_interval(row[f"low_{i}"], row[f"high_{i}"], row[f"unit_{i}"] or ""))
        table.add_row(*cells, _MARKS[row["known"]] if narrow else row["known"])
    if section.title:
        yield section.title
    yield table
    same = ", ".join(f"{KEYS.get(k, k).lower()} {_key(k, found[k][0])}" for k in fixed if k != "project")
    about = f" ({same})" if same else ""
    sorted_by = "" if set(keys) & set(_TIMES) else f", sorted by {section.order}"
    yield _count(wide.height, about) + sorted_by
    if narrow:
        yield "● measured  ◐ derived  ○ inferred  ? unknown"
    yield ""


def _pivoted(found: pl.DataFrame, keys: list[str], section: Section, numbers: list[Number]) -> pl.DataFrame:
    """Return a row a group: *keys*, value_i, low_i, high_i, unit_i of *numbers*, known; most of the order first."""

    def of(n: Number, what: str) -> pl.Expr:
        mine = (pl.col("measure") == n.measure) & (pl.col("statistic") == n.statistic)
        return pl.col(what).filter(mine).first()

    weak = pl.col("provenance").replace_strict({w: i for i, w in enumerate(_WEAKEST)}, default=3, return_dtype=pl.Int8)
    shown = (
        pl.any_horizontal((pl.col("measure") == n.measure) & (pl.col("statistic") == n.statistic) for n in numbers)
        & pl.col("value").is_not_null()
    )
    grouped = found.group_by(keys, maintain_order=True).agg(
        *(of(n, what).alias(f"{what}_{i}") for i, n in enumerate(numbers) for what in ("value", "low", "high", "unit")),
        known=weak.filter(shown).max().fill_null(3),
    )
    order = next((i for i, n in enumerate(numbers) if n.title == section.order), 0)
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
        within = [k for k in ("operation", "phase", "called_service") if k in group.columns]
        about = [f"{KEYS.get(k, k)} {_key(k, v)}" for k, v in zip(keys, of, strict=True) if k != "project"]
        yield " · ".join(about) or "All together"
        table = _table(
            [
                ("Number", False),
                ("Value", True),
                ("95 %", True),
                ("n", True),
                ("Known", False),
                ("Coverage", True),
                ("Note", True),
            ]
        )
        notes: dict[str, int] = {}
        for r in group.head(left).iter_rows(named=True):
            title = titled(r["measure"], r["statistic"], r["unit"])
            title = " ".join([*(visible(r[k]) for k in within if r[k] is not None), title])
            note = f"[{notes.setdefault(r['note'], len(notes) + 1)}]" if r["note"] else ""
            table.add_row(
                f"{title} ({r['outcome']})" if r["outcome"] else title,
                written(r["value"], r["unit"]),
                _interval(r["low"], r["high"], r["unit"]),
                written(r["n"], ""),
                r["provenance"],
                "" if r["coverage"] is None else written(r["coverage"], "share"),
                note,
            )
        left -= group.height
        yield table
        for told, i in notes.items():
            yield f"[{i}] {told}"
        yield ""


def _listed(columns: Sequence[Column], rows: pl.DataFrame, *, narrow: bool) -> Iterator[Table | str]:
    """Yield a list; optional columns of which nothing is known are left out."""
    if rows.is_empty():
        return
    kept = [c for c in columns if c.name in rows.columns and not (narrow and c.roomy)]
    shown = [c for c in kept if not c.optional or any(v not in (None, False) for v in rows[c.name])]
    listed = {c.name for c in columns} | {"project", "population"}
    several = [k for k in rows.columns if k in KEYS and k not in listed and rows[k].n_unique() > 1]
    if "task_id" in rows.columns:
        shown[1:1] = [Column(k, KEYS[k], "time" if k in _TIMES else "text", "") for k in several]
    else:
        shown = [*(Column(k, KEYS[k], "time" if k in _TIMES else "text", "") for k in several), *shown]
    table = _table([(_head(c.title, narrow=narrow), c.kind != "text" or c.name == "run_id") for c in shown])
    for row in rows.head(MOST).iter_rows(named=True):
        table.add_row(*(_cell(row[c.name], c) for c in shown))
    yield table
    yield _count(rows.height, "")
    yield ""


def _head(title: str, *, narrow: bool) -> str:
    """Return the head of a column of numbers, which in a narrow table has a word a line."""
    return title.replace(" ", "\n") if narrow else title


def _count(height: int, of: str, *, shown: int | None = None) -> str:
    rest = f", the first {MOST} shown; --format csv has all" if shown or height > MOST else ""
    return f"{height:,} row{'' if height == 1 else 's'}{of}{rest}"


def _key(name: str, value: Any) -> str:
    if value is None:
        return "" if name == "called_service" else UNKNOWN  # most steps call none
    return _moment(value) if name in _TIMES else visible(str(value))


def _cell(value: Any, column: Column) -> str:
    if value is None:
        return UNKNOWN
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
    told: dict[str, str] = {}
    if name in LISTS:
        told = {c.title: c.text for c in LISTS[name] if c.text}
    else:
        asked = dict.fromkeys([m for s in SECTIONS[name] for m in s.measures] + rows["measure"].to_list())
        for measure in asked:
            shown = [n.title for s in SECTIONS[name] for n in s.numbers if n.measure == measure]
            title = MEASURES[measure].title
            heads = ", ".join(t for t in dict.fromkeys(shown) if t.lower() != title.lower())
            told[f"{title} ({measure}{heads and '; column '}{heads})"] = MEASURES[measure].text
    lines = ["What the numbers mean", ""]
    rest = {"?": FOOT["?"]} if name in LISTS else FOOT
    for title, meaning in {**told, **rest}.items():
        lines += textwrap.wrap(
            f"{visible(title)}: {meaning}",
            width=max(40, width or 120),
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
    return "\n".join(lines) + "\n"
