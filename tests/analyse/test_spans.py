"""A span is one however often it is sent: of its ends the greatest counts, in any order of arrival."""

from __future__ import annotations

import json
from itertools import permutations
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


def sent(end: int, code: int = 0, start: int = T0) -> Recorded:
    """Return a request with the span of a run, as it is sent at some time."""
    span: dict[str, Any] = {
        **{"traceId": "0" * 30 + "e3", "spanId": "0" * 14 + "e3", "name": "image_resize", "kind": 5},
        **{"startTimeUnixNano": str(start), "endTimeUnixNano": str(end), "status": {"code": code}},
        "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in (("run_id", "r"), ("task_id", "t"))],
    }
    return Recorded(TRACES, "json", json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode())


def told(directory: Path, arrivals: list[tuple[Recorded, int]]) -> tuple[Any, ...]:
    """Return status, start and end of the run whose span arrives so, each at its time."""
    with Pipeline(directory) as pipeline:
        for request, received_ns in arrivals:
            pipeline.group([request], received_ns)
            pipeline.apply()
            pipeline.tick(received_ns)
        pipeline.tick(max(at for _, at in arrivals) + DAY)
        row = pipeline.table("runs").row(0, named=True)
        return row["status"], row["started_ns"], row["ended_ns"]


@settings(max_examples=examples(4), deadline=None)
@given(
    ends=st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0, 1, 2])), min_size=1, max_size=3),
    seed=st.randoms(use_true_random=False),
)
def test_the_greatest_end_counts(tmp_path_factory: Any, ends: list[tuple[int, int]], seed: Any) -> None:
    """Of equal ends an error counts before a success, and that before nothing; copies change nothing."""
    seconds, code = max(ends)
    requests = [sent(T0 + s * SECOND, c) for s, c in ends] * 2
    seed.shuffle(requests)
    arrivals = [(request, T0 + (50 + i) * SECOND) for i, request in enumerate(requests)]
    status = "failed" if code == 2 else "completed"
    assert told(tmp_path_factory.mktemp("spans"), arrivals) == (status, T0, T0 + seconds * SECOND)


def test_an_end_as_sent_counts_before_one_that_is_not(tmp_path: Path) -> None:
    """One before the start, and one whose start arrival stands in for, in any order."""
    odd = [sent(T0 - 5 * SECOND, 2), sent(T0 + 7 * SECOND, 2, start=T0 + 10 * DAY), sent(T0 + 3 * SECOND, 1)]
    for n, order in enumerate(permutations(odd)):
        arrivals = [(request, T0 + (50 + i) * SECOND) for i, request in enumerate(order)]
        assert told(tmp_path / str(n), arrivals) == ("completed", T0, T0 + 3 * SECOND)


def test_a_span_without_a_believable_end_stays_where_it_was(tmp_path: Path) -> None:
    """Sent again hours later it ends no later than it did."""
    once = sent(T0 + 400 * DAY, 1)
    first = told(tmp_path / "once", [(once, T0 + 60 * SECOND)])
    again = told(tmp_path / "again", [(once, T0 + 60 * SECOND), (once, T0 + 5 * 3600 * SECOND)])
    assert again == first


def test_a_clock_that_is_wrong_tells_no_end(tmp_path: Path) -> None:
    """Whose start arrival stands in for ends no later when it comes again, and never before a span that tells both."""
    for n, start in enumerate((T0 + 10 * DAY, 600_000_000 * SECOND)):
        odd, own = sent(start + 3 * SECOND, 2, start=start), sent(T0 + 3 * SECOND, 1)
        once = told(tmp_path / f"once{n}", [(odd, T0 + 60 * SECOND)])
        assert told(tmp_path / f"again{n}", [(odd, T0 + 60 * SECOND), (odd, T0 + 18_000 * SECOND)]) == once
        both = [(odd, T0 + 60 * SECOND), (own, T0 + 61 * SECOND)]
        assert told(tmp_path / f"both{n}", both) == ("completed", T0, T0 + 3 * SECOND)
