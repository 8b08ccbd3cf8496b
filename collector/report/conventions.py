"""Findings as people read them: summed up since a time, in words, with a state.

Phone numbers of `countries` (`profiles.phone_countries`) are hidden without a `+` as well.

*new*: first seen within the last day. *resolved*: not seen within the last day although its task ran. *ongoing*: the
rest. The same for the public table, the API and `runwell check --since`.
"""

from __future__ import annotations

import polars as pl

from collector.model.units import DAY_NS
from collector.rules import catalogue
from collector.rules.findings import describe
from collector.store import findings as stored
from collector.store.findings import Came
from collector.store.handle import Handle


def all_of(h: Handle, project: str, countries: tuple[str, ...] = ()) -> pl.DataFrame:
    """Return all findings (`rules.findings.SCHEMA`) of *project*, each as new."""
    return describe(stored.grouped(h, project, 0), stored.totals(h, project, 0), catalogue.RULES, countries)


def findings(
    h: Handle,
    project: str,
    since_ns: int,
    as_of_ns: int,
    *,
    code: str | None = None,
    run_key: str | None = None,
    environment: str | None = None,
    platform_project: str | None = None,
    countries: tuple[str, ...] = (),
) -> pl.DataFrame:
    """Return the findings (`rules.findings.SCHEMA`) of records since *since_ns*, states as of *as_of_ns*.

    They are narrowed down to one rule, one run, or the runs of one environment or platform project.
    """
    grouped = stored.grouped(
        h, project, since_ns, code=code, run_key=run_key, environment=environment, platform_project=platform_project
    )
    totals = stored.totals(h, project, since_ns, environment, platform_project)
    return _stated(h, project, grouped, totals, as_of_ns, countries)


def of_came(
    h: Handle, project: str, came: Came, since_ns: int, as_of_ns: int, countries: tuple[str, ...] = ()
) -> pl.DataFrame:
    """Return the findings of runs of which records *came* since *since_ns*, whenever they say that it happened."""
    grouped = stored.grouped(h, project, since_ns, came=came)
    return _stated(h, project, grouped, stored.totals_of(h, came.runs), as_of_ns, countries)


def _stated(
    h: Handle, project: str, grouped: pl.DataFrame, totals: pl.DataFrame, as_of_ns: int, countries: tuple[str, ...]
) -> pl.DataFrame:
    """Return *grouped* findings in words, each with its state as of *as_of_ns*."""
    registered = grouped.filter(pl.col("code").is_in(list(catalogue.RULES)))
    recently = as_of_ns - DAY_NS
    active = stored.active_tasks(h, project, recently)
    stated = registered.join(active, on="task_id", how="left", nulls_equal=True).with_columns(
        state=pl.when(pl.col("ever_ns") >= recently)
        .then(pl.lit("new"))
        .when((pl.col("last_seen_ns") < recently) & pl.col("active").fill_null(False))
        .then(pl.lit("resolved"))
        .otherwise(pl.lit("ongoing"))
    )
    return describe(stated, totals, catalogue.RULES, countries)
