"""Which records make one run: a function of what the records of one run id state, and of nothing else.

A statement is what a record says of where its run belongs: its environment, and where the id is a bare number service
and queue. Two statements agree unless they say different things of one of these. One belongs to all that agree with it,
if those agree with one another; else nobody can tell which of them it belongs to, and it stands alone.

What records say by keys of their own goes first. What stands in a body or a map (`HEARD`), and what another run's
record calls this one (`NAMED`), join the only run that they agree with, and tell none apart.
"""

from __future__ import annotations

from itertools import product

import polars as pl

from collector.model.identity import is_bare, numbered_key, run_key

OWN, HEARD, NAMED = 0, 1, 2
"""Ranks of statements: by keys of a record's own, in its body or a map, by another run's record."""
OF = ["project", "dialect", "run_id"]
"""What the statements of one run id share."""
STATES = ["environment", "service", "queue"]
STATEMENTS = pl.Schema({**dict.fromkeys([*OF, *STATES, "stated_key"], pl.String()), "rank": pl.Int64()})
"""One row a statement; `stated_key` is what its records have for a key."""
TOLD = pl.Schema({**STATEMENTS, "run_key": pl.String(), "ambiguous": pl.Boolean()})
"""With the key of its run, NULL where what another run names could be several; `ambiguous`: it stands alone."""
_OF_RUN = {name: f"run_{name}" for name in STATES}
"""What is stated → the column of what its run is known to be."""


def runs(statements: pl.DataFrame) -> pl.DataFrame:
    """Return *statements* (`STATEMENTS`), all there are of some run ids, as `TOLD`."""
    told = _apart(statements.filter(pl.col("rank") == OWN))
    for rank in (HEARD, NAMED):
        rows = statements.filter(pl.col("rank") == rank)
        if rows.is_empty():
            continue
        known = told.filter(~pl.col("ambiguous")).drop(STATES).rename({of: name for name, of in _OF_RUN.items()})
        near = _near(rows, known.unique("run_key"), [*STATES, "run_key"])
        no, one = pl.col("least_run_key").is_null(), pl.col("least_run_key") == pl.col("greatest_run_key")
        belongs = pl.when(one).then("least_run_key").otherwise("stated_key")
        joined = near.with_columns(
            run_key=belongs,
            ambiguous=~one,
            **{of: pl.when(one).then(f"least_{name}").otherwise(name) for name, of in _OF_RUN.items()},
        )
        told = pl.concat([told, joined.filter(~no).select(told.columns), _apart(near.filter(no).select(rows.columns))])
    nowhere = (pl.col("rank") == NAMED) & pl.col("ambiguous")
    return told.with_columns(run_key=pl.when(~nowhere).then("run_key")).select(TOLD.names())


def _apart(rows: pl.DataFrame) -> pl.DataFrame:
    """Return statements with their run, and what that is known to be (`_OF_RUN`)."""
    near = _near(rows, rows, STATES)
    clash = pl.any_horizontal((pl.col(f"least_{c}") != pl.col(f"greatest_{c}")).fill_null(False) for c in STATES)
    lost = near.filter(clash).select(rows.columns)
    sure = near.filter(~clash).select(rows.columns)
    joined = _near(sure, sure, STATES).rename({f"least_{name}": of for name, of in _OF_RUN.items()})
    itself = pl.all_horizontal(pl.col(name).eq_missing(pl.col(of)) for name, of in _OF_RUN.items())
    made = pl.struct(*OF, *_OF_RUN.values()).map_elements(_key, return_dtype=pl.String)
    told = pl.concat(
        [
            lost.with_columns(
                run_key="stated_key", ambiguous=pl.lit(True), **{of: name for name, of in _OF_RUN.items()}
            ),
            joined.filter(itself).with_columns(run_key="stated_key", ambiguous=pl.lit(False)),
            joined.filter(~itself).with_columns(run_key=made, ambiguous=pl.lit(False)),
        ],
        how="diagonal",
    )
    return told.select(*(pl.col(c).cast(kind) for c, kind in TOLD.items()), pl.col(*_OF_RUN.values()).cast(pl.String))


def _key(run: dict[str, str]) -> str:
    environment, service, queue = (run[of] for of in _OF_RUN.values())
    key = run_key(run["project"], run["dialect"], environment, "", run["run_id"])
    return numbered_key(key, service, queue) if is_bare(run["run_id"]) else key


def _near(rows: pl.DataFrame, others: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Return *rows* with the `least_` and the `greatest_` of the *columns* of those *others* that agree with each.

    Rows that state the same things are joined by what both state: that is never more than one row for each of *rows*.
    """
    least, greatest = [f"least_{c}" for c in columns], [f"greatest_{c}" for c in columns]
    bounds = [
        *(pl.col(c).min().alias(name) for c, name in zip(columns, least, strict=True)),
        *(pl.col(c).max().alias(name) for c, name in zip(columns, greatest, strict=True)),
    ]
    numbered = rows.with_row_index("i")
    seen = [numbered.select("i", *(pl.lit(None, pl.String).alias(name) for name in (*least, *greatest)))]
    for (_, some), (_, theirs) in product(_by_what(numbered), _by_what(others)):
        on = [*OF, *(c for c in STATES if some[c][0] is not None and theirs[c][0] is not None)]
        seen.append(some.select("i", *on).join(theirs.group_by(on).agg(bounds), on=on).drop(on))
    near = pl.concat(seen).group_by("i").agg(pl.col(least).min(), pl.col(greatest).max())
    return numbered.join(near, on="i", how="left", maintain_order="left").drop("i")


def _by_what(rows: pl.DataFrame) -> list[tuple[tuple[object, ...], pl.DataFrame]]:
    """Return *rows* by what they state, whatever it is."""
    said = [pl.col(c).is_not_null().alias(f"says_{c}") for c in STATES]
    return [
        *rows.with_columns(said).partition_by([f"says_{c}" for c in STATES], as_dict=True, include_key=False).items()
    ]
