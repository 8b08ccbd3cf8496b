"""Detection of personal data and secrets, measured on a labelled set."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.rules import personal
from tests.rules.labelled import FAMILIES, generate

PAGE = Path(__file__).resolve().parents[2] / "docs/rules/privacy.md"
SAMPLES = list(generate())


def measured() -> str:
    """Return the table of docs/rules/privacy.md: precision and recall by kind, hard families apart."""
    right: Counter[str] = Counter()
    said: Counter[str] = Counter()
    true: Counter[str] = Counter()
    hard: Counter[str] = Counter()
    hard_found: Counter[str] = Counter()
    for sample in SAMPLES:
        found = set(personal.kinds(sample.text, sample.key))
        if sample.family.startswith("hard_"):
            hard.update([sample.family])
            hard_found.update([sample.family] if found & sample.kinds else [])
            continue
        said.update(found)
        true.update(sample.kinds)
        right.update(found & sample.kinds)
    lines = ["| kind | true | found | false | precision | recall |", "|---|---|---|---|---|---|"]
    for kind in sorted(true):
        lines.append(
            f"| {kind} | {true[kind]:,} | {right[kind]:,} | {said[kind] - right[kind]} "
            f"| {right[kind] / said[kind]:.4f} | {right[kind] / true[kind]:.4f} |"
        )
    lines.extend(
        f"| `{family}` | {hard[family]} | {hard_found[family]} | | | {hard_found[family] / hard[family]:.4f} |"
        for family in sorted(hard)
    )
    return "\n".join(lines)


def test_the_page_shows_what_is_measured() -> None:
    """docs/rules/privacy.md holds the precision and recall that this set gives now."""
    assert len(SAMPLES) >= 10_000
    table = measured()
    assert table in PAGE.read_text("utf-8"), f"put this into {PAGE.name}:\n{table}"


@pytest.mark.parametrize("family", [name for name, (_, kinds, _) in FAMILIES.items() if not kinds])
def test_what_only_looks_personal_is_left_alone(family: str) -> None:
    """Ids, numbers, times, packages, addresses of programs and prose are not personal."""
    flagged = [s.text for s in SAMPLES if s.family == family and personal.kinds(s.text, s.key)]
    assert flagged == []


def test_the_column_test_never_hides_a_finding() -> None:
    """Whatever `kinds` finds, `suspects` let through, key and value together as they stand in a record."""
    frame = pl.DataFrame({"text": [f'{{"{s.key}":"{s.text}"}}' for s in SAMPLES]}).with_row_index("i")
    passed = set(personal.suspects(frame, "text")["i"])
    hidden = [s.text for i, s in enumerate(SAMPLES) if i not in passed and personal.kinds(s.text, s.key)]
    assert hidden == []


def test_nothing_that_is_found_is_left_after_redaction() -> None:
    """A redacted text holds no kind any more, and the rest of it stands."""
    for sample in SAMPLES:
        found = personal.kinds(sample.text, sample.key)
        redacted = personal.redact(sample.text, sample.key)
        assert personal.kinds(redacted, sample.key) == ()
        assert all(f"[{kind}]" in redacted for kind in found)
        assert found or redacted == sample.text


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400))
def test_any_text_is_judged_without_an_error_and_the_same_twice(text: str) -> None:
    """Nothing that arrives as text makes detection fail or change its mind."""
    assert personal.kinds(text) == personal.kinds.__wrapped__(text)


@pytest.mark.parametrize(
    "text",
    ["a@" * 60_000, "a." * 60_000, "+1" * 60_000, "1234 " * 25_000, "://:" * 30_000, "eyJ" * 40_000, "DE12 " * 25_000,
     "Bearer " * 20_000, "a" * 130_000 + "@b", "card " + "4" * 130_000, "x@" + "a." * 60_000 + "c"],
    ids=lambda text: text[:8],
)  # fmt: skip
def test_long_adversarial_text_is_judged_in_linear_time(text: str) -> None:
    """A pattern that backtracked would not come back from these."""
    assert personal.kinds.__wrapped__(text) == ()


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("email", "maria@acme.io", "email"),
        ("user_email", "maria@example.com", "email"),
        ("customer.emailAddress", "m@acme.io", "email"),
        ("first_name", "Maria", "name"),
        ("lastName", "Schmidt", "name"),
        ("phone", "415 555 2671", "phone"),
        ("address", "12 Main Street", "address"),
        ("billing_address", "12 Main Street", "address"),
        ("dob", "1987-04-12", "birth_date"),
        ("ssn", "123456789", "number"),
        ("password", "hunter22", "secret"),
        ("api_key", "k-9182-aa71-xy", "secret"),
        ("email", "true", None),
        ("email", "welcome_template", None),
        ("email_count", "12", None),
        ("email_sent_to", "3 recipients", None),
        ("phone", "mobile", None),
        ("first_name", "***", None),
        ("first_name", "[REDACTED]", None),
        ("email", "5d41402abc4b2a76b9719d911017c592", None),
        ("email", "sha256:9f86d081", None),
        ("ip_address", "10 0 0 1", None),
        ("server_address", "db.acme.io", None),
        ("address", "https://acme.io/x", None),
        ("full_name", "acme/worker", None),
        ("name", "Maria Schmidt", None),
        ("file_name", "report.pdf", None),
        ("task_name", "send-mail", None),
        ("token_count", "1823", None),
        ("secret", "arn:aws:secretsmanager:eu-west-1:1:secret:x", None),
        ("user_id", "maria@acme.io", None),
    ],
)
def test_a_key_that_names_a_person_counts_with_a_literal_value_only(key: str, value: str, kind: str | None) -> None:
    """Hashed, masked, opaque and boolean values pass, and so do keys that only contain such a word."""
    assert personal.key_kind(key, value) == kind
