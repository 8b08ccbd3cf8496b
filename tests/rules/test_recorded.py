"""The recorded and synthetic sets: exactly the findings that are documented, no more and no fewer."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
from tell import findings as findings_of
from tell import frames

from collector.rules import catalogue, outline, render
from collector.rules.cases import log
from collector.rules.profiles import choose
from collector.settings import Settings
from tools import recorded
from tools.generate import NOTE

HERE = Path(__file__).parent.parent.parent
SETS = recorded.SETS


def findings_in(path: Path) -> pl.DataFrame:
    """Return the findings on a recording."""
    return recorded.check_recording(path)[0]


def test_the_page_lists_every_finding_with_what_shows_it() -> None:
    """recorded-sets.md has every finding on a recorded set with the record that proves it, and no other."""
    page = Path(__file__).with_name("recorded-sets.md").read_text("utf-8")
    assert page == f"{NOTE}\n{recorded.page()}", "write it again: `make docs`"
    for path in SETS:
        for f in findings_in(path).iter_rows(named=True):
            assert f["samples"] != "[]" and recorded.reason(f) in page.replace("\\|", "|")


def test_no_reason_is_left_over() -> None:
    """Every reason that the page knows is that of a finding."""
    pairs = {pair for path in SETS for pair in findings_in(path).select("code", "severity").iter_rows()}
    assert pairs == set(recorded.WHY)


def test_the_first_thing_a_report_says_is_what_runs_do_wrong() -> None:
    """Errors come before warnings and hints, and among them what runs do before what their telemetry spells wrong."""
    for path in SETS:
        sections = outline.sections(findings_in(path))
        assert [s.severity for s in sections] == sorted(
            (s.severity for s in sections), key=("error", "warning", "info").index
        )
    codes = [s.code for s in outline.sections(findings_in(SETS[0])) if s.severity == "error"]
    assert codes == ["IDM003", "PHA001", "PHA004", "CTX001", "KEY001"]


def test_a_report_shows_no_personal_data() -> None:
    """What a privacy rule finds is nowhere in text or Markdown, whichever rule shows the record."""
    logs = [log("Sent to jo@firma.at", note="jo@firma.at", userId=1), log("mail_send_started", 1, email="x@firma.at")]
    findings = findings_of(frames(logs), choose(catalogue.RULES, Settings().rules))
    assert {"PII001", "MSG001", "KEY001"} <= set(findings["code"])
    for report in (render.text(findings, "here"), render.markdown(findings, "here")):
        assert "firma" not in report


def test_the_synthetic_sample_has_its_deliberate_violations_and_no_other_finding() -> None:
    """What sample_data/README.md says was done to the sample is found, to the record, and nothing else is."""
    deviations = re.findall(r"^\| (.+?) \| ([\d,]+) \|$", (HERE / "sample_data" / "README.md").read_text("utf-8"), re.M)
    counts = {what: int(n.replace(",", "")) for what, n in deviations}
    by_rule = {
        ("CTX002", "reindex-search"): "`request_id` missing",
        ("KEY001", "create-thumbnail"): "`imageWidth`",
        ("PHA008", "sync-crm"): "`error_type` missing",
        ("PII001", "send-newsletter"): "e-mail address",
    }
    expected = {rule: next(n for what, n in counts.items() if words in what) for rule, words in by_rule.items()}
    findings = findings_in(HERE / "sample_data" / "synthetic-48h.jsonl.zst")
    summed = findings.group_by("code", "task_id").agg(pl.col("count").sum())
    assert {(code, task): n for code, task, n in summed.iter_rows()} == expected


def test_a_report_in_any_form_names_every_finding() -> None:
    """Text, Markdown and JSON tell of the same findings, and Markdown renames keys in a Collector's words."""
    findings = findings_in(SETS[0])
    codes = set(findings["code"])
    text, page = render.text(findings, "here"), render.markdown(findings, "here")
    document = render.document(findings, catalogue.RULES, catalogue.not_observable(), {})
    for code in codes:
        assert code in text and code in page and f'"{code}"' in document
    assert """set(log.attributes["document_id"], log.attributes["documentId"])""" in page
