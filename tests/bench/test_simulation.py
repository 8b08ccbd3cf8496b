"""The simulated world of `bench.truth`, small: what the product says of it is what happened."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.truth.__main__ import judged, summary, table
from bench.truth.compare import EQUAL, MARKED, WRONG, Verdict, compare
from bench.truth.fact import Fact
from bench.truth.plan import HOUR
from bench.truth.told import Told
from bench.truth.world import World


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> list[Verdict]:
    """Return the verdicts of a world of some 120 runs."""
    return judged(120, 5, tmp_path_factory.mktemp("truth"), every_ns=24 * HOUR)


def test_figures_of_a_small_world_are_what_happened(verdicts: list[Verdict]) -> None:
    """Every statistic is compared, every figure that is told or named as not compared, and none is off."""
    counts = Counter(v.statistic for v in verdicts)
    assert {"retries", "throughput", "tasks", "funnel", "failures", "durations (exact)", "calls", "trees"} <= {*counts}
    assert {"queues", "queues (backlog)", "slots", "little", "holders"} <= {*counts}
    assert [v.line() for v in verdicts if v.kind == WRONG] == []
    assert sum(v.kind == EQUAL for v in verdicts) > 5_000
    assert f"{len(verdicts)} figures: " in summary(verdicts)
    assert table(verdicts).count("\n") == len(counts) + 1


def test_a_figure_that_nobody_compares_is_told() -> None:
    """A number that the product has and the comparison does not is wrong until it is compared or named."""
    told = Told(["little"])
    told.add("little", [{"measure": "level", "statistic": "mean"}, {"measure": "level", "statistic": "p95"}])
    told.compared(Verdict("little", ("mail", "level", "mean"), Fact(1.0), None, EQUAL))
    assert [v.key for v in told.left()] == [("level p95",)]


def test_a_world_is_the_same_each_time_and_another_by_another_seed() -> None:
    """What is told of one seed can be looked at again."""
    one, two, other = ([(r.id, r.outcome, r.ended_ns) for r in World(120, seed).run().runs] for seed in (1, 1, 2))
    assert one == two
    assert one != other


@pytest.mark.parametrize(
    ("fact", "row", "kind"),
    [
        (Fact(4.0), {"value": 4.0, "provenance": "measured"}, EQUAL),
        (Fact(4.0), {"value": 4.01, "provenance": "inferred"}, WRONG),
        (Fact(4.0), {"value": None, "provenance": "unknown"}, WRONG),
        (Fact(4.0), None, WRONG),
        (Fact(4.0, n=3), {"value": 4.0, "n": 2, "provenance": "measured"}, WRONG),
        (Fact(4.0, proved=False), {"value": 5.0, "provenance": "derived"}, WRONG),
        (Fact(4.0, proved=False), {"value": 5.0, "provenance": "inferred"}, MARKED),
        (Fact(4.0, proved=False), {"value": None, "provenance": "unknown"}, MARKED),
        (Fact(4.0, how="level"), {"value": 4.05, "provenance": "derived"}, WRONG),
    ],
)
def test_a_figure_has_to_be_right_or_marked_where_nobody_can_know(
    fact: Fact, row: dict[str, object] | None, kind: str
) -> None:
    """A provable figure that is off or unknown is wrong, whatever its mark; another one only if it is not marked."""
    told = [] if row is None else [(("x",), row)]
    (verdict,) = compare("tasks", {("x",): fact}, told)
    assert verdict.kind == kind


def test_a_figure_that_is_told_twice_is_wrong() -> None:
    """Whatever its rows say, and whichever comes last."""
    rows = [{"value": value, "provenance": "measured"} for value in (7.0, 1.0)]
    told = compare("tasks", {("x",): Fact(1.0)}, [(("x",), row) for row in rows])
    assert {v.kind for v in told} == {EQUAL, WRONG}
