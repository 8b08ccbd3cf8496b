"""Every rule on its own cases: bad ones found, good ones silent."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from tell import T0, check, of_case

from collector.model.units import HOUR_NS
from collector.rules.cases import span
from collector.rules.catalogue import RULES
from collector.rules.checked import looks_at_loose
from collector.rules.engine import evaluate
from collector.rules.profiles import choose
from collector.rules.rule import FIELDS, HEADINGS, Case, Rule
from collector.settings import Rules

BAD = [pytest.param(r, c, id=f"{r.code}-bad-{i}") for r in RULES.values() for i, c in enumerate(r.bad)]
GOOD = [pytest.param(r, c, id=f"{r.code}-good-{i}") for r in RULES.values() for i, c in enumerate(r.good)]


@pytest.mark.parametrize(("rule", "case"), BAD)
def test_a_bad_case_is_found(rule: Rule, case: Case) -> None:
    """A rule finds each of its bad cases, at its severity, and says what to do."""
    findings = check(rule, case)
    assert findings.height >= 1
    assert set(findings["code"]) == {rule.code}
    assert set(findings["severity"]) == {case.severity or rule.severity}
    if case.key is not None:
        assert findings["key"].to_list() == [case.key]
    for f in findings.iter_rows(named=True):
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


def test_a_template_that_names_what_no_finding_has_fails_where_the_rule_is_made() -> None:
    """A misspelt field is an error at import, in message and remedy alike; braces written twice and fields are none."""
    rule = RULES["KEY001"]
    for text in ("`{kye}` is odd.", "`{key.name}` is odd.", "`{}` is odd."):
        with pytest.raises(ValueError, match=rule.code):
            replace(rule, message=text)
        with pytest.raises(ValueError, match=rule.code):
            replace(rule, remedy=text)
    replace(rule, message="".join(f"{{{name}}}" for name in FIELDS), remedy="Set `retry: {{ maxAttempts: 1 }}`.")


def test_a_template_may_name_every_field_of_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that names all fields is told in its own words, with the finding's values; details join as it asks."""
    fields = [name for name in FIELDS if name not in ("project", "details")]
    message = " ".join(f"{name}={{{name}}}" for name in fields) + " {project} {details}"
    rule = replace(RULES["TEL002"], message=message, remedy="{details: or }")
    monkeypatch.setitem(RULES, rule.code, rule)
    spans = (span("charge", 5, 2, runner="generic"), span("sum", 1, 5, runner="generic"))
    ids = {"trace_id": spans[1]["trace_id"], "parent_span_id": spans[1]["span_id"]}
    early = {**span("part", -5, 4, runner="generic"), **ids}
    (f,) = check(rule, Case(spans=(*spans, early))).iter_rows(named=True)
    ends, starts = "a span ends before it starts", "a child starts before its parent"
    assert f["message"].startswith(" ".join(f"{name}={f[name]}" for name in fields) + " case-")
    assert f["message"].endswith(f" {starts}, {ends}")
    assert f["remedy"] == f"{starts} or {ends}"


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_remedy_is_written_once(rule: Rule) -> None:
    """A rule whose remedy is what its documentation says under How to fix has no second copy of it."""
    assert rule.remedy != rule.section("How to fix")


def test_what_a_rule_says_that_it_needs_tells_whether_it_judges_records_of_no_run() -> None:
    """Of the records of all bad cases, had they been in no run, exactly those rules find something of which what they
    need says so: a check by others alone has looked at none of them."""
    cases = [of_case(case) for rule in RULES.values() for case in rule.bad]
    run = [pl.lit(None, pl.String).alias("run_key"), pl.lit(None, pl.String).alias("run_id")]
    tables = {
        name: pl.concat(getattr(f, name) for f in cases)
        for name in ("logs", "spans", "runs", "attempts", "phases", "waits", "repeats")
    }
    none = {name: tables[name].clear() for name in ("runs", "attempts", "phases", "waits")}
    loose = {name: tables[name].with_columns(run) for name in ("logs", "spans")}
    repeats = tables["repeats"].with_columns(run[0])
    resources = pl.concat(f.resources for f in cases).unique(["project", "resource_id"])
    seen = replace(cases[-1], live=True, as_of_ns=T0 + HOUR_NS, resources=resources, repeats=repeats, **none, **loose)
    chosen = choose(RULES, Rules(select=tuple(RULES)))
    assert set(evaluate(seen, chosen)["code"]) == {c.rule.code for c in chosen if looks_at_loose(c.rule)}
