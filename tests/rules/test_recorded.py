"""The recorded and synthetic sets: exactly the findings that are documented, no more and no fewer."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from collector.cli.check import read
from collector.rules import catalogue, render
from collector.rules.engine import evaluate
from collector.rules.profiles import choose
from collector.settings import Settings

HERE = Path(__file__).parent.parent.parent
PAGE = (HERE / "docs" / "rules" / "recorded-sets.md").read_text("utf-8")
SETS = sorted((HERE / "sample_data" / "trigger-dev-4.8.3").glob("*.jsonl.gz"))
Row = tuple[str, str, str, str, str, int]


@cache
def found(path: Path) -> pl.DataFrame:
    """Return the findings on a recording."""
    settings = Settings()
    return evaluate(read((str(path),), settings), choose(catalogue.RULES, settings.rules))


def rows(findings: pl.DataFrame) -> list[Row]:
    """Return findings as the page lists them."""
    names = ("code", "severity", "task_id", "operation", "key")
    return sorted((*(f[n] or "" for n in names), f["count"]) for f in findings.iter_rows(named=True))


def documented(name: str) -> list[Row]:
    """Return the findings that the page lists for a set."""
    section = PAGE.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]
    listed: list[Row] = []
    for part in section.split("\n### ")[1:]:
        head, why, table = part.split("\n\n", 2)
        match = re.fullmatch(r"(\w+) [\w-]+ \((\w+)\)", head)
        assert match and why.strip(), head
        for line in table.splitlines()[2:]:
            if line.startswith("|"):
                cells = [cell.strip() for cell in line.strip("|").split("|")]
                listed.append((match[1], match[2], cells[0], cells[1], cells[2], int(cells[3])))
    return sorted(listed)


@pytest.mark.parametrize("path", SETS, ids=lambda p: p.name.removesuffix(".jsonl.gz"))
def test_a_recorded_set_has_exactly_the_findings_that_the_page_explains(path: Path) -> None:
    """docs/rules/recorded-sets.md lists every finding on a recorded set with its reason, and nothing else."""
    assert rows(found(path)) == documented(path.name.removesuffix(".jsonl.gz"))


def test_the_synthetic_sample_has_its_deliberate_violations_and_no_other_finding() -> None:
    """What sample_data/README.md says was done to the sample is found, to the record, and nothing else is."""
    told = re.findall(r"^\| (.+?) \| ([\d,]+) \|$", (HERE / "sample_data" / "README.md").read_text("utf-8"), re.M)
    counts = {what: int(n.replace(",", "")) for what, n in told}
    by_rule = {
        ("CTX002", "reindex-search"): "`request_id` missing",
        ("KEY001", "create-thumbnail"): "`imageWidth`",
        ("PHA008", "sync-crm"): "`error_type` missing",
        ("PII001", "send-newsletter"): "e-mail address",
    }
    expected = {rule: next(n for what, n in counts.items() if words in what) for rule, words in by_rule.items()}
    findings = found(HERE / "sample_data" / "synthetic-48h.jsonl.zst")
    summed = findings.group_by("code", "task_id").agg(pl.col("count").sum())
    assert {(code, task): n for code, task, n in summed.iter_rows()} == expected


def test_a_report_in_any_form_names_every_finding() -> None:
    """Text, Markdown and JSON tell of the same findings, and Markdown renames keys in a Collector's words."""
    findings = found(SETS[0])
    codes = set(findings["code"])
    text, page = render.text(findings, "here"), render.markdown(findings, "here")
    document = render.document(findings, catalogue.RULES, catalogue.not_observable())
    for code in codes:
        assert code in text and code in page and f'"{code}"' in document
    assert """set(log.attributes["document_id"], log.attributes["documentId"])""" in page
