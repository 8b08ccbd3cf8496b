"""Detection of personal data and secrets, measured on a labelled set."""

from __future__ import annotations

from collections import Counter
from importlib.resources import files
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import personal
from collector.rules import privacy
from tests.length import examples
from tests.rules.labelled import FAMILIES, Sample, generate

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


def _records(texts: list[tuple[str, str]]) -> pl.DataFrame:
    """Return key and text as they stand in the attributes of a record, and as a message."""
    columns = {
        "attributes": [msgspec.json.encode({key: text}).decode() for key, text in texts],
        "body": [text for _, text in texts],
    }
    return pl.DataFrame(columns).with_row_index("i")


def _hidden(texts: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Return what `kinds` finds and `suspects` does not let through."""
    frame = _records(texts)
    about = {"attributes": lambda key: key, "body": lambda key: ""}
    hidden: list[tuple[str, str, str]] = []
    for column, key_of in about.items():
        passed = set(privacy.suspects(frame, column)["i"])
        hidden += [
            (column, *texts[i])
            for i in range(frame.height)
            if i not in passed and personal.kinds(texts[i][1], key_of(texts[i][0]))
        ]
    return hidden


def test_the_column_test_never_hides_a_finding() -> None:
    """Whatever `kinds` finds, `suspects` let through, in a record's attributes and in its message."""
    assert _hidden([(s.key, s.text) for s in SAMPLES]) == []


AROUND = st.text(st.sampled_from(list(" \t\n\"\\'<>()[]{},;:=_-/.@+#é\u00a0\u0661a9Z")), max_size=4)
WORDS = ("card", "Card", "CARD", "cc", "CC", "Cc", "pan", "Pan", "visa", "amex", "Bearer", "basic", "BEARER")
KEYS = ("detail", "cardNumber", "card.number", "cc_number", "ccNumber", "billing-cc", "myPan", "PAN", "note")


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(SAMPLES), AROUND, AROUND, st.sampled_from(WORDS), st.sampled_from(KEYS)),
        min_size=1,
        max_size=40,
    )
)
def test_the_column_test_hides_nothing_whatever_stands_around_it(
    made: list[tuple[Sample, str, str, str, str]],
) -> None:
    """Quotes, escapes, other scripts' digits and any writing of the words that matter hide no finding."""
    texts = [
        (key, f"{before}{word}{after}{text}{before}")
        for sample, before, after, word, key in made
        for text in (sample.text, sample.text.replace(" ", "\t"))
    ]
    assert _hidden(texts) == []


def test_every_country_that_has_account_numbers_is_looked_for() -> None:
    """The column test lets account numbers of each country that the check knows through."""
    table = files("stdnum").joinpath("iban.dat").read_text("utf-8")
    countries = sorted({line[:2] for line in table.splitlines() if line[:2].isalpha()})
    assert len(countries) > 80
    frame = pl.DataFrame({"text": [f"{country}89 3704" for country in countries]})
    assert privacy.suspects(frame, "text").height == len(countries)


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("card_number", True),
        ("cardNumber", True),
        ("card.number", True),
        ("CARD", True),
        ("myCard", True),
        ("mastercard", True),
        ("cc", True),
        ("ccNumber", True),
        ("customerCc", True),
        ("billing-cc", True),
        ("discard", False),
        ("cardinal", False),
        ("Cardinal", False),
        ("pane", False),
        ("span", False),
        ("8cc9", False),
        ("account", False),
    ],
)
def test_a_bare_number_is_a_card_where_a_word_says_so(key: str, found: bool) -> None:
    """The word counts in snake_case, camelCase and capitals, and not inside another word or an id."""
    assert (personal.kinds("4242424242424242", key) == ("card",)) == found


def test_nothing_that_is_found_is_left_after_redaction() -> None:
    """A redacted text holds no kind any more, and the rest of it stands."""
    for sample in SAMPLES:
        found = personal.kinds(sample.text, sample.key)
        redacted = personal.redact(sample.text, sample.key)
        assert personal.kinds(redacted, sample.key) == ()
        assert all(f"[{kind}]" in redacted for kind in found)
        assert found or redacted == sample.text


@settings(max_examples=examples(60), deadline=None)
@given(st.text(max_size=400))
def test_any_text_is_judged_without_an_error_and_the_same_twice(text: str) -> None:
    """Nothing that arrives as text makes detection fail or change its mind."""
    assert personal.kinds(text) == personal.kinds.__wrapped__(text)


@pytest.mark.parametrize(
    "text",
    [
        "a@" * 60_000,
        "a." * 60_000,
        "+1" * 60_000,
        "1234 " * 25_000,
        "://:" * 30_000,
        "eyJ" * 40_000,
        "DE12 " * 25_000,
        "Bearer " * 20_000,
        "a" * 130_000 + "@b",
        "card " + "4" * 130_000,
        "x@" + "a." * 60_000 + "c",
    ],
    ids=lambda text: text[:8],
)
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
