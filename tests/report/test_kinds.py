"""Specification of the kinds of anomalies: each has everything, so that a new one cannot be half made."""

from __future__ import annotations

import pytest

from collector.model.report import Kind
from collector.report.kinds.catalogue import KINDS
from collector.report.kinds.kind import LAST, HourlyKind
from collector.store.anomaly_kinds import SOURCES


def test_every_kind_has_an_object_and_a_source() -> None:
    """What the report says of a kind and how the store reads it stand in one place each."""
    assert set(KINDS) == set(Kind) == set(SOURCES)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_kind_has_hourly_series_where_the_core_tests_it(kind: Kind) -> None:
    """The core is given series of those kinds alone that can be told by their hours; conventions have a query alone."""
    has_series = SOURCES[kind].series is not None or kind is Kind.FINDINGS
    assert isinstance(KINDS[kind], HourlyKind) == has_series


def test_causes_have_ranks_of_their_own() -> None:
    """Which of two takes in the other hangs on no order of files; what explains nothing comes last."""
    ranks = [one.rank for one in KINDS.values() if one.explains]
    assert len(set(ranks)) == len(ranks)
    assert {one.rank for one in KINDS.values() if not one.explains} == {LAST}
