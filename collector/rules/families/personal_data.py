"""PII: telemetry names people by ids, never by their data, and holds no credentials. A finding never has the value."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import polars as pl

from collector import personal
from collector.rules import privacy
from collector.rules.cases import log
from collector.rules.frames import Frames
from collector.rules.rule import Case, Finding, Options, Rule, Severity

_NEEDS = ("logs", "personal")
_WORDS = {
    personal.EMAIL: "an e-mail address",
    personal.CARD: "a card number",
    personal.PHONE: "a phone number",
    personal.SSN: "a social security number",
    personal.IBAN: "a bank account number",
    personal.SECRET: "a credential",
    "name": "a person's name",
    "address": "a postal address",
    "birth_date": "a date of birth",
    "number": "a personal number",
    "ip": "a person's IP address",
}


def _of(*kinds: str, named: bool) -> Callable[[Frames, Options], pl.LazyFrame]:
    """Return what finds *kinds* in records: by their value, or (*named*) because their key says so."""

    def find(frames: Frames, options: Options) -> pl.LazyFrame:
        allowed = list(options.get("allow", ()))
        dialled = pl.col("country").is_null() | pl.col("country").is_in(list(options.get("phone_countries", ())))
        picked = (
            frames.personal.filter(pl.col("kind").is_in(list(kinds)), pl.col("named") == named, dialled)
            .filter(~pl.col("key").is_in(allowed).fill_null(False))
            .unique(["at", "key", "kind"], maintain_order=True)
        )
        facts = frames.task_logs.select(
            "project", "run_key", "task_id", "operation", "time_ns", "version", "seq", "row"
        )
        return (
            picked.select("key", "kind")
            .hstack(facts[picked["at"]])
            .lazy()
            .with_columns(table=pl.lit("logs"), detail=pl.col("kind").replace_strict(_WORDS, default=None))
            .drop("kind")
        )

    return find


def _says(f: Finding) -> str:
    where = f"`{f['key']}`" if f["key"] else "The message"
    return f"{where} holds {' and '.join(f['details'] or ())}."


def _rule(
    code: str,
    slug: str,
    severity: Severity,
    doc: str,
    sentences: tuple[str, ...],
    kinds: tuple[str, ...],
    bad: tuple[Case, ...],
    good: tuple[Case, ...],
    *,
    named: bool = False,
    options: Options = MappingProxyType({}),
) -> Rule:
    return Rule(
        code=code,
        slug=slug,
        severity=severity,
        grain="run",
        doc=doc,
        sentences=sentences,
        needs=_NEEDS,
        options={"allow": (), **options},
        each=_of(*kinds, named=named),
        message=_says,
        bad=bad,
        good=good,
    )


PII001 = _rule(
    "PII001",
    "email",
    "error",
    """A message or value holds an e-mail address.

    Why: Logs are kept long, copied widely and read by many; an address in them is personal data out of control.
    How to fix: Log the user's id instead of the address.
    Not flagged: reserved domains (`example.com`), mailboxes of roles and programs (`no-reply`, `support`, `git`),
    user parts of URLs, logins over `ssh`, package versions, keys listed in the option `allow`.
    """,
    ("A9",),
    (personal.EMAIL,),
    bad=(
        Case(logs=(log("mail_send_started", reply_to="maria.schmidt@acme.io"),), key="reply_to"),
        Case(logs=(log("mail_send_started", recipient__address="maria.schmidt@acme.io"),), key="recipient.address"),
        Case(logs=(log("mail_send_started", error_message="no mailbox jo@firma.at here"),), key="error_message"),
        Case(logs=(log("sent to maria.schmidt@acme.io"),), say="in the message"),
        Case(logs=(log("mail_send_started", path="/users?email=kim.lee%40atelier.photography"),), key="path"),
    ),
    good=(
        Case(logs=(log("mail_send_started", reply_to="no-reply@acme.io", recipient="maria@example.com"),)),
        Case(logs=(log("mail_send_started", package="lodash@4.17.21", repository="git@github.com:acme/app.git"),)),
        Case(logs=(log("mail_send_started", image="logo@2x.png", node="celery@worker.local"),)),
    ),
)

PII002 = _rule(
    "PII002",
    "personal-key",
    "warning",
    """A key that names personal data (`first_name`, `email`, `phone`, `address`, `dob`, …) holds a literal value.

    Why: The key says what the value is, even where its form would not give it away.
    How to fix: Drop the key, or log a hash or the user's id.
    Not flagged: hashed, masked, opaque and Boolean values, keys that only contain such a word (`email_count`) or name
    a thing (`queue_name`), names of companies, private IP addresses, keys listed in the option `allow`; values that
    PII001, PII003 or PII004 find anyway.
    """,
    ("A9",),
    ("name", "email", "phone", "address", "birth_date", "number", "ip"),
    bad=(
        Case(logs=(log("user_import_started", first_name="Maria"),), key="first_name"),
        Case(logs=(log("user_import_started", customer__lastName="Schmidt"),), key="customer.lastName"),
        Case(logs=(log("user_import_started", phone="0176 5550 1234"),), key="phone"),
        Case(logs=(log("user_import_started", date_of_birth="1987-04-12"),), key="date_of_birth"),
        Case(logs=(log("user_import_started", customer_name="Kim Lee"),), key="customer_name"),
        Case(logs=(log("user_import_started", order__postcode="SW1A 1AA"),), key="order.postcode"),
        Case(logs=(log("user_import_started", client_ip="85.214.132.117"),), key="client_ip"),
    ),
    good=(
        Case(logs=(log("user_import_started", first_name="***", email_count=3, phone=True, email="welcome_template"),)),
        Case(logs=(log("user_import_started", email="5d41402abc4b2a76b9719d911017c592", ip_address="10.0.0.1"),)),
        Case(logs=(log("user_import_started", file_name="kim.csv", customer_name="Acme GmbH", username="postgres"),)),
    ),
    named=True,
)

PII003 = _rule(
    "PII003",
    "card-phone-ssn",
    "error",
    """A message or value holds a card, phone, social security or bank account number.

    Why: These identify a person or their money, and card numbers in logs break payment rules.
    How to fix: Log the last four digits or a token instead.
    Not flagged: digits that only look so: a card number needs its groups or a word that says card, brand and check
    digit; a phone number its `+`, or its country in `phone_countries` (the setting `rules.phone_countries`, unless an
    override says another); a social security number its dashes; keys listed in the option `allow`.
    """,
    ("A9",),
    (personal.CARD, personal.PHONE, personal.SSN, personal.IBAN),
    bad=(
        Case(logs=(log("card_charge_started", card_number="4242424242424242"),), key="card_number"),
        Case(logs=(log("card_charge_started", note="paid with 4242 4242 4242 4242"),), key="note"),
        Case(logs=(log("sms_send_started", recipient="+1 415 555 2671"),), key="recipient"),
        Case(logs=(log("sms_send_started", link="tel:+4915123456789"),), key="link"),
        Case(
            logs=(log("sms_send_started", note="Rückruf 0151 23456789"),),
            key="note",
            options={"phone_countries": ["DE"]},
        ),
        Case(logs=(log("user_import_started", row="jo, 536-90-4399"),), key="row"),
        Case(logs=(log("payout_send_started", account="DE89 3704 0044 0532 0130 00"),), key="account"),
    ),
    options={"phone_countries": ()},
    good=(
        Case(logs=(log("card_charge_started", card_number="**** 4242", order_number="4242424242424242"),)),
        Case(logs=(log("sms_send_started", message_id="4155552671", due_at="2026-11-24T10:00:00+01:00"),)),
        Case(logs=(log("sms_send_started", note="Rückruf 0151 23456789", change="x=+1234567890"),)),
    ),
)

PII004 = _rule(
    "PII004",
    "secret",
    "error",
    """A message or value holds a credential: a token, API key, private key or password, by its form or the word before.

    Why: Whoever reads the logs can use it.
    How to fix: Revoke the credential, then mask it before logging.
    Not flagged: masked values (`***`, `[REDACTED]`, `${TOKEN}`), references to a vault, prose (`password: required`),
    examples of vendors' documentation, keys listed in the option `allow`.
    """,
    ("A9",),
    (personal.SECRET,),
    bad=(
        Case(logs=(log("api_call_started", header="Bearer 9f2c7b1ad04e4c3f8f6f"),), key="header"),
        Case(logs=(log("api_call_started", url="https://app:pa55w0rd@api.acme.io/v1"),), key="url"),
        Case(logs=(log("api_call_started", config="key AKIAIOSFODNN7EXAMPLQ set"),), key="config"),
        Case(logs=(log("api_call_started", password="hunter22"),), key="password"),  # noqa: S106 -- a case
        Case(logs=(log("api_call_started", dsn="Server=db;User Id=app;Password=hunter22;"),), key="dsn"),
    ),
    good=(
        Case(logs=(log("api_call_started", header="Bearer [REDACTED]", password="********"),)),  # noqa: S106 -- a case
        Case(logs=(log("api_call_started", url="https://api.acme.io/v1?page=2", secret="arn:aws:secrets:x"),)),  # noqa: S106 -- a case
        Case(logs=(log("api_call_started", error="password: is required", config="AKIAIOSFODNN7EXAMPLE"),)),
    ),
)

_IDENTIFIERS = ("correlation_id", "request_id", "idempotency_key", "queue")


def _identifiers(frames: Frames, options: Options) -> pl.LazyFrame:
    runs = frames.runs
    identifiers = pl.concat(
        [runs.select("project", "run_key", key=pl.lit(name), text=name) for name in _IDENTIFIERS]
        + [runs.select("project", "run_key", key=pl.lit("tags"), text="tags").explode("text")],
        how="vertical_relaxed",
    ).drop_nulls("text")
    suspects = privacy.suspects(identifiers, "text").filter(
        pl.col("text").map_elements(lambda t: personal.EMAIL in personal.kinds(t), return_dtype=pl.Boolean)
    )
    facts = runs.select("project", "run_key", "task_id", "version", time_ns="first_seen_ns")
    return (
        suspects.select("project", "run_key", "key")
        .unique(maintain_order=True)
        .join(facts, on=["project", "run_key"], how="left")
        .lazy()
        .with_columns(detail=pl.lit(_WORDS[personal.EMAIL]))
    )


PII005 = Rule(
    code="PII005",
    slug="pii-in-identifier",
    severity="error",
    grain="run",
    doc="""A correlation id, request id, idempotency key, queue or tag holds an e-mail address.

    Why: Identifiers are copied into every record, every link and every system that joins on them.
    How to fix: Build identifiers from ids: `user-81f2`, not the address.
    Not flagged: as PII001.
    """,
    sentences=("10", "34", "A9"),
    needs=("runs",),
    each=_identifiers,
    message=_says,
    remedy="Build the identifier from the user's id.",
    bad=(
        Case(
            logs=(log("order_charge_started", ids={"correlation_id": "maria.schmidt@acme.io"}),), key="correlation_id"
        ),
        Case(
            logs=(log("order_charge_started", idempotency_key="welcome-maria.schmidt@acme.io"),), key="idempotency_key"
        ),
    ),
    good=(Case(logs=(log("order_charge_started", idempotency_key="welcome-user-81f2"),)),),
)

RULES = (PII001, PII002, PII003, PII004, PII005)
