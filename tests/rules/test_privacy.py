"""Privacy findings tell where something is, and never what it is."""

from __future__ import annotations

import json
from dataclasses import asdict

import polars as pl
import pytest

from collector.rules import catalogue, outline, privacy
from collector.rules.cases import log
from collector.rules.profiles import choose
from collector.rules.rule import Case, Rule
from collector.settings import Rules
from tests.rules.tell import check, findings, frames

CASES = [(rule, case) for rule in catalogue.RULES.values() if rule.family == "PII" for case in rule.bad]
VALUES = (
    "maria.schmidt@acme.io",
    "jo@firma.at",
    "4242424242424242",
    "4242 4242 4242 4242",
    "+1 415 555 2671",
    "536-90-4399",
    "DE89 3704 0044 0532 0130 00",
    "9f2c7b1ad04e4c3f8f6f",
    "pa55w0rd",
    "AKIAIOSFODNN7EXAMPLQ",
    "hunter22",
    "Maria",
    "Schmidt",
    "0176 5550 1234",
    "1987-04-12",
    "kim.lee%40atelier.photography",
    "Kim Lee",
    "SW1A 1AA",
    "85.214.132.117",
    "+4915123456789",
    "0151 23456789",
)
"""What the bad cases of the family hold."""


@pytest.mark.parametrize(("rule", "case"), CASES, ids=lambda value: getattr(value, "code", ""))
def test_a_privacy_finding_never_contains_the_value(rule: Rule, case: Case) -> None:
    """Message, remedy and samples show the value's place, `[email]`, and not the value."""
    report = json.dumps(check(rule, case).to_dicts(), ensure_ascii=False, default=str)
    records = json.dumps([record["attributes"] | {"body": record["body"]} for record in case.logs], ensure_ascii=False)
    values = [value for value in VALUES if value in records]
    assert values, "the case holds nothing that is looked for here"
    assert not [value for value in values if value in report]


def test_no_finding_of_any_rule_contains_a_value() -> None:
    """An address or a secret that stands in a message, an operation, a key or a value is in no finding of the rules
    that are about something else.
    """
    mail, secret = "maria.schmidt@acme.io", "AKIAIOSFODNN7EXAMPLQ"
    keys = {mail: "x", secret: "x"}
    record = log(f"{mail}_started", orderId=1, userMail=mail, to=[mail], note={"cc": mail, mail: 1}, keys=keys)
    again = log(f"{mail}_completed", at=1, keys={secret: 1})
    said = log(f"sending mail to {mail}", level="error", sentTo=mail)
    others = [c for c in choose(catalogue.RULES, Rules(strict=True)) if c.rule.family != "PII"]
    of_others = findings(frames([record, again, said]), others)
    assert {"KEY001", "KEY005", "MSG001"} <= set(of_others["code"])
    assert {"[secret]"} == set(of_others.filter(pl.col("code") == "KEY005")["key"])
    assert of_others["samples"].str.contains("[email]", literal=True).any()
    page = json.dumps([asdict(section) for section in outline.sections(of_others)], default=str)
    assert not [value for value in (mail, secret) if value in of_others.write_json() + page]


def test_a_sample_keeps_what_is_not_personal() -> None:
    """Redaction takes values out of keys, lists and objects alike, and leaves the rest."""
    sample = {
        "body": "sent to jo@firma.at",
        "attributes": {
            "order_id": "o-1",
            "to": ["jo@firma.at"],
            "dob": "1987-04-12",
            "last_name": ["Schmidt", "Ng"],
            "jo@firma.at": {"n": 1},
        },
    }
    assert privacy.redact_sample(sample) == {
        "body": "sent to [email]",
        "attributes": {
            "order_id": "o-1",
            "to": ["[email]"],
            "dob": "[birth_date]",
            "last_name": ["[name]", "[name]"],
            "[email]": {"n": 1},
        },
    }
