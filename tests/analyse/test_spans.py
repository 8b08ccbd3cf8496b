"""A span is one however often it is sent: of its ends the greatest counts, in any order of arrival."""

from __future__ import annotations

import json
from itertools import groupby, permutations
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.cli.recordings import Recorded
from collector.model.signals import TRACES
from tests.inprocess import SECOND, Pipeline
from tests.length import examples

T0 = 1_795_600_000 * SECOND
DAY = 86_400 * SECOND

End = tuple[int, int, int]
"""Start and end of a span as it is sent at some time, and its status."""


def end(end: int, code: int = 0, start: int = T0) -> End:
    """Return a span that ended so."""
    return start, end, code


def sent(run: str, span_id: int, as_sent: End) -> Recorded:
    """Return a request with the span of *run*."""
    start, end, code = as_sent
    span: dict[str, Any] = {
        **{"traceId": f"{span_id:032x}", "spanId": f"{span_id:016x}", "name": "image_resize", "kind": 5},
        **{"startTimeUnixNano": str(start), "endTimeUnixNano": str(end), "status": {"code": code}},
        "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in (("run_id", run), ("task_id", "t"))],
    }
    return Recorded(TRACES, "json", json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode())


def told(directory: Path, *stories: list[tuple[End, int]]) -> list[tuple[Any, ...]]:
    """Return status, start and end of the run of each story, whose one span arrives so, each time at its time."""
    arrivals = [(at, n, as_sent) for n, story in enumerate(stories) for as_sent, at in story]
    arrivals.sort(key=lambda arrival: arrival[0])
    with Pipeline(directory) as pipeline:
        for at, some in groupby(arrivals, key=lambda arrival: arrival[0]):
            pipeline.group([sent(f"r{n}", n + 1, as_sent) for _, n, as_sent in some], at)
            pipeline.apply()
            pipeline.tick(at)
        pipeline.tick(max(at for at, *_ in arrivals) + DAY)
        rows = {row["run_id"]: row for row in pipeline.table("runs").to_dicts()}
    return [tuple(rows[f"r{n}"][name] for name in ("status", "started_ns", "ended_ns")) for n in range(len(stories))]


def apart(ends: list[End]) -> list[tuple[End, int]]:
    """Return a story in which these arrive one after another."""
    return [(as_sent, T0 + (50 + i) * SECOND) for i, as_sent in enumerate(ends)]


ENDS = st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0, 1, 2])), min_size=1, max_size=3)


@settings(max_examples=examples(2), deadline=None)
@given(stories=st.lists(ENDS, min_size=4, max_size=4), seed=st.randoms(use_true_random=False))
def test_the_greatest_end_counts(tmp_path_factory: Any, stories: list[list[tuple[int, int]]], seed: Any) -> None:
    """Of equal ends an error counts before a success, and that before nothing; copies change nothing."""
    twice = [[end(T0 + s * SECOND, c) for s, c in ends] * 2 for ends in stories]
    for ends in twice:
        seed.shuffle(ends)
    expected = [
        ("failed" if code == 2 else "completed", T0, T0 + seconds * SECOND) for seconds, code in map(max, stories)
    ]
    assert told(tmp_path_factory.mktemp("spans"), *map(apart, twice)) == expected


def test_an_end_as_sent_counts_before_one_that_is_not(tmp_path: Path) -> None:
    """One before the start, and one whose start arrival stands in for, in any order."""
    odd = [end(T0 - 5 * SECOND, 2), end(T0 + 7 * SECOND, 2, start=T0 + 10 * DAY), end(T0 + 3 * SECOND, 1)]
    orders = [apart([*order]) for order in permutations(odd)]
    assert told(tmp_path, *orders) == [("completed", T0, T0 + 3 * SECOND)] * 6


def test_a_span_without_a_believable_end_stays_where_it_was(tmp_path: Path) -> None:
    """Sent again hours later it ends no later than it did."""
    once = end(T0 + 400 * DAY, 1)
    first, again = told(
        tmp_path, [(once, T0 + 60 * SECOND)], [(once, T0 + 60 * SECOND), (once, T0 + 5 * 3600 * SECOND)]
    )
    assert again == first


def test_a_clock_that_is_wrong_tells_no_end(tmp_path: Path) -> None:
    """Whose start arrival stands in for ends no later when it comes again, and never before a span that tells both."""
    for n, start in enumerate((T0 + 10 * DAY, 600_000_000 * SECOND)):
        odd, own = end(start + 3 * SECOND, 2, start=start), end(T0 + 3 * SECOND, 1)
        once, again, both = told(
            tmp_path / f"{n}",
            [(odd, T0 + 60 * SECOND)],
            [(odd, T0 + 60 * SECOND), (odd, T0 + 18_000 * SECOND)],
            [(odd, T0 + 60 * SECOND), (own, T0 + 61 * SECOND)],
        )
        assert again == once
        assert both == ("completed", T0, T0 + 3 * SECOND)
