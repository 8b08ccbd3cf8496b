"""Which statements of a run id are of one run."""

from __future__ import annotations

import random
from itertools import combinations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from collector.model.identity import numbered_key, run_key
from collector.store import parting
from collector.store.parting import HEARD, NAMED, OWN, STATES

Said = tuple[int, str | None, str | None, str | None]
"""Rank, environment, service, queue."""
SAID = st.lists(
    st.tuples(st.sampled_from([OWN, OWN, HEARD, NAMED]), *(st.sampled_from([None, "a", "b"]) for _ in STATES)),
    min_size=1,
    max_size=9,
    unique_by=lambda said: said[1:],
)


def key(said: Said) -> str:
    """Return the key of a statement."""
    _, environment, service, queue = said
    return numbered_key(run_key("p", "generic", environment, "", "7"), service, queue)


def rows(said: list[Said]) -> pl.DataFrame:
    """Return statements of one bare number."""
    named = [("p", "generic", "7", *one[1:], key(one), one[0]) for one in said]
    return pl.DataFrame(named, schema=parting.STATEMENTS, orient="row")


def agree(one: Said, other: Said) -> bool:
    """Tell whether two statements differ in nothing that both state."""
    return all(a is None or b is None or a == b for a, b in zip(one[1:], other[1:], strict=True))


def apart(said: list[Said]) -> dict[frozenset[Said], bool]:
    """Return the runs that statements of one rank make, and of each whether nobody can tell whose it is."""
    lost = {
        one
        for one in said
        if any(not agree(a, b) for a, b in combinations([other for other in said if agree(one, other)], 2))
    }
    sure = [one for one in said if one not in lost]
    return {frozenset(b for b in sure if agree(a, b)): False for a in sure} | {frozenset([a]): True for a in lost}


def expected(said: list[Said]) -> dict[frozenset[Said], bool | None]:
    """Return the runs of all statements, None for what only leads nowhere."""
    runs: dict[frozenset[Said], bool | None] = dict(apart([one for one in said if one[0] == OWN]))
    for rank in (HEARD, NAMED):
        # What a run is known to be, those say that made it.
        known = [
            frozenset(one for one in run if one[0] == min(other[0] for other in run))
            for run, doubtful in runs.items()
            if doubtful is False
        ]
        alone: list[Said] = []
        for one in (one for one in said if one[0] == rank):
            theirs = [run for run in known if all(agree(one, other) for other in run)]
            if not theirs:
                alone.append(one)
            elif len(theirs) > 1:
                runs[frozenset([one])] = True
            else:
                joined = next(run for run in runs if theirs[0] <= run)
                runs[joined | {one}] = runs.pop(joined)
        runs |= apart(alone)
    return {run: None if doubtful and next(iter(run))[0] == NAMED else doubtful for run, doubtful in runs.items()}


@given(SAID, st.randoms(use_true_random=False))
def test_statements_that_agree_are_of_one_run_and_what_agrees_with_several_stands_alone(
    said: list[Said], dice: random.Random
) -> None:
    """In whatever order they come: their own keys go first, what stands in a body joins the only run it agrees with,
    and so does what others call a run, which leads nowhere where it could be several. A run whose statements say
    together what one of them says alone has its key."""
    told = parting.runs(rows(said))
    shuffled = list(said)
    dice.shuffle(shuffled)
    assert parting.runs(rows(shuffled)).sort("stated_key").equals(told.sort("stated_key"))
    by_key = {key(one): one for one in said}
    found: dict[frozenset[Said], bool | None] = {}
    for (of,), some in told.filter(pl.col("run_key").is_not_null()).group_by("run_key"):
        members = frozenset(by_key[stated] for stated in some["stated_key"])
        found[members] = bool(some["ambiguous"].any())
        own = [m for m in members if m[0] == min(m[0] for m in members)]
        whole = (OWN, *(next((m[i] for m in own if m[i] is not None), None) for i in (1, 2, 3)))
        assert of == key(whole)
    found |= {frozenset([by_key[k]]): None for k in told.filter(pl.col("run_key").is_null())["stated_key"]}
    assert found == expected(said)


def test_a_run_id_that_is_no_bare_number_is_parted_by_environment_alone() -> None:
    """Its key is that of project, dialect, environment and id."""
    said = [("p", "generic", "r-7", e, None, None, run_key("p", "generic", e, "", "r-7"), OWN) for e in ("a", None)]
    told = parting.runs(pl.DataFrame(said, schema=parting.STATEMENTS, orient="row"))
    assert told["run_key"].to_list() == [run_key("p", "generic", "a", "", "r-7")] * 2
    assert not told["ambiguous"].any()
