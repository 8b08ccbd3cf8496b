"""Detection of personal data and secrets, measured on a labelled set."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import personal
from collector.personal import emails
from collector.rules import privacy
from tests.length import examples
from tests.rules import formats, labelled
from tests.rules.labelled import Sample

PAGE = Path(__file__).resolve().parents[2] / "docs/rules/privacy.md"
SAMPLES = [*labelled.generate(), *formats.generate()]
NOTHING = sorted({sample.family for sample in SAMPLES if not sample.kinds})


def measured(samples: list[Sample]) -> str:
    """Return a table of docs/rules/privacy.md: precision and recall by kind, hard families apart."""
    right: Counter[str] = Counter()
    said: Counter[str] = Counter()
    true: Counter[str] = Counter()
    hard: Counter[str] = Counter()
    hard_found: Counter[str] = Counter()
    for sample in samples:
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


@pytest.mark.parametrize("made", [labelled.generate, formats.generate])
def test_the_page_shows_what_is_measured(made: Callable[[], Iterator[Sample]]) -> None:
    """docs/rules/privacy.md holds the precision and recall that each set gives now."""
    samples = list(made())
    assert len(samples) >= 6_000
    table = measured(samples)
    assert table in PAGE.read_text("utf-8"), f"put this into {PAGE.name}:\n{table}"


@pytest.mark.parametrize("family", NOTHING)
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
WORDS = (
    "password=",
    "token: ",
    "https://",
    "card",
    "Card",
    "CARD",
    "cc",
    "CC",
    "Cc",
    "pan",
    "Pan",
    "visa",
    "amex",
    "Bearer",
    "basic",
    "BEARER",
)
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
    for sample in SAMPLES[::2]:
        found = personal.kinds(sample.text, sample.key)
        redacted = personal.redact(sample.text, sample.key)
        assert personal.kinds(redacted, sample.key) == ()
        assert all(f"[{kind}]" in redacted for kind in found)
        assert found or redacted == sample.text


FOUND = (
    *("+14155552671", "536-22-8726", "DE89370400440532013000", "4242 4242 4242 4242", "kim@acme.io", "pw=hunter2x"),
    *("DE89 3704 0044 0532 0130 00", "+1 415 555 2671", "password: hunter22x", "+14155552671x5"),
)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.sampled_from(FOUND), min_size=2, max_size=4), st.text(' ,.;:_-/x5\n"EUR', max_size=4))
def test_nothing_hides_in_the_shadow_of_what_is_found(found: list[str], between: str) -> None:
    """Whatever stands between what is found, nothing is left of it that another look would find."""
    redacted = personal.redact(between.join(found))
    assert personal.kinds(redacted) == () and personal.redact(redacted) == redacted


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("DE89370400440532013000 EUR 100", "[iban] EUR 100"),
        ("DE89 3704 0044 0532 0130 00 BIC COBADEFF", "[iban] BIC COBADEFF"),
        ("DE89370400440532013000 2026-11-24", "[iban] 2026-11-24"),
        ("+14155552671,5", "[phone],5"),
        ("sms:+33612345678?body=x", "sms:[phone]?body=x"),
        ("a_\uff0b14155552671", "a_[phone]"),
        ("email: kim@acme.rs", "email: [email]"),
        ("kim.lee@acme.rs", "[email]"),
        ("user@file.py:12", "user@file.py:12"),
        ("Authorization: Zx81fQ2c0aa91bTT4e3Zx81fQ2c0aa91bTT4e3aa", "Authorization: [secret]"),
        ("contraseña=gato2024x", "contraseña=[secret]"),
        ("API key 9f86d081884c7d659a2feaa0c55ad015", "API key [secret]"),
        *(
            (text, text)
            for text in (
                "secret_arn=arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbC123xyz",
                "password=:password",
                "account_key=customer-000123",
                "invalid password: attempt=3",
                "token: cl100k_base_v2_tokenizer",
                "errors: password=too_short1",
            )
        ),
    ],
)
def test_what_stands_beside_it_neither_hides_nor_makes_a_finding(text: str, left: str) -> None:
    """Currencies, dates, extensions and units beside it stay; names, remarks and references are no secrets."""
    assert personal.redact(text) == left


@settings(max_examples=examples(60), deadline=None)
@given(st.text(max_size=400))
def test_any_text_is_judged_without_an_error_and_the_same_twice(text: str) -> None:
    """Nothing that arrives as text makes detection fail or change its mind."""
    assert personal.kinds(text) == personal.kinds.__wrapped__(text)


LEADS = (
    *(
        "a@",
        "a.",
        "+1",
        "1234 ",
        "://:",
        "eyJ",
        "DE12 ",
        "Bearer ",
        "x@a.",
        '"@',
        "%40",
        "%25",
        "\\u0040",
        "a%2540",
        "\\n",
    ),
    *(
        "password=",
        "password:'",
        '\\"secret\\":\\"',
        "--password ",
        "api_key=(",
        "<password>",
        "access key ",
        "token=aA1",
    ),
    *(
        "sk-",
        "EAA",
        "AKIA",
        "NRAL",
        "GOOG",
        "1//0",
        ":AA",
        "Q~",
        "sig=",
        "x-us",
        "dp.pt.",
        "-----BEGIN PRIVATE KEY-----",
    ),
)
"""What patterns are led by."""


def _work(text: str) -> int:
    """Return how many instructions a look at *text* takes in Python, and how long what patterns return is."""
    steps = 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal steps
        steps += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        personal.redact.__wrapped__(text)
    finally:
        sys.setprofile(before)
    return steps


@pytest.mark.parametrize("lead", LEADS)
def test_long_adversarial_text_takes_work_by_its_length(lead: str) -> None:
    """Of each lead repeated four times the text takes four times the calls, and a pattern that backtracked would not
    come back from it.
    """
    short, long = ((lead * (n // len(lead) + 1))[:n] for n in (15_000, 60_000))
    assert _work(long) <= 5 * _work(short) + 100
    assert personal.kinds.__wrapped__("a" * 60_000 + long) in ((), ("secret",), ("email",))


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
        ("customer_name", "Kim Lee", "name"),
        ("recipientName", "noor haddad", "name"),
        ("account_holder", "KIM LEE", "name"),
        ("sender_name", "李伟", "name"),
        ("username", "kim.lee", "name"),
        ("vorname", "Kim", "name"),
        ("prénom", "Zoé", "name"),
        ("Straße", "Hauptstr. 12", "address"),
        ("delivery_address", "Rose Cottage, Mill Lane", "address"),
        ("postcode", "SW1A 1AA", "address"),
        ("zip_code", 10115, "address"),
        ("geburtsdatum", "12.04.1987", "birth_date"),
        ("phone", 4915123456789, "phone"),
        ("clientIP", "85.214.132.117", "ip"),
        ("x-forwarded-for", "2a00:1450:4001:80b::200e, 10.0.0.1", "ip"),
        ("passport_no", "C01X00T47", "number"),
        ("client_secret", "Xy7pQ2rT9", "secret"),
        ("apiKey", "9f86d081884c7d659a2feaa0c55ad015", "secret"),
        ("token", "9f2c7b1ad04e4c3f8f6f00aa", "secret"),
        ("queue_name", "Mail Queue", None),
        ("host_name", "web-1", None),
        ("product_name", "Blue Widget", None),
        ("bucket_name", "uploads", None),
        ("company_name", "Acme GmbH", None),
        ("customer_name", "Acme GmbH", None),
        ("client_name", "mobile-app", None),
        ("owner_name", "cus_81f2c0aa", None),
        ("username", "postgres", None),
        ("client_ip", "10.0.0.1", None),
        ("server_ip", "85.214.132.117", None),
        ("zip", "archive.zip", None),
        ("phone", 3, None),
        ("phone", True, None),
        ("page_token", "aB3dE5fG7hI9jK1lM3nO5", None),
        ("token", "waitpoint_81f2c0aa91", None),
        ("password", "required", None),
        ("secret", "db-credentials-2", None),
        ("display_name", "Kim Lee", "name"),
        ("display_name", "worker", None),
        ("billing_address", "0x52908400098527886E0F7030069857D2E4169EE7", None),
        ("customer_address", "bc1qw508d6qejxtdy4y5r3zarvary0c5xw7kv8f3t4", None),
        ("tax_id", "txr_123456", None),
        ("repo.full_name", "acme/app", None),
        ("font_family_name", "Inter", None),
        ("driver_name", "Chrome", None),
        ("driver_name", "Kim Lee", "name"),
        ("tel", 1700000000, None),
    ],
)
def test_a_key_that_names_a_person_counts_with_a_literal_value_only(key: str, value: object, kind: str | None) -> None:
    """Hashed, masked, opaque and boolean values pass, and so do keys that only contain such a word, or name a thing."""
    assert personal.key_kind(key, value) == kind


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/u?email=kim.lee%40gmail.com&x=1", "/u?email=[email]&x=1"),
        ("/u?email=kim%252Blee%2540gmail.com", "/u?email=[email]"),
        ("to=%2B4915123456789;", "to=[phone];"),
        ("mysql://app:p%40ss%2Fw0rd@db/x", "mysql://app:[secret]@db/x"),
        ("?dsn=mysql%3A%2F%2Fapp%3Apw9%40db.acme.io", "?dsn=mysql%3A%2F%2Fapp%3A[secret]%40db.acme.io"),
        ("Server=x;Password=a1b2!;Db=1", "Server=x;Password=[secret];Db=1"),
        ('{\\"api_key\\":\\"k9182aa71xy\\"}', '{\\"api_key\\":\\"[secret]\\"}'),
        ("sent\\nkim@gmail.com\\ndone", "sent\\n[email]\\ndone"),
    ],
)
def test_what_is_escaped_is_found_and_hidden_where_it_stands(text: str, left: str) -> None:
    """Percent-encoding, once or twice over, and what JSON escapes in a text hide nothing, and the rest stays."""
    assert personal.redact(text) == left


@pytest.mark.parametrize(
    ("country", "text", "found"),
    [
        ("DE", "Rückruf 0151 12345678 erbeten", True),
        ("DE", "tel=015112345678&x=1", True),
        ("DE", "0049 151 12345678", True),
        ("DE", "+49 151 12345678", True),
        ("US", "call (415) 555-2671", True),
        ("US", "phone: 4155552671", True),
        ("FR", "06 12 34 56 78", True),
        ("ES", "teléfono móvil, tel. 612 345 678", True),
        ("US", "id 4155552671", False),
        ("US", "1700000000", False),
        ("ES", "612 345 678 bytes", False),
        ("DE", "phone:015123456789", True),
        ("FR", "to:0612345678", True),
        ("DE", "invoice 015112345678", False),
        ("DE", "0.123456789", False),
        ("FR", "0612345678 times", False),
        ("DE", "order 00012345678", False),
        ("DE", "2026-11-24 10:15:30.123456", False),
        ("DE", "v0.151.12345678", False),
        ("DE", "10.0.151.123:45678", False),
    ],
)
def test_a_number_without_a_plus_counts_as_it_is_dialled_in_a_country(country: str, text: str, found: bool) -> None:
    """Where its country is asked for, in that country's writing or behind a word that says phone; else never."""
    assert (personal.kinds(text, "note", (country,)) == ("phone",)) is found
    assert personal.kinds(text, "note") == (("phone",) if "+" in text else ())
    frame = pl.DataFrame({"text": [text]})
    assert privacy.suspects(frame, "text", (country,)).height or not found


def test_it_needs_nothing_but_patterns_and_tables() -> None:
    """Whoever receives telemetry can load it without the libraries of whoever reports on it."""
    program = "import sys, collector.personal; sys.exit(bool({'polars', 'numpy', 'pyarrow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_root_has_the_domains_that_are_looked_for() -> None:
    """The list is whole, and has internationalised names in both writings."""
    assert len(emails.TLDS) > 1_500
    assert {"com", "photography", "museum", "xn--p1ai", "рф", "भारत"} <= emails.TLDS
    assert not {"local", "internal", "png", "onion"} & emails.TLDS
