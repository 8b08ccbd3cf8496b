"""Every rule on its own cases: bad ones found, good ones silent."""

from __future__ import annotations

import pytest
from tell import check

from collector.rules.catalogue import RULES
from collector.rules.rule import HEADINGS, Case, Rule

BAD = [pytest.param(r, c, id=f"{r.code}-bad-{i}") for r in RULES.values() for i, c in enumerate(r.bad)]
GOOD = [pytest.param(r, c, id=f"{r.code}-good-{i}") for r in RULES.values() for i, c in enumerate(r.good)]


@pytest.mark.parametrize(("rule", "case"), BAD)
def test_a_bad_case_is_found(rule: Rule, case: Case) -> None:
    """A rule finds each of its bad cases, at its severity, and says what to do."""
    found = check(rule, case)
    assert found.height >= 1
    assert set(found["code"]) == {rule.code}
    assert set(found["severity"]) == {case.severity or rule.severity}
    if case.key is not None:
        assert found["key"].to_list() == [case.key]
    for f in found.iter_rows(named=True):
        assert f["message"] and f["remedy"] and f["count"] >= 1
        assert "None" not in f["message"] + f["remedy"]


@pytest.mark.parametrize(("rule", "case"), GOOD)
def test_a_good_case_is_silent(rule: Rule, case: Case) -> None:
    """A rule says nothing of its good cases."""
    assert check(rule, case).rows() == []


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_explains_itself(rule: Rule) -> None:
    """Every rule has a sentence that says what it finds, Why, How to fix, Not flagged, and a case of each kind."""
    assert rule.summary.endswith(".")
    assert all(rule.section(heading) for heading in HEADINGS)
    assert rule.bad and rule.good
