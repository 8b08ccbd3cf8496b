"""Whose each statement is: `parting` over what records state of their run, kept in tables and mended where it changes.

Raw rows and links have the key of what they state, as a rule that of their run. `run_statements` says whose it is for
every run id of which more than one thing is stated, and for every bare number; `run_cuts` says when a bare number was
given to another run (`analyse.again`). A record that states what is known asks nothing of the other statements of its
id, so it costs what a record of an id alone does, however many runs share that id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from collector.model import identity
from collector.model.identity import common_key, numbered_key, run_key
from collector.store import parting
from collector.store.ddl import FACTS
from collector.store.handle import Handle
from collector.store.parting import OF, OWN, STATES

if TYPE_CHECKING:
    from collector.store.places import Memory, Places

KEYS = ["project", "run_key"]
BARE = f"regexp_full_match(run_id, '{identity.BARE}')"
"""Whether column run_id is a bare number, as `identity.is_bare`."""
SERVICE = "CASE WHEN NOT starts_with(service_name, 'unknown_service') THEN nullif(service_name, '') END"
"""The service that a resource states; SDKs fill in one that says nothing."""
SAID = pl.Schema({**dict.fromkeys([*OF, "run_key"], pl.String()), **dict.fromkeys(("rank", "low", "high"), pl.Int64())})
"""Statements of new records: what they have for a key, the run id it is of, the rank, and between which journal numbers
they are."""
WHOSE = pl.Schema({**dict.fromkeys([*KEYS, "of"], pl.String()), **dict.fromkeys(("from_ns", "until_ns"), pl.Int64())})
"""What has key `run_key` is of run *of* where it begins in [`from_ns`, `until_ns`), NULL for no bound."""


def _no_cuts() -> pl.DataFrame:
    return pl.DataFrame(FACTS["run_cuts"].empty_table())


def key(column: str = "run_key") -> pl.Expr:
    """Return the key of a run (or batch) key: its first 60 bits."""
    return pl.col(column).str.slice(0, 15).str.to_integer(base=16, dtype=pl.Int64).alias("key")


def common() -> pl.Expr:
    """Return the key that all statements of a run id share; over `OF`."""
    shared = pl.struct(*OF).map_elements(lambda r: common_key(*(r[c] for c in OF)), return_dtype=pl.Int64)
    return shared.alias("common")


def keyed(h: Handle, rows: pa.Table) -> pa.Table:
    """Return raw *rows* of records with the key of what they state: of bare numbers service and queue are part of it.

    Their resources are stored.
    """
    ids = rows["run_id"]
    bare = pc.fill_null(pc.match_substring_regex(ids, f"^{identity.BARE}$"), False)
    if not pc.any(bare).as_py():
        return rows
    at = pc.indices_nonzero(bare)
    some = rows.select([*OF, "environment", "resource_id", "queue"]).take(at)
    stated = h.frame(
        f"SELECT i, s.* EXCLUDE (i, resource_id), {SERVICE} AS service FROM bare s "  # noqa: S608 -- our own words
        "LEFT JOIN resources r ON r.project = s.project AND r.resource_id = s.resource_id",
        bare=some.append_column("i", at.cast(pa.int64())),
    )
    keys = stated.with_columns(numbered().alias("run_key")).sort("i")["run_key"]
    column = rows.column_names.index("run_key")
    return rows.set_column(
        column,
        "run_key",
        pc.replace_with_mask(
            rows["run_key"].combine_chunks(), bare.combine_chunks(), keys.to_arrow().cast(pa.string())
        ),
    )


def numbered() -> pl.Expr:
    """Return the key of what is stated of a bare number; over `OF` and `STATES`."""

    def made(r: dict[str, str]) -> str:
        base = run_key(r["project"], r["dialect"], r["environment"], "", r["run_id"])
        return numbered_key(base, r["service"] or None, r["queue"] or None)

    return pl.struct(*OF, *STATES).map_elements(made, return_dtype=pl.String)


class Statements:
    """Whose the statements of one transaction are: *memory* belongs to the thread that writes, any other has none."""

    def __init__(self, h: Handle, memory: Memory | None = None) -> None:
        self._h = h
        self._memory = memory

    def take_up(self, places: Places, said: pl.DataFrame, done: int, upto: int) -> pl.DataFrame:
        """Note what new records and links say (`SAID`); return the runs that old or new records are of now and were
        not, or were and are not: project, run_key.

        They are stored with journal numbers in (*done*, *upto*]; where is noted in *places*.
        """
        by_key = said.group_by("project", "run_key").agg(pl.col("dialect", "run_id").first(), pl.col("rank").min())
        new = by_key.join(self._known(places, by_key), on="run_key", how="anti").with_columns(common())
        places.note(said.join(new.select(*KEYS, "common"), on=KEYS, how="left").with_columns(key()))
        new = new.with_columns(shared=self._is_shared(new["common"]))
        bare = is_bare()
        several = (pl.col("run_key").n_unique().over("common") > 1) | pl.col("shared")
        ids = pl.concat(
            [new.filter(several | bare).select(*OF, "common"), self._risen(by_key).with_columns(common())],
            how="diagonal",
        ).unique(OF)
        if ids.is_empty():
            return said.clear().select(KEYS)
        before = self._h.frame("SELECT s.* FROM run_statements s SEMI JOIN ids USING (common)", ids=ids)
        unknown = ids.join(before, on="common", how="anti")
        ranges = [*places.of_common(unknown), (done + 1, upto)]
        rows = pl.concat([before.select(parting.STATEMENTS.names()), self.stated(ids, ranges)])
        rows = rows.group_by(*OF, *STATES, "stated_key").agg(pl.col("rank").min()).select(parting.STATEMENTS.names())
        told = parting.runs(rows).join(ids, on=OF, how="left")
        told = told.filter(bare | (pl.len().over("common") > 1)).select(before.columns)
        changed = told.join(before, on=told.columns, how="anti", nulls_equal=True)
        return self._write(changed, before)

    def _known(self, places: Places, said: pl.DataFrame) -> pl.DataFrame:
        """Return those of the keys *said* that were stated before: column `run_key`.

        What is stored may be the key of a run that nobody stated so; but every statement of a run id of which more than
        one thing is stated, and of a bare number, is kept.
        """
        stored = said.join(places.known(said), on="run_key", how="semi")
        some = pl.concat([stored.filter(is_bare()), self._parted(stored)]).select(KEYS).unique()
        if some.is_empty():
            return stored.select("run_key")
        kept = self._h.frame(
            "SELECT s.stated_key AS run_key FROM run_statements s SEMI JOIN keys k ON s.stated_key = k.run_key",
            keys=some,
        )
        return stored.join(some.join(kept, on="run_key", how="anti"), on="run_key", how="anti").select("run_key")

    def _is_shared(self, commons: pl.Series) -> pl.Series:
        """Tell of each of *commons* whether another statement of that id may be known."""
        if self._memory is None:
            return pl.repeat(True, len(commons), eager=True)
        return pl.Series(self._memory.commons(self._h).has(commons.to_numpy()), dtype=pl.Boolean)

    def _risen(self, said: pl.DataFrame) -> pl.DataFrame:
        """Return the ids (`OF`) of which records now say by keys of their own what others said before."""
        known = self._rows(said, "stated_key").select("stated_key", before="rank")
        return (
            said.join(known, left_on="run_key", right_on="stated_key")
            .filter(pl.col("rank") < pl.col("before"))
            .select(OF)
        )

    def stated(self, ids: pl.DataFrame, ranges: list[tuple[int, int]]) -> pl.DataFrame:
        """Return what records and links with journal numbers in *ranges* state of *ids* (`OF`): `STATEMENTS`."""
        where = " OR ".join(f"seq BETWEEN {a} AND {b}" for a, b in ranges)
        told = ", ".join([*OF, "environment", "queue", "resource_id", "run_key"])
        named = "NULL AS queue, NULL AS resource_id"
        return self._h.frame(
            f"""
            WITH stated AS (
                SELECT {told}, {OWN} AS rank FROM spans WHERE {where}
                UNION ALL BY NAME SELECT {told}, CASE WHEN keys_from IS NULL THEN {OWN} ELSE {parting.HEARD} END AS rank
                FROM logs WHERE {where}
                UNION ALL BY NAME SELECT project, dialect, environment, child_run_id AS run_id,
                    child_run_key AS run_key, {named}, {parting.NAMED} AS rank FROM run_links
                WHERE source = 'derived' AND ({where})
                UNION ALL BY NAME SELECT project, dialect, environment, parent_run_id AS run_id,
                    parent_run_key AS run_key, {named}, {parting.NAMED} AS rank FROM run_links
                WHERE source = 'measured' AND ({where})
            )
            SELECT {", ".join(f"s.{c}" for c in OF)}, nullif(s.environment, '') AS environment,
                CASE WHEN {BARE} THEN {SERVICE} END AS service, CASE WHEN {BARE} THEN nullif(s.queue, '') END AS queue,
                s.run_key AS stated_key, min(s.rank)::BIGINT AS rank
            FROM stated s SEMI JOIN ids ON s.project = ids.project AND s.dialect = ids.dialect AND s.run_id = ids.run_id
            LEFT JOIN resources r ON r.project = s.project AND r.resource_id = s.resource_id
            WHERE s.run_key IS NOT NULL GROUP BY ALL
            """,  # noqa: S608 -- our own words and numbers
            ids=ids.select(OF),
        ).select(pl.col(c).cast(kind) for c, kind in parting.STATEMENTS.items())

    def _write(self, changed: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
        if changed.is_empty():
            return changed.select(KEYS)
        was = changed.join(before.select("stated_key", was="run_key"), on="stated_key", how="left")
        # What was not kept was its own.
        was = was.join(before.select("stated_key", kept=True), on="stated_key", how="left")
        old = was.select("project", run_key=pl.when("kept").then("was").otherwise("stated_key"))
        self._h.run("DELETE FROM run_statements s USING changed c WHERE s.stated_key = c.stated_key", changed=changed)
        self._h.run("INSERT INTO run_statements BY NAME SELECT * FROM changed", changed=changed)
        if self._memory is not None:
            self._memory.parted(self._h).add(_others(changed).to_numpy())
        return pl.concat([old, changed.select(KEYS)]).drop_nulls().unique()

    # -- looking up ------------------------------------------------------------------------------------------

    def runs(self, stated: pl.DataFrame) -> pl.DataFrame:
        """Return the runs, as `bases`, of what has the keys *stated*: project, run_key."""
        if self._parted(stated).is_empty():
            return stated.select(KEYS).drop_nulls().unique()
        rows = self._rows(stated, "stated_key").select("project", "stated_key", of="run_key", moved=True)
        told = stated.select(KEYS).unique().join(rows, left_on=KEYS, right_on=["project", "stated_key"], how="left")
        return told.select("project", run_key=pl.when("moved").then("of").otherwise("run_key")).drop_nulls().unique()

    def bases(self, runs: pl.DataFrame) -> pl.DataFrame:
        """Return *runs* (project, run_key), of those that a number was given again the first one."""
        cuts = self._cuts(runs, "cut_key")
        if cuts.is_empty():
            return runs.select(KEYS)
        first = runs.join(
            cuts.select("project", "cut_key", first="run_key"),
            left_on=KEYS,
            right_on=["project", "cut_key"],
            how="left",
        )
        return first.select("project", run_key=pl.coalesce("first", "run_key")).unique()

    def whole(self, runs: pl.DataFrame) -> pl.DataFrame:
        """Return whose keys are those of *runs* (`bases`), however often their number was given again: `WHOSE`."""
        runs = runs.select(KEYS).unique()
        no = pl.lit(None, pl.Int64)
        if self._parted(runs).is_empty():
            return runs.with_columns(of="run_key", from_ns=no, until_ns=no)
        kept = self._rows(runs, "run_key")
        moved = self._rows(runs, "stated_key").filter(~pl.col("stated_key").eq_missing(pl.col("run_key")))
        stated = kept.select("project", run_key="stated_key", of="run_key")
        # A key of which nothing is kept is its own.
        itself = runs.join(moved, left_on=KEYS, right_on=["project", "stated_key"], how="anti").with_columns(
            of="run_key"
        )
        itself = itself.join(stated, on=KEYS, how="anti")
        return pl.concat([stated, itself.select("project", "run_key", "of")]).with_columns(from_ns=no, until_ns=no)

    def of(self, runs: pl.DataFrame) -> pl.DataFrame:
        """Return whose keys are those of *runs*: `WHOSE`."""
        if self._parted(runs).is_empty():
            return self.whole(runs)
        cuts = pl.concat([self._cuts(runs, "cut_key"), self._cuts(runs, "run_key")]).unique()
        if cuts.is_empty():
            return self.whole(runs)
        some = cuts.join(runs, left_on=["project", "cut_key"], right_on=KEYS, how="semi")
        plain = self.whole(runs.join(some, left_on=KEYS, right_on=["project", "cut_key"], how="anti"))
        cut = self.whole(some.select(KEYS).unique()).drop("from_ns", "until_ns").rename({"of": "base"})
        cut = cut.join(some.rename({"run_key": "base"}), on=["project", "base"]).rename({"cut_key": "of"})
        return pl.concat([plain, cut.select(WHOSE.names())])

    def told(self, stated: pl.DataFrame) -> pl.DataFrame:
        """Return whose each of the keys *stated* is: `WHOSE`, none where what is named could be several runs."""
        runs = self.runs(stated)
        if self._parted(pl.concat([stated.select(KEYS), runs])).is_empty():
            return self.whole(runs)
        cuts = self._cuts(runs, "run_key")
        runs = pl.concat([runs, cuts.select("project", run_key="cut_key")]).unique()
        return self.of(runs).join(stated.select(KEYS).unique(), on=KEYS, how="semi")

    def cut(self, runs: pl.DataFrame, cuts: pl.DataFrame) -> pl.DataFrame:
        """Keep *cuts* (`analyse.again.CUTS`), all that *runs* (`bases`) have; return the runs of their numbers, those
        that were and those that are.
        """
        before = self._cuts(runs, "run_key")
        if before.is_empty() and cuts.is_empty():
            return runs.select(KEYS)
        self._h.run(
            "DELETE FROM run_cuts c USING before b WHERE c.project = b.project AND c.run_key = b.run_key", before=before
        )
        self._h.run("INSERT INTO run_cuts BY NAME SELECT * FROM cuts", cuts=cuts)
        if self._memory is not None and not cuts.is_empty():
            keys = pl.concat([cuts.select(key()), cuts.select(key("cut_key"))])["key"]
            self._memory.parted(self._h).add(keys.to_numpy())
        cut = pl.concat([before, cuts]).select("project", run_key="cut_key")
        return pl.concat([runs.select(KEYS), cut]).unique()

    def ambiguous(self, runs: pl.DataFrame) -> pl.DataFrame:
        """Return those of *runs* whose records may be of one of several runs: project, run_key."""
        return self._rows(runs, "run_key").filter("ambiguous").select(KEYS).unique()

    def _rows(self, keys: pl.DataFrame, column: str) -> pl.DataFrame:
        """Return the rows of `run_statements` whose *column* is a `run_key` of *keys*, those that are more than what
        follows from no row at all."""
        some = self._parted(keys)
        if some.is_empty():
            return pl.DataFrame(schema=parting.TOLD)
        return self._h.frame(
            "SELECT s.* EXCLUDE (common) FROM run_statements s "  # noqa: S608 -- a column of ours
            f"SEMI JOIN wanted w ON s.project = w.project AND s.{column} = w.run_key",
            wanted=some.select(KEYS),
        ).select(pl.col(c).cast(kind) for c, kind in parting.TOLD.items())

    def _cuts(self, keys: pl.DataFrame, column: str) -> pl.DataFrame:
        some = self._parted(keys)
        if some.is_empty():
            return _no_cuts()
        return self._h.frame(
            f"SELECT c.* FROM run_cuts c SEMI JOIN wanted w ON c.project = w.project AND c.{column} = w.run_key",  # noqa: S608 -- ditto
            wanted=some.select(KEYS),
        ).select(pl.col(c).cast(kind) for c, kind in _no_cuts().schema.items())

    def _parted(self, keys: pl.DataFrame) -> pl.DataFrame:
        """Return those of *keys* of which a table may say something."""
        if self._memory is None or keys.is_empty():
            return keys
        return keys.filter(
            pl.Series(self._memory.parted(self._h).has(keys.select(key())["key"].to_numpy()), dtype=pl.Boolean)
        )


def is_bare() -> pl.Expr:
    """Tell the same of a frame's column."""
    return pl.col("run_id").str.contains(f"^{identity.BARE}$")


def _others(rows: pl.DataFrame) -> pl.Series:
    """Return the keys of statements of *rows* (`parting.TOLD`) that say more than which run is theirs, and of those."""
    some = rows.filter(
        ~pl.col("stated_key").eq_missing(pl.col("run_key")) | (pl.col("rank") > OWN) | pl.col("ambiguous")
    )
    return pl.concat([some.select(key("stated_key")), some.select(key("run_key"))])["key"].drop_nulls()


OTHERS = f"""
    SELECT stated_key, run_key FROM run_statements
    WHERE stated_key IS DISTINCT FROM run_key OR rank > {OWN} OR ambiguous
    UNION ALL SELECT run_key, cut_key FROM run_cuts
"""  # noqa: S608 -- a number of ours
"""What `Memory.parted` knows the keys of."""
