"""Bare numbers that are given again: a queue that was emptied counts from 1 once more.

Enter: raw records by the run that what they state tells. Leave: where such a run ends and another one of its number
begins. That is where it was over, as far as what came since the last such pause tells, nothing came for long, and what
comes then begins a first attempt.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from collector.analyse import evidence
from collector.analyse.evidence import RUN
from collector.model.identity import BARE, again_key
from collector.model.words import TERMINAL

CUTS = pl.Schema(
    {**dict.fromkeys([*RUN, "cut_key"], pl.String()), **dict.fromkeys(("from_ns", "until_ns"), pl.Int64())}
)
"""Run `cut_key`, the first of which has the key `run_key`, is what begins in [`from_ns`, `until_ns`), NULL for no
bound."""
_BEGINS = {"spans": "start_time_unix_nano", "logs": "time_unix_nano"}

Build = Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]
"""Returns rows of `runs` of raw spans and logs."""
Records = dict[str, pl.DataFrame]
"""Raw `spans` and `logs`."""


def cuts(records: Records, reuse_ns: int, build: Build) -> pl.DataFrame:
    """Return where *records* of one number are those of several runs (`CUTS`), nothing of a number that is not.

    *reuse_ns*: for how long nothing has to come.
    """
    bare = pl.col("run_id").str.contains(f"^{BARE}$")
    numbered = pl.concat(records[name].filter(bare).select(RUN) for name in _BEGINS).unique()
    if numbered.is_empty():
        return pl.DataFrame(schema=CUTS)
    stretches = _stretches(
        _telling({name: records[name].join(numbered, on=RUN, how="semi") for name in _BEGINS}), reuse_ns
    )
    if stretches.is_empty():
        return pl.DataFrame(schema=CUTS)
    told = build(*(_by_stretch(records[name], name, stretches) for name in ("spans", "logs")))
    over = told.filter(pl.col("status").is_in(TERMINAL)).select("project", key="run_key", over=pl.lit(True))
    begins = pl.col("starts") & (pl.col("least") <= pl.when("from_zero").then(0).otherwise(1)).fill_null(True)
    parts = stretches.join(over, on=["project", "key"], how="left", maintain_order="left").with_columns(
        part=(pl.col("over").shift(1).over(RUN).fill_null(False) & begins & (pl.col("stretch") > 0))
        .cast(pl.Int64)
        .cum_sum()
        .over(RUN)
    )
    first = parts.group_by(*RUN, "part", maintain_order=True).agg(pl.col("from_ns").first()).sort(*RUN, "part")
    several = first.filter((pl.len() > 1).over(RUN))
    key = pl.struct("run_key", "part", "from_ns").map_elements(
        lambda r: again_key(r["run_key"], r["from_ns"]) if r["part"] else r["run_key"], return_dtype=pl.String
    )
    return several.select(
        *RUN,
        cut_key=key,
        from_ns=pl.when(pl.col("part") > 0).then("from_ns"),
        until_ns=pl.col("from_ns").shift(-1).over(RUN),
    ).cast(CUTS)


def apart(records: Records, cuts: pl.DataFrame) -> Records:
    """Return *records* with the keys of the runs that *cuts* (`CUTS`) tell apart."""
    if cuts.is_empty():
        return records
    return {name: _apart(rows, name, cuts) if name in _BEGINS else rows for name, rows in records.items()}


def _apart(rows: pl.DataFrame, name: str, cuts: pl.DataFrame) -> pl.DataFrame:
    begun = rows.with_columns(begun_ns=evidence.exact_ns(_BEGINS[name]))
    whole = begun.join(cuts, on=RUN, how="anti").select(rows.columns)
    begins, until = pl.col("begun_ns"), pl.col("until_ns")
    cut = begun.join(cuts, on=RUN).filter(
        (pl.col("from_ns").is_null() | (begins >= pl.col("from_ns"))) & (until.is_null() | (begins < until))
    )
    return pl.concat([whole, cut.with_columns(run_key="cut_key").select(rows.columns)])


def _telling(records: Records) -> Records:
    """Return *records* without logs that name their run in a body or a map, where others tell of it."""
    logs = records["logs"]
    heard = pl.col("keys_from").is_not_null()
    own = pl.concat([records["spans"].select(RUN), logs.filter(~heard).select(RUN)]).unique()
    silent = logs.filter(heard).join(own, on=RUN, how="semi")
    return records if silent.is_empty() else {**records, "logs": logs.join(silent, on=["seq", "row"], how="anti")}


def _stretches(records: Records, reuse_ns: int) -> pl.DataFrame:
    """Return the stretches of time without a pause of *reuse_ns* of the numbers that have several.

    One row each, in order: `stretch` from 0 on, and a `key` of its own; when it `began_ns`; `from_ns`, when the one
    before was over; the `least` attempt that it states; whether anything `starts` in it; whether the number counts
    attempts `from_zero`.
    """
    seen = pl.concat(
        rows.select(
            *RUN,
            "attempt",
            began_ns=evidence.exact_ns(_BEGINS[name]),
            took_ns=pl.col("duration_ns").clip(0) if name == "spans" else pl.lit(0, pl.Int64),
            starts=pl.lit(True) if name == "spans" else (pl.col("phase") == "started").fill_null(False),
        )
        for name, rows in records.items()
    ).sort(*RUN, "began_ns")
    reached = (pl.col("began_ns") + pl.col("took_ns").fill_null(0)).cum_max().shift(1).over(RUN)
    seen = seen.with_columns(reached_ns=reached)
    return (
        seen.with_columns(
            stretch=((pl.col("began_ns") - pl.col("reached_ns")) > reuse_ns)
            .fill_null(False)
            .cast(pl.Int64)
            .cum_sum()
            .over(RUN),
            from_zero=(pl.col("attempt") == 0).any().over(RUN),
        )
        .filter((pl.col("stretch") > 0).any().over(RUN))
        .group_by(*RUN, "stretch", maintain_order=True)
        .agg(
            pl.col("began_ns").min(),
            from_ns=pl.col("reached_ns").first() + 1,
            least=pl.col("attempt").min(),
            starts=pl.col("starts").any(),
            from_zero=pl.col("from_zero").first(),
        )
        .with_columns(key=pl.format("{} {}", "run_key", "stretch"))
    )


def _by_stretch(rows: pl.DataFrame, name: str, stretches: pl.DataFrame) -> pl.DataFrame:
    """Return raw *rows* of the numbers of *stretches*, those of each stretch as a run with its `key`."""
    begun = rows.join(stretches.select(RUN).unique(), on=RUN, how="semi")
    begun = begun.with_columns(begun_ns=evidence.exact_ns(_BEGINS[name])).sort("begun_ns")
    within = begun.join_asof(
        stretches.select(*RUN, "key", "began_ns").sort("began_ns"),
        left_on="begun_ns",
        right_on="began_ns",
        by=RUN,
        check_sortedness=False,
    )
    return within.filter(pl.col("key").is_not_null()).with_columns(run_key="key").select(rows.columns)
